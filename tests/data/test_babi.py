"""bAbI files, of the user's own and as published."""

import os
from collections import Counter
from pathlib import Path

import pytest

from suite.data import babi as reader
from suite.data import sources
from suite.data.datasets import babi
from suite.errors import InputError
from suite.faults import Faults

DATA = Path(os.environ.get("SUITE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
needs_data = pytest.mark.skipif(
    not (DATA / "qa" / "babi").is_dir(), reason="bAbI is not below SUITE_DATA or ../shared/data"
)

STORY = """1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
4 Mary got the milk, and the apple there.
5 What has Mary?\tmilk,apple\t4
1 The hall is north of the office.
2 What is north of the office?\thall\t1
"""


@pytest.fixture(autouse=True)
def _no_other_source(monkeypatch, tmp_path):
    monkeypatch.delenv("SUITE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def write(tmp_path):
    def written(content, name="qa3_mine_train.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def test_a_question_has_all_that_was_told_since_its_story_began(write):
    assert reader.read(write(STORY), Faults()) == [
        {
            "story": ["Mary moved to the bathroom.", "John went to the hallway."],
            "question": "Where is Mary?",
            "label": "bathroom",
            "task": "qa3",
        },
        {
            "story": [
                "Mary moved to the bathroom.",
                "John went to the hallway.",
                "Mary got the milk, and the apple there.",
            ],
            "question": "What has Mary?",
            "label": "milk,apple",
            "task": "qa3",
        },
        {
            "story": ["The hall is north of the office."],
            "question": "What is north of the office?",
            "label": "hall",
            "task": "qa3",
        },
    ]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n"])
def test_line_ends_blank_lines_and_a_byte_order_mark_make_no_difference(write, end):
    plain = reader.read(write(STORY), Faults())
    assert reader.read(write(b"\xef\xbb\xbf" + STORY.replace("\n", end).encode()), Faults()) == plain


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("qa3_three-supporting-facts_test.txt", "qa3"),
        ("QA12.txt", "qa12"),
        ("mine_valid.txt", "mine"),
        ("a_story.txt", "a_story"),
        ("_train.txt", "_train"),
    ],
)
def test_questions_are_called_after_their_file(name, task):
    assert reader.task_name(Path(name)) == task


def test_supporting_lines_and_spaces_in_a_list_do_not_matter(write):
    content = "1 A is here.\n2 Who is here? \t a, b \t1\n3 Who?\ta,b\n"
    assert [each["label"] for each in reader.read(write(content), Faults())] == ["a,b", "a,b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A is here.\n", r"mine_train.txt:1: no number and space at the beginning of 'A is here.'; expected a number"),
        ("1 A is here.\n3 Where is A?\there\t1\n", r":2: number 3 where 2, or 1 for a new story was expected"),
        ("2 A is here.\n", r":1: number 2 where 1 was expected"),
        ("1 A is here.\n2 Where is A?\t\t1\n", r":2: an answer is missing in ''"),
        ("1 A is here.\n2 Where is A?\tx,,y\t1\n", r":2: an answer is missing in 'x,,y'"),
        ("1 A is here.\n2 Where is A? here 1\n", r":2: a question without an answer in '2 Where is A\? here 1'"),
        ("1 A is here.\n2 Where is A?\there\t1\tmore\n", r":2: 4 columns"),
        ("1 A is here.\n2 Where is A?\there\t7\n", r":2: supporting line '7', which is no sentence before it"),
        ("1 A is here.\n2 Where is A?\there\t2\n", r":2: supporting line '2'"),
        ("1 A is here.\n2 Where is A?\there\tone\n", r":2: supporting line 'one'"),
        ("1 Where is A?\there\t\n", r":1: a question before any sentence of its story"),
        ("1 \n2 Where is A?\there\n", r":1: nothing is said in '1 '"),
        ("1\tA is here.\n2 Where is A?\there\n", r":1: no number and space"),
        ("1 A is here.\n2 \there\t1\n", r":2: nothing is said"),
        ("1 A is here.\n1 B is here.\n2 Where is B?\there\t1\n", r":1: a story without a question"),
        (b"1 A is here.\n2 B is \xff.\n", r":2: byte 0xff is not UTF-8"),
        ("1 A is here.\n".encode("utf-16"), r":1: byte 0xff is not UTF-8"),
        ("1 A is\0 here.\n", r":1: a zero byte"),
        ("", r"no question in this file that can be used"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(write, content, message):
    with pytest.raises(InputError, match=message):
        reader.read(write(content), Faults())


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="is a folder; expected a bAbI file"):
        reader.read(tmp_path, Faults())
    with pytest.raises(InputError, match=r"nowhere\.txt: no such file"):
        reader.read(tmp_path / "nowhere.txt", Faults())


def test_a_wrong_sentence_costs_the_rest_of_its_story_and_a_wrong_question_itself_alone(write):
    faults = Faults(skip=True)
    content = (
        "1 A is here.\n2 Where is A?\there\t1\n3 B is here.\n5 Where is B?\there\t3\n6 Where is A?\there\t1\n"
        "1 C is here.\n2 Where is C?\t\t1\n3 Who is here?\tC\t1\n"
    )
    found = reader.read(write(content), faults)
    assert [(each["question"], each["label"]) for each in found] == [("Where is A?", "here"), ("Who is here?", "C")]
    places = [message.split(": ")[0].rsplit(":", 1)[1] for message in faults.messages]
    assert places == ["4", "5", "7"]
    assert "since" in faults.messages[1]


def test_mutated_files_are_read_or_refused_and_nothing_is_lost(write, mutations):
    for data in mutations(STORY.encode()):
        path, faults = write(data), Faults(skip=True)
        try:
            examples = reader.read(path, faults)
        except InputError:
            continue
        asked = sum(b"\t" in line.strip(b"\n\r") for line in data.splitlines() if line.strip())
        assert len(examples) <= asked <= len(examples) + len(faults.messages)
        for each in examples:
            assert each["story"]
            assert all(each["story"])
            assert each["question"]
            assert each["label"].strip(", ")
        if not faults.messages:
            assert reader.read(path, Faults()) == examples
        else:
            with pytest.raises(InputError, match=r"qa3_mine_train.txt:\d+: "):
                reader.read(path, Faults())


@needs_data
@pytest.mark.parametrize("folder", [DATA, DATA / "qa" / "babi"])
def test_published_files_of_some_tasks(folder):
    parts = babi.load(folder, "2,15")
    assert parts["notes"] == []
    for split in ("train", "test"):
        assert Counter(each["task"] for each in parts[split]) == {"qa2": 1000, "qa15": 1000}
    assert parts["train"][0]["label"] == "garden"


@needs_data
def test_published_files_of_all_tasks():
    assert babi.available(DATA)
    parts = babi.load(DATA, "joint")
    assert {split: len(parts[split]) for split in ("train", "test")} == babi.SIZES
    assert parts["notes"] == []
    assert list(dict.fromkeys(each["task"] for each in parts["test"])) == [f"qa{n}" for n in range(1, 21)]


def test_a_changed_file_gives_a_note(tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"qa1_single-supporting-fact_{split}.txt").write_text(STORY)
    assert not babi.available(tmp_path)
    parts = babi.load(tmp_path, "1")
    assert len(parts["train"]) == 3
    assert [note.split(":")[0] for note in parts["notes"]] == ["train", "test"]
    assert "not the published file" in parts["notes"][0]


def test_without_the_files_the_error_says_where_they_are_to_be_had(tmp_path):
    with pytest.raises(InputError, match=r"qa1_single-supporting-fact_train.txt is not on this machine.*--data-dir"):
        babi.load(tmp_path)


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("21", r"babi:21: there is no task '21'; expected joint .*from 1 to 20"),
        ("1,x", "there is no task 'x'"),
        ("1,", "there is no task ''"),
        ("3,3", "a task is named twice"),
        ("03", "there is no task '03'"),
    ],
)
def test_wrong_variants_are_refused(variant, message):
    with pytest.raises(InputError, match=message):
        babi.load(None, variant)


def test_the_search_is_the_one_of_all_datasets(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(sources, "find_file", lambda names, **where: asked.append((names, where)))
    assert not babi.available(tmp_path)
    assert asked[0] == (["qa1_single-supporting-fact_train.txt"], {"data_dir": tmp_path, "subfolder": "qa/babi"})
