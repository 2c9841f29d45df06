"""Reading SQuAD's JSON: right files give all their questions, wrong ones one line that says what is wrong and where."""

import copy
import json

import pytest

from suite.data import squad
from suite.errors import InputError
from suite.faults import Faults

CONTEXT = "In 1066 the 😀 Normans took e\u0301te\u0301 from 東京 and Москва."


def answer(text, context=CONTEXT):
    return {"text": text, "answer_start": context.index(text)}


FILE = {
    "version": "v2.0",
    "data": [
        {
            "title": "Normans",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {"id": "q1", "question": "When?", "answers": [answer("1066"), answer("In 1066")]},
                        {"id": "q2", "question": "Where?", "answers": [answer("東京")], "is_impossible": False},
                        {"id": "q3", "question": "Who?", "answers": [], "is_impossible": True},
                    ],
                },
                {"context": "Two.", "qas": [{"id": "q4", "question": "¿?", "answers": [answer("Two", "Two.")]}]},
            ],
        }
    ],
}


def write(folder, content):
    path = folder / "x.json"
    if not isinstance(content, bytes):
        content = json.dumps(content, ensure_ascii=False).encode()
    path.write_bytes(content)
    return path


def read(path, *, skip=False):
    faults = Faults(skip=skip)
    return squad.read(path, faults), faults.messages


def changed(change):
    file = copy.deepcopy(FILE)
    change(file["data"][0]["paragraphs"][0])
    return file


def test_every_question_with_its_answers(tmp_path):
    examples, _ = read(write(tmp_path, FILE))
    assert [example["id"] for example in examples] == ["q1", "q2", "q3", "q4"]
    assert examples[0]["answers"] == [{"text": "1066", "start": 3}, {"text": "In 1066", "start": 0}]
    assert examples[2]["answers"] == []
    assert examples[0]["title"] == "Normans"
    for example in examples:
        for each in example["answers"]:
            assert example["context"][each["start"] :].startswith(each["text"])


@pytest.mark.parametrize("form", ["bom", "escaped", "indented"])
def test_other_forms_of_the_same_file(tmp_path, form):
    same = {
        "bom": b"\xef\xbb\xbf" + json.dumps(FILE).encode(),
        "escaped": json.dumps(FILE, ensure_ascii=True).encode(),
        "indented": json.dumps(FILE, indent=3).replace("\n", "\r\n").encode(),
    }[form]
    assert read(write(tmp_path, same)) == read(write(tmp_path, FILE))


def first(paragraph, **values):
    paragraph["qas"][0].update(values)


FAULTS = {
    "elsewhere": (lambda p: p["qas"][0]["answers"][0].update(answer_start=4), r"'1066' does not occur at character 4"),
    "beyond": (lambda p: p["qas"][0]["answers"][1].update(answer_start=999), r"at character 999 .* nothing stands"),
    "nowhere": (lambda p: p["qas"][0]["answers"][0].update(text="1067"), r"'1067' does not.*occurs nowhere"),
    "negative": (lambda p: p["qas"][0]["answers"][0].update(answer_start=-1), r"character -1"),
    "start": (lambda p: p["qas"][0]["answers"][0].update(answer_start="3"), r"answer_start is '3'"),
    "true": (lambda p: p["qas"][0]["answers"][0].update(answer_start=True), r"answer_start is True"),
    "no start": (lambda p: p["qas"][0]["answers"][0].pop("answer_start"), r"answer_start is missing"),
    "empty answer": (lambda p: p["qas"][0]["answers"][0].update(text=""), r"an answer's text is ''"),
    "no list": (lambda p: first(p, answers="1066"), r"answers is '1066'; expected a list"),
    "no mapping": (lambda p: first(p, answers=["1066"]), r"an answer is '1066'"),
    "no answer": (lambda p: first(p, answers=[]), r'no answer; expected at least one, or "is_impossible": true'),
    "both": (lambda p: first(p, is_impossible=True), r"is_impossible, and yet it has answers"),
    "impossible": (lambda p: first(p, is_impossible="no"), r"is_impossible is 'no'"),
    "question": (lambda p: first(p, question="  "), r"question is '  '; expected a text that is not empty"),
    "surrogate": (lambda p: first(p, question="\ud83d?"), r"half a surrogate pair"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_question_that_cannot_be_used_is_named_by_file_and_id(tmp_path, name):
    change, message = FAULTS[name]
    path = write(tmp_path, json.dumps(changed(change)).encode())
    with pytest.raises(InputError, match=rf"x\.json: question q1: .*{message}"):
        read(path)
    examples, messages = read(path, skip=True)
    assert [example["id"] for example in examples] == ["q2", "q3", "q4"]
    assert len(messages) == 1


@pytest.mark.parametrize(
    ("change", "message", "kept"),
    [
        (lambda p: p.pop("context"), r"x.json: question q1: context is missing", "q4"),
        (lambda p: p.update(context=""), r"question q1: context is ''", "q4"),
        (lambda p: p.pop("qas"), r"article 1, paragraph 1: qas is missing; expected a list", "q4"),
        (lambda p: p["qas"][0].pop("id"), r"paragraph 1, question 1: id is missing", "q2 q3 q4"),
        (lambda p: p["qas"].insert(0, "q0"), r"paragraph 1, question 1: received 'q0'", "q1 q2 q3 q4"),
        (lambda p: p["qas"][1].update(id="q1"), r"x.json: question q1: the id occurs twice", "q1 q3 q4"),
    ],
)
def test_other_faults_are_named_and_only_what_they_spoil_is_left_out(tmp_path, change, message, kept):
    path = write(tmp_path, changed(change))
    with pytest.raises(InputError, match=message):
        read(path)
    examples, messages = read(path, skip=True)
    assert [example["id"] for example in examples] == kept.split()
    assert len(messages) >= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "not a file in SQuAD's format; expected"),
        ({"data": {}}, "not a file in SQuAD's format"),
        ({"data": []}, "no question that can be used"),
        ({"data": [{"paragraphs": []}]}, "no question that can be used"),
        ({"data": [3]}, "article 1: paragraphs is missing"),
        ({"data": [{"paragraphs": [3]}]}, "article 1, paragraph 1: received 3"),
        (b"", r"x\.json:1: not JSON"),
        (b'{"data": [\n}', r"x\.json:2: not JSON: .* at column 1"),
        (b'{"data": "\xff"}', "byte 10 is not UTF-8"),
        (b'{"data": [], "data": []}', "the key 'data' occurs twice"),
        (b"[" * 100_000, "not JSON"),
        (b'{"data": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_files_that_hold_nothing_of_use(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, content))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.json")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)


@pytest.mark.parametrize("skip", [False, True])
def test_mutated_files_give_all_questions_or_an_input_error(tmp_path, mutations, skip):
    whole = 0
    for data in mutations(json.dumps(FILE, ensure_ascii=False, indent=1).encode()):
        path = write(tmp_path, data)
        try:
            examples, messages = read(path, skip=skip)
        except InputError:
            continue
        whole += 1
        entries = sum(
            len(paragraph["qas"]) if isinstance(paragraph, dict) and isinstance(paragraph.get("qas"), list) else 1
            for article in json.loads(data.decode("utf-8-sig"))["data"]
            for paragraph in article.get("paragraphs", [{}])
        )
        assert len(examples) + len(messages) == entries  # each is read, or named
        for example in examples:
            assert example["question"].strip()
            for each in example["answers"]:
                assert example["context"][each["start"] : each["start"] + len(each["text"])] == each["text"] != ""
    assert 20 < whole < 980
