"""Plain text: every character is there once, and what cannot be read is named with file and line."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.data import prose
from suite.errors import InputError
from suite.faults import Faults

LINES = "".join(f"Line {number} of a text in 東京.\n" for number in range(300))


def read(path, *, skip=False):
    faults = Faults(skip=skip)
    return prose.read(path, faults), faults.messages


@given(st.text(alphabet="ab\n", max_size=400), st.integers(1, 50))
@settings(deadline=None)
def test_pieces_put_together_are_the_text(text, size):
    pieces = prose.pieces(text, path="a", size=size)
    assert "".join(piece["text"] for piece in pieces) == text
    assert [piece["piece"] for piece in pieces] == list(range(len(pieces)))
    assert all(len(piece["text"]) >= size for piece in pieces[:-1])
    assert all(prose.follows(one, other) for one, other in itertools.pairwise(pieces))


def test_a_long_file_is_cut_at_ends_of_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(LINES, encoding="utf-8")
    examples, _ = read(path)
    assert 10 < len(examples) < 20
    assert all(example["text"].endswith("東京.\n") for example in examples)
    assert "".join(example["text"] for example in examples) == LINES
    assert {example["path"] for example in examples} == {str(path)}


def test_a_text_without_lines_is_cut_all_the_same():
    pieces = prose.pieces("x" * 100_000, path="a")
    assert {len(piece["text"]) for piece in pieces} == {1000}


def test_a_short_file_is_one_piece(tmp_path):
    (tmp_path / "a.txt").write_text("Short.")
    [example] = read(tmp_path / "a.txt")[0]
    assert example["text"] == "Short."


def test_a_folder_gives_its_texts_in_the_order_of_their_names(tmp_path):
    for name in ("b.txt", "a/z.TXT", ".hidden.txt", ".git/c.txt", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"in {name}")
    assert [example["text"] for example in read(tmp_path)[0]] == ["in a/z.TXT", "in b.txt"]


def test_several_files_are_given_with_a_comma(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name)
    examples, _ = read(tmp_path / f"a.txt,{tmp_path / 'b.txt'}")
    assert [example["text"] for example in examples] == ["a", "b"]
    (tmp_path / "c,d.txt").write_text("comma")
    assert read(tmp_path / "c,d.txt")[0][0]["text"] == "comma"


def test_line_ends_and_the_byte_order_mark_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read(tmp_path / "a.txt")[0][0]["text"] == "one\ntwo\nthree\n"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_what_is_not_utf_8_is_named_by_line_and_byte(tmp_path, mark):
    path = tmp_path / "a.txt"
    path.write_bytes(mark + b"one\r\ntwo\nth\xffree\n")
    with pytest.raises(InputError, match=rf"a\.txt:3: byte {len(mark) + 11} of the file, 0xff, is not UTF-8"):
        read(path)


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.txt: no text in this file"):
        read(tmp_path / "a.txt")


def test_what_cannot_be_used_can_be_left_out(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff")
    (tmp_path / "b.txt").write_bytes(b"")
    (tmp_path / "c.txt").write_bytes(b"good")
    examples, messages = read(tmp_path, skip=True)
    assert [example["text"] for example in examples] == ["good"]
    assert len(messages) == 2
    (tmp_path / "c.txt").unlink()
    with pytest.raises(InputError, match="no text in it that can be used"):
        read(tmp_path, skip=True)


def test_a_folder_without_texts_and_a_file_that_is_not_there_are_refused(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(InputError, match=r"no text in this folder; expected files that end in \.txt, found 1 other"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"b\.txt: no such file"):
        read(tmp_path / "b.txt")


def test_damaged_files_give_texts_or_an_input_error(tmp_path, mutations):
    path = tmp_path / "a.txt"
    for data in mutations(LINES[:700].encode(), count=500):
        path.write_bytes(data)
        try:
            examples = prose.read(path, Faults())
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017 - most mutations raise nothing
        else:
            assert all(example["text"] for example in examples)


def test_files_stay_together_where_there_are_many():
    files = [piece for name in "abcdefghij" for piece in prose.pieces("x\n" * 4, path=name, size=4)]
    assert prose.groups(files) == [name for name in "abcdefghij" for _ in range(2)]
    assert prose.groups(files[:6]) == list(range(6))
    assert prose.groups([{"text": "a"}] * 12) == list(range(12))
