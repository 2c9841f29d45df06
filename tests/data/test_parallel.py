"""Pairs of texts from files: what is read, what is refused, with file and line, and that nothing is lost."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from suite.data import parallel, sources
from suite.data.datasets import opus, ted_hrlr_translate, wmt16_translate
from suite.data.splits import make_splits
from suite.errors import InputError
from suite.faults import Faults

WANTED = [("A dog runs.", "Ein Hund läuft."), ('He said "no".', "Er sagte „nein“."), ("東京\u2028👍🏽", "Tokio")]


def write(path, content):
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path, *, skip=False):
    faults = Faults(skip=skip)
    return [(each["source"], each["target"]) for each in parallel.read(Path(path), faults)], faults.messages


def both(folder, first, second, names=("a.en", "a.de")):
    paths = [write(folder / name, text) for name, text in zip(names, (first, second), strict=True)]
    return Path(",".join(map(str, paths)))


FIRST, SECOND = ("".join(f"{pair[side]}\n" for pair in WANTED) for side in (0, 1))
TSV = "".join(f"{a}\t{b}\n" for a, b in WANTED)
JSONL = "".join(json.dumps({"source": a, "target": b}, ensure_ascii=False) + "\n" for a, b in WANTED)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", TSV),
        ("a.TSV", "source\ttarget\r\n" + TSV.replace("\n", "\r\n")),
        ("a.tsv.gz", "id\tTGT \tsrc\n" + "".join(f"7\t{b}\t{a}\n" for a, b in WANTED)),
        ("a.jsonl", JSONL),
        ("a.ndjson", b"\xef\xbb\xbf" + JSONL.replace("\n", "\n\n").encode()),
        ("a.jsonl.gz", JSONL.replace('"target"', '"Translation"')),
    ],
)
def test_the_same_pairs_in_every_form(tmp_path, name, content):
    assert read(write(tmp_path / name, content)) == (WANTED, [])


@pytest.mark.parametrize("names", [("a.en", "a.de"), ("a.en.gz", "a.de"), ("x.txt.gz", "y.txt.gz")])
def test_two_files_go_together_line_by_line(tmp_path, names):
    path = both(tmp_path, FIRST.removesuffix("\n"), SECOND.replace("\n", "\r\n"), names)
    assert read(path) == (WANTED, [])
    path = both(tmp_path, f" \n{FIRST}", f"\n{SECOND}", names)  # empty on both sides
    assert read(path) == (WANTED, [])
    examples = parallel.read(path, Faults())
    assert [example.get("language") for example in examples] == [None if names[0] == "x.txt.gz" else "de"] * 3


def test_a_comma_in_the_name_of_a_single_file_is_no_second_file(tmp_path):
    assert read(write(tmp_path / "a,b.tsv", TSV))[0] == WANTED


def test_files_of_different_length_are_refused_with_both_numbers(tmp_path):
    path = both(tmp_path, FIRST, SECOND + "Noch eine.\n")
    for skip in (False, True):
        with pytest.raises(InputError, match=r"a\.en has 3 lines and .*a\.de has 4; expected as many"):
            read(path, skip=skip)


def test_a_line_of_ten_thousand_words_is_read(tmp_path):
    long = "word " * 10_000
    assert read(both(tmp_path, long, "Wort"))[0] == [(long.strip(), "Wort")]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("", "Eins.", r"a\.en:4: empty, and .*a\.de:4 is not; expected a text on both sides"),
        ("One.", "\u3000 ", r"a\.de:4: empty, and .*a\.en:4 is not"),
        ("One.", b"gr\xfcn", r"a\.de:4: byte 0xfc is not UTF-8; convert the file"),
        (b"caf\xe9", "", r"a\.en:4: byte 0xe9 is not UTF-8"),
        ("a\0b", "Eins", r"a\.en:4: a zero byte"),
    ],
)
def test_a_faulty_line_is_named_or_left_out(tmp_path, first, second, message):
    sides = [x if isinstance(x, bytes) else x.encode() for x in (first, second)]
    path = both(tmp_path, FIRST.encode() + sides[0] + b"\n", SECOND.encode() + sides[1] + b"\n")
    with pytest.raises(InputError, match=message):
        read(path)
    pairs, messages = read(path, skip=True)
    assert pairs == WANTED
    assert len(messages) == 1


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a.tsv", "One.", r"a\.tsv:4: 1 fields; expected 2 in 'One\.'"),
        ("a.tsv", "One.\tEins.\tUn.", r"a\.tsv:4: 3 fields; expected 2"),
        ("a.tsv", "One.\t ", r"a\.tsv:4: empty, and .*a\.tsv:4 is not"),
        ("a.jsonl", "{", r"a\.jsonl:4: not a JSON object: .*; received '\{'"),
        ("a.jsonl", "[" * 100_000, r"a\.jsonl:4: not a JSON object"),
        ("a.jsonl", "[1]", r"a\.jsonl:4: expected a JSON object"),
        ("a.jsonl", '{"source": "a"}', r"a\.jsonl:4: no target; found source; expected one of target, tgt"),
        ("a.jsonl", '{"source": 7, "target": "x"}', r"a\.jsonl:4: source is 7; expected a text"),
        ("a.jsonl", '{"source": "a", "target": " "}', r"a\.jsonl:4: target is empty"),
        ("a.jsonl", '{"source": "\\ud800", "target": "x"}', r"a\.jsonl:4: U\+D800 is not UTF-8"),
    ],
)
def test_a_faulty_entry_is_named_or_left_out(tmp_path, name, line, message):
    path = write(tmp_path / name, {"a.tsv": TSV, "a.jsonl": JSONL}[name] + line + "\n")
    with pytest.raises(InputError, match=message):
        read(path)
    assert read(path, skip=True)[0] == WANTED


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "a", r"a\.txt: expected two files 'a\.en,a\.de', line by line, or .* Received: \.txt"),
        ("a", "a", "Received: no suffix"),
        ("a.tsv", "", "no usable pair"),
        ("a.jsonl", "\n\n", "no usable pair"),
        ("a.tsv", "a\tb\tc\n", r"a\.tsv:1: 3 fields and no names of columns; .* names the columns source and target"),
        ("a.tsv", "a b\n", r"a\.tsv:1: 1 fields and no names"),
        ("a.tsv", TSV.encode("utf-16"), r"a\.tsv: a file in UTF-16; convert it"),
    ],
)
def test_files_that_are_refused_whole(tmp_path, name, content, message):
    for skip in (False, True):
        with pytest.raises(InputError, match=message):
            read(write(tmp_path / name, content), skip=skip)


def test_files_that_cannot_be_opened(tmp_path):
    whole = write(tmp_path / "a.de", SECOND)
    packed = write(tmp_path / "a.tsv.gz", TSV)
    for data in (packed.read_bytes()[:-5], b"no gzip", packed.read_bytes()[:12] + b"\0" * 20):
        packed.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.tsv\.gz: not a whole gzip file"):
            read(packed)
    with pytest.raises(InputError, match=r"b\.en: no such file; expected two files"):
        read(f"{tmp_path / 'b.en'},{whole}")
    with pytest.raises(InputError, match="is a folder"):
        read(f"{tmp_path},{whole}")
    with pytest.raises(InputError, match="3 files; expected two files"):
        read(f"{whole},{whole},{whole}")


@pytest.mark.parametrize(("name", "original"), [("a.tsv", TSV), ("a.jsonl", JSONL), ("a.en", FIRST)])
def test_damaged_files_give_pairs_or_an_error_that_says_where(tmp_path, mutations, name, original):
    other = write(tmp_path / "a.de", SECOND)
    for number, data in enumerate(mutations(original.encode(), count=350)):
        path = write(tmp_path / name, data)
        try:
            pairs = read(f"{path},{other}" if name == "a.en" else path, skip=bool(number % 2))[0]
        except InputError as error:
            assert name in str(error)  # noqa: PT017 - most are read
        else:
            assert all(text.strip() and text.encode() for pair in pairs for text in pair)


@pytest.fixture
def _no_other_source(monkeypatch, tmp_path):
    for name in ("SUITE_DATA", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("_no_other_source")
@pytest.mark.parametrize(
    ("module", "variant", "name", "languages"),
    [
        (ted_hrlr_translate, "", "ted_hrlr_translate/pt_to_en", ("pt", "en")),
        (ted_hrlr_translate, "pt-he", "ted_hrlr_translate/he_to_pt", ("pt", "he")),
        (wmt16_translate, "", "wmt16_translate/de-en", ("de", "en")),
        (wmt16_translate, "en-fi", "wmt16_translate/fi-en", ("en", "fi")),
        (opus, "", "opus/medical", ("de", "en")),
        (opus, "IT-en-de", "opus/IT", ("en", "de")),
    ],
)
def test_tensorflow_datasets_gives_pairs_in_either_direction(monkeypatch, module, variant, name, languages):
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(sources, "reachable", lambda url, **_: True)
    monkeypatch.setattr(sources, "tfds_prepared", lambda asked, *, data_dir: asked == name)
    source, target = languages
    items = [
        {source: f" {n}. grün".encode(), target: np.bytes_(b"" if n == 4 else f"{n} green".encode())} for n in range(9)
    ]
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split: items):
        assert set(tfds.builder(name).info.features) == {source, target}
        parts = module.load(None, variant)
    assert parts["train"][0] == {"source": "0. grün", "target": "0 green", "language": target}
    assert len(parts["train"]) == 8
    assert parts["notes"][0] == "train: 1 pairs with an empty side left out"
    splits = make_splits(parts, name="x", groups=lambda examples: [example["source"] for example in examples])
    assert len(splits.test) == (1 if module is opus else 8) + (module is opus)


@pytest.mark.parametrize(
    ("module", "variant", "message"),
    [
        (ted_hrlr_translate, "pt-ed", r"ted_hrlr_translate:pt-ed: unknown variant; did you mean 'pt-en'\?"),
        (wmt16_translate, "de", r"wmt16_translate:de: unknown variant; .*Known: cs-en, de-en"),
        (opus, "Law", r"opus:Law: unknown variant; did you mean 'law'\?"),
    ],
)
def test_an_unknown_variant_is_refused_with_those_that_there_are(module, variant, message):
    with pytest.raises(InputError, match=message):
        module.load(None, variant)
    assert not module.available(Path("/"))
