"""Tables of texts and labels: what is read, what is refused, with file and line, and that nothing is lost."""

import csv
import io
import json

import pytest

from suite.data import delimited
from suite.errors import InputError
from suite.faults import Faults

WANTED = [
    {"text": "Dull, but short.", "label": "negative"},
    {"text": 'A "must"', "label": "positive"},
    {"text": "два\nряда", "label": "positive"},
]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, *, skip=False):
    faults = Faults(skip=skip)
    return delimited.read(path, faults), faults.messages


CSV = 'text,label\n"Dull, but short.",negative\n"A ""must""",positive\n"два\nряда",positive\n'
JSONL = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in WANTED)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.CSV", CSV.replace("\n", "\r\n").replace("два\r\n", "два\n")),
        ("a.csv", b"\xef\xbb\xbf" + CSV.encode()),
        ("a.csv", CSV.encode("utf-16")),
        ("a.csv", CSV.replace(",negative", ";negative").replace(",positive", ";positive").replace("text,", "text;")),
        ("a.csv", CSV.replace("text,label", " Review , SENTIMENT ")),
        ("a.csv", CSV.replace("positive\n", " positive \n\n")),
        ("a.jsonl", JSONL),
        ("a.ndjson", JSONL.replace("\n", "\r\n\r\n")),
        ("a.jsonl", JSONL.replace('"text"', '"Sentence"').replace('"label"', '"class"')),
    ],
)
def test_the_same_entries_in_every_form(tmp_path, name, content):
    assert read(write(tmp_path / name, content)) == (WANTED, [])


def test_a_tsv_has_one_entry_a_line_and_quotes_that_are_quotes(tmp_path):
    lines = ["sentence\tlabel", 'he said "no\t0', '"no" is "yes"\t1', '"a ""good"" one"\t1', '"\t0', "x\u2028y\x1c\t1"]
    assert read(write(tmp_path / "a.tsv", "\n".join(lines)))[0] == [
        {"text": 'he said "no', "label": "0"},
        {"text": '"no" is "yes"', "label": "1"},
        {"text": 'a "good" one', "label": "1"},
        {"text": '"', "label": "0"},
        {"text": "x\u2028y\x1c", "label": "1"},
    ]


def test_other_columns_are_not_read_and_the_first_known_name_counts(tmp_path):
    path = write(tmp_path / "a.csv", "id,review,text,class,label,id\n1,no,yes,2,3,1\n")
    assert read(path)[0] == [{"text": "yes", "label": "3"}]
    path = write(tmp_path / "a.jsonl", '{"id": null, "review": "no", "text": "yes", "topic": 5, "label": 3}')
    assert read(path)[0] == [{"text": "yes", "label": "3"}]


def test_one_class_is_enough_and_very_large_fields_are_read(tmp_path):
    large = "word " * 400_000
    assert read(write(tmp_path / "a.csv", f"text,label\n{large},x\n"))[0] == [{"text": large, "label": "x"}]
    assert csv.field_size_limit() == 131_072


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "txt,label\na,b\n",
            r"a\.csv:1: no column for the text; found 'txt', 'label'; expected one of text, se",
        ),
        (
            "a.csv",
            "text,lable\na,b\n",
            r"a\.csv:1: no column for the label; found 'text', 'lable'; expected one of labe",
        ),
        ("a.tsv", "text label\na\tb\n", r"a\.tsv:1: no column for the text; found 'text label'"),
        ("a.csv", "3,Title,Words\n", r"a\.csv:1: no column for the text; found '3', 'Title', 'Words'"),
        ("a.csv", "text,Text,label\na,b,c\n", r"a\.csv:1: two columns are called 'text'; expected one"),
        ("a.csv", "", r"a\.csv:1: no column for the text; found none"),
        ("a.csv", "text,label\n", r"a\.csv: no usable entry"),
        ("a.jsonl", "\n\n", r"a\.jsonl: no usable entry"),
        ("a.csv", 'text,label\na,b\n"c,d\ne,f\n', r"a\.csv:3: unexpected end of data; expected a field with quotes"),
        ("a.csv", 'text,label\n"a"b,c\n', r"a\.csv:2: ',' expected after '\"'"),
        ("a.csv", CSV.encode("utf-16")[:-1], r"a\.csv: byte \d+ is not UTF-16, as its first bytes say"),
        ("a.txt", "text,label\n", r"a\.txt: expected a file that ends in \.csv, \.tsv or \.jsonl\. Received: \.txt"),
    ],
)
def test_files_that_are_refused_whole(tmp_path, name, content, message):
    for skip in (False, True):
        with pytest.raises(InputError, match=message):
            read(write(tmp_path / name, content), skip=skip)


