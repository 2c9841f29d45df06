"""Reading CoNLL files: every accepted form gives IOB2, every other file one line that says what is wrong and where."""

import contextlib
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from suite.data import conll
from suite.errors import InputError
from suite.faults import Faults

GOOD = "EU\tB-ORG\nrejects\tO\n\nPeter\tB-PER\nBlackburn\tI-PER\n"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "x.conll"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_tabs(tmp_path):
    assert conll.read(write(tmp_path, GOOD)) == [
        {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]},
        {"tokens": ["Peter", "Blackburn"], "tags": ["B-PER", "I-PER"]},
    ]


@pytest.mark.parametrize(
    "same",
    [
        GOOD.replace("\t", " "),
        GOOD.replace("\t", "  "),
        GOOD.replace("\t", " NNP I-NP "),
        GOOD.replace("\t", "\t_\t_\t"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        "\ufeff" + GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n\n", "\n \t \n\n\n"),
        GOOD.replace("\n", "\t\n"),
        "-DOCSTART- -X- O O\n\n" + GOOD,
        GOOD.replace("\n\n", "\n-DOCSTART-\tO\n"),
        "# sent_id = 1\n# text = EU rejects\n" + GOOD,
        "# sent_id = 1\n" + GOOD.replace("\t", " "),
        GOOD.rstrip("\n"),
        "\n\n" + GOOD + "\n\n",
    ],
)
def test_other_forms_of_the_same_sentences(tmp_path, same):
    assert conll.read(write(tmp_path, same)) == conll.read(write(tmp_path, GOOD))


def test_tokens_are_kept_as_they_are(tmp_path):
    odd = [
        "#",
        "#news",
        "New York",
        "\u00a0",
        "\u00a0x\u2003",
        "a\u2028b",
        "\u3000",
        '"',
        "I",
        "O",
        "\U0001f600",
        "e\u0301",
        "\u00e9",
    ]
    path = write(tmp_path, "".join(f"{token}\tO\n" for token in odd))
    assert conll.read(path) == [{"tokens": odd, "tags": ["O"] * len(odd)}]


def test_hash_tokens_between_spaces(tmp_path):
    assert conll.read(write(tmp_path, "# O\n#a O\n"))[0]["tokens"] == ["#", "#a"]


def test_types_with_hyphens(tmp_path):
    path = write(tmp_path, "Moby\tB-creative-work\nDick\tI-creative-work\n")
    assert conll.read(path)[0]["tags"] == ["B-creative-work", "I-creative-work"]


def test_long_sentence(tmp_path):
    [sentence] = conll.read(write(tmp_path, "word\tI-PER\n" * 5000))
    assert len(sentence["tokens"]) == 5000
    assert sentence["tags"] == ["B-PER"] + ["I-PER"] * 4999


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("EU\tB-ORG\nrejects\n", r"x.conll:2: expected at least 2 columns.*received 1 in 'rejects'"),
        ("#news\n", r"x.conll:1: expected at least 2 columns"),
        ("EU\tB-ORG\n\tNNP\tO\n", r"x.conll:2: the first column, the token, is empty"),
        ("EU\tORG\n", r"x.conll:1: .*received 'ORG'"),
        ("EU\tB-\n", r"x.conll:1: .*received 'B-'"),
        ("EU\tO\nEU\to\n", r"x.conll:2: .*received 'o'"),
        ("", "no sentence"),
        (" \n\t\n", "no sentence"),
        ("-DOCSTART- O\n\n", "no sentence"),
        (b"EU\tO\na\0b\tO\n", r"x.conll:2: a zero byte"),
        (GOOD.encode("utf-16"), "UTF-16"),
        ("EU\tO\n\u201cJos\u00e9\tO\n".encode("cp1252"), r"x.conll:2: byte 0x93 is not UTF-8"),
    ],
)
def test_faults(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        conll.read(write(tmp_path, content))


def test_a_long_faulty_line_is_shown_in_part(tmp_path):
    with pytest.raises(InputError) as error:
        conll.read(write(tmp_path, "x" * 10_000))
    assert len(str(error.value)) < 400


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        conll.read(tmp_path / "none.conll")
    with pytest.raises(InputError, match="is a folder"):
        conll.read(tmp_path)


@given(st.lists(st.sampled_from(["O", *(f"{p}-{t}" for p in "BI" for t in ("PER", "LOC"))]), min_size=1))
def test_iob2_keeps_the_entities_of_iob1_and_iob2(tags):
    converted = conll.iob2(tags)
    assert get_entities(converted) == get_entities(tags)
    assert conll.iob2(converted) == converted
    assert all(tag[0] != "I" or before != "O" for before, tag in zip(["O", *converted], converted, strict=False))


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("B-A E-A S-A S-A O", "B-A I-A B-A B-A O"),
        ("B-A L-A U-A U-A O", "B-A I-A B-A B-A O"),
        ("B-A I-A E-A I-A", "B-A I-A I-A B-A"),
        ("E-A E-A", "B-A B-A"),
        ("S-A I-A", "B-A B-A"),
        ("B-A I-B", "B-A B-B"),
        ("I-A I-B I-B", "B-A B-B I-B"),
        ("I-A B-A", "B-A B-A"),
    ],
)
def test_iob2_of_other_schemes(tags, wanted):
    assert conll.iob2(tags.split()) == wanted.split()


def test_mutated_files_give_examples_or_an_input_error(tmp_path):
    generator = random.Random(7)
    source = (GOOD + "# text = a\n-DOCSTART- O\n\u00e9t\u00e9\tS-LOC\r\n").encode()
    read = 0
    for _ in range(600):
        data = bytearray(source)
        for _ in range(generator.randrange(1, 6)):
            place = generator.randrange(len(data))
            data[place : place + generator.randrange(3)] = generator.randbytes(generator.randrange(3))
        path = write(tmp_path, bytes(data))
        with contextlib.suppress(InputError):
            examples = conll.read(path)
            read += 1
            assert all(len(example["tokens"]) == len(example["tags"]) > 0 for example in examples)
            assert all(conll.iob2(example["tags"]) == example["tags"] for example in examples)
    assert 50 < read < 550


def test_a_sentence_with_a_fault_is_left_out_alone(tmp_path):
    path = tmp_path / "own.conll"
    path.write_text("EU B-ORG\nrejects\nGerman O\n\nPeter B-PER\n", "utf8")
    faults = Faults(skip=True)
    assert conll.read(path, faults) == [{"tokens": ["Peter"], "tags": ["B-PER"]}]
    assert faults.messages[0].startswith(f"{path}:2: expected at least 2 columns")
