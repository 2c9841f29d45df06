"""Files by class: listed in order, and what cannot be used is named."""

import contextlib

import pytest

from suite.data import folders
from suite.errors import InputError
from suite.faults import Faults

SUFFIXES = {".png"}


def read(path, *, skip=False):
    faults = Faults(skip=skip)
    return folders.read(path, faults, suffixes=SUFFIXES, describe=lambda path: {}, kind="picture"), faults.messages


@pytest.fixture
def pictures(tmp_path):
    for name in ("dog/a.png", "cat/b.PNG", "cat/deep/a.png", ".hidden/x.png", "cat/.DS_Store"):
        file = tmp_path / "pictures" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path / "pictures"


def test_a_folder_of_folders_gives_each_file_with_its_class(pictures):
    entries, _ = read(pictures)
    assert [(entry["path"][len(str(pictures)) + 1 :], entry["label"]) for entry in entries] == [
        ("cat/b.PNG", "cat"),
        ("cat/deep/a.png", "cat"),
        ("dog/a.png", "dog"),
    ]
    assert len({entry["digest"] for entry in entries}) == 3


def test_a_table_gives_each_row(pictures):
    table = pictures / "all.csv"
    table.write_text('\ufeffFile,Label\n"dog/a.png",hound\ncat/b.PNG,cat\n', "utf8")
    assert [entry["label"] for entry in read(table)[0]] == ["hound", "cat"]
    (pictures / "all.tsv").write_text("label\tpath\ncat\tcat/b.PNG\n", "utf8")
    assert [entry["label"] for entry in read(pictures / "all.tsv")[0]] == ["cat"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na.png,x\n", r"all\.csv:1: no column 'path' .*header has name, label"),
        ("path,kind\na.png,x\n", r"all\.csv:1: no column 'label'"),
        ("path,label\ndog/a.png,x\nnone.png,x\n", r"all\.csv:3: none\.png: no such file"),
        ("path,label\ndog/a.png,\n", r"all\.csv:2: no label"),
        ("path,label\n,x\n", r"all\.csv:2: no path"),
        ("path,label\ncat/b.gif,x\n", r"all\.csv:2: cat/b\.gif is not a picture; expected \.png"),
        ("path,label\n", "no picture in it that can be used"),
        ("", "not a table"),
    ],
)
def test_faults_of_a_table_are_named_with_their_line(pictures, text, message):
    table = pictures / "all.csv"
    table.write_text(text, "utf8")
    with pytest.raises(InputError, match=message):
        read(table)


def test_other_files_in_a_folder_are_named_or_left_out_and_counted(pictures):
    (pictures / "dog" / "notes.txt").write_text("x")
    (pictures / "lost.png").write_text("x")
    with pytest.raises(InputError, match=r"notes\.txt: not a picture; expected \.png"):
        read(pictures)
    entries, messages = read(pictures, skip=True)
    assert (len(entries), len(messages)) == (3, 2)


def test_what_is_no_folder_or_has_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no picture in it"):
        read(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"\0")
    with pytest.raises(InputError, match="expected a folder"):
        read(tmp_path / "x.bin")


def test_damaged_tables_are_read_or_refused(pictures, mutations):
    table = pictures / "all.csv"
    for data in mutations(b'path,label\n"dog/a.png",hound\ncat/b.PNG,cat\ncat/deep/a.png,cat\n', count=300):
        table.write_bytes(data)
        with contextlib.suppress(InputError):  # anything else is a fault of the reader
            entries, messages = read(table, skip=True)
            assert entries
            assert all(message.startswith(str(table)) for message in messages)