@pytest.mark.parametrize(
    ("name", "header", "entry", "message"),
    [
        ("a.csv", "text,label\n", "  ,x\n", r"a\.csv:4: text is empty; expected a text"),
        ("a.csv", "text,label\n", "a, \n", r"a\.csv:4: label is empty; expected the text's class"),
        ("a.csv", "text,label\n", "a\n", r"a\.csv:4: expected 2 fields, as the header has; received 1 in \['a'\]"),
        ("a.tsv", "text\tlabel\n", "a\tb\tc\n", r"a\.tsv:3: expected 2 fields, as the header has; received 3"),
        ("a.csv", "text,label\n", b"caf\xe9,x\n", r"a\.csv:4: byte 0xe9 in text is not UTF-8; convert"),
        ("a.tsv", "text\tlabel\n", "a\0b\tx\n", r"a\.tsv:3: text holds a zero byte"),
        ("a.jsonl", "", '{"text": "a"}\n', r"a\.jsonl:2: no column for the label; found 'text'"),
        ("a.jsonl", "", '{"text": 7, "label": "x"}\n', r"a\.jsonl:2: text is 7; expected a text"),
        ("a.jsonl", "", '{"text": "a", "label": null}\n', r"a\.jsonl:2: label is None; expected a text or an integer"),
        ("a.jsonl", "", '{"text": "a", "label": true}\n', r"a\.jsonl:2: label is True; expected"),
        ("a.jsonl", "", '{"text": "a", "text": "b", "label": "x"}\n', r"a\.jsonl:2: .* two values are called 'text'"),
        ("a.jsonl", "", '{"text": "\\ud83d", "label": "x"}\n', r"a\.jsonl:2: U\+D83D in text is not UTF-8"),
        ("a.jsonl", "", "[1]\n", r"a\.jsonl:2: expected a JSON object; received '\[1\]'"),
        ("a.jsonl", "", '{"text": "a", \n', r"a\.jsonl:2: not a JSON object: .*; received '\{"),
        ("a.jsonl", "", "[" * 100_000 + "\n", r"a\.jsonl:2: not a JSON object"),
        ("a.jsonl", "", '{"text": "a", "label": ' + "9" * 5000 + "}\n", r"a\.jsonl:2: not a JSON object"),
    ],
)
def test_entries_that_are_refused_or_left_out(tmp_path, name, header, entry, message):
    good = {
        "a.csv": '"good\none",y\n',
        "a.tsv": "good\ty\n",
        "a.jsonl": '{"text": "good", "label": "y"}\n',
    }[name]
    entry = entry if isinstance(entry, bytes) else entry.encode()
    path = write(tmp_path / name, (header + good).encode() + entry + good.encode())
    with pytest.raises(InputError, match=message):
        read(path)
    examples, messages = read(path, skip=True)
    assert [each["label"] for each in examples] == ["y", "y"]
    assert len(messages) == 1


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv: no such file"):
        read(tmp_path / "nowhere.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder\.csv is a folder"):
        read(tmp_path / "folder.csv")


def as_others_read_it(name, data):
    """The number of entries, counted by the standard library alone; header and empty lines left out."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    if name == "a.csv":
        return sum(bool(row) for row in csv.reader(io.StringIO(text, newline=""))) - 1
    return sum(bool(line.strip()) for line in io.StringIO(text, newline=None)) - (name == "a.tsv")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_damaged_files_are_refused_or_read_without_loss(tmp_path, mutations, name):
    rows = [(f'Text {n}, of "some" l\u00e9ngth 😀', f"class {n % 3}") for n in range(12)]
    if name == "a.jsonl":
        original = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    else:
        out = io.StringIO()
        csv.writer(out, delimiter="\t" if name == "a.tsv" else ",").writerows([("text", "label"), *rows])
        original = out.getvalue()
    seen = refused = usable = 0
    for data in mutations(original.encode()):
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            continue  # read as UTF-16, and counted otherwise
        path = write(tmp_path / name, data)
        try:
            examples, messages = read(path, skip=True)
        except InputError as error:
            refused += str(path) in str(error)
            continue
        finally:
            seen += 1
        usable += 1
        assert len(examples) + len(messages) == as_others_read_it(name, data)
        assert all(each["text"].strip() and each["label"].strip() for each in examples)
        assert all(f"{name}:" in message for message in messages)
        if not messages:
            assert read(path) == (examples, [])
        else:
            with pytest.raises(InputError):
                read(path)
    assert refused + usable == seen
    assert usable > 300
    assert refused > 5
