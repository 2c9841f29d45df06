"""The leaderboard's file: what goes in comes out, and what is not a leaderboard is refused with a reason."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

import leaderboard
from suite.errors import InputError, RunError
from suite.task import Result

ROOT = Path(leaderboard.__file__).parents[1]
HEADER = ",".join(leaderboard.COLUMNS)
N = len(leaderboard.COLUMNS)
OLD_COLUMNS = [name for name, column in leaderboard.COLUMNS.items() if column.since == 1]


def rows(run_id="r1", **changes):
    defaults = {
        "timestamp": "2025-01-31T12:00:00+00:00",
        "suite_version": "0.1.0",
        "task": "ner",
        "task_version": 1,
        "dataset": "tiny",
        "dataset_hash": "0a",
        "split": "test",
        "model": "transformer",
        "config_hash": "0b",
        "seed": 0,
        "metric": "f1",
        "scores": {"f1": 0.6, "loss": 1.5},
        "n_examples": 100,
    }
    return leaderboard.rows(Result(run_id=run_id, **{**defaults, **changes}))


@pytest.fixture
def board(tmp_path):
    """A board with two rows."""
    path = tmp_path / "board.csv"
    leaderboard.append(path, rows())
    return path


def beside(path):
    return sorted(other.name for other in path.parent.iterdir() if other != path)


def refused(path, match, error=InputError):
    """Neither check, append nor, for a wrong file, read_csv takes it, and its bytes stay."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error, match=match):
        leaderboard.check(path)
    with pytest.raises(error, match=match):
        leaderboard.append(path, rows("new"))
    assert before is None or path.read_bytes() == before
    assert not [name for name in beside(path) if name.endswith((".tmp", ".bak"))]


def test_a_board_is_made_with_its_folder_and_grows(tmp_path):
    path = tmp_path / "results" / "2025" / "board.csv"
    leaderboard.check(path)
    assert not path.exists()
    assert leaderboard.append(path, rows("a")) == 2
    assert leaderboard.append(path, rows("b")) == 2
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == HEADER
    assert list(leaderboard.read_csv(path)["run_id"]) == ["a", "a", "b", "b"]
    assert beside(path) == ["board.csv.lock"]


def test_the_table_has_the_declared_dtypes_full_or_empty(board, tmp_path):
    leaderboard.append(board, rows("r2", status="failed", note="no memory", params=3, train_seconds=0.1))
    empty = tmp_path / "empty.csv"
    empty.touch()
    for table in (leaderboard.read_csv(board), leaderboard.read_csv(empty)):
        assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
            name: column.dtype for name, column in leaderboard.COLUMNS.items()
        }
    failed = leaderboard.read_csv(board).iloc[-1]
    assert failed["value"] is pd.NA
    assert (failed["params"], failed["train_seconds"], failed["note"]) == (3, 0.1, "no memory")
    assert failed["device"] == ""


def test_scores_of_any_number_type_come_back_exactly(tmp_path):
    scores = {"f1": np.float32(0.1), "loss": 0.1 + 0.2, "steps": 7, "error": np.float64(1e-300)}
    leaderboard.append(tmp_path / "b.csv", rows(scores=scores, params=np.int64(2**62 + 1)))
    table = leaderboard.read_csv(tmp_path / "b.csv")
    assert list(table["value"]) == [float(value) for value in scores.values()]
    assert set(table["params"]) == {2**62 + 1}
    plain = pd.read_csv(tmp_path / "b.csv", float_precision="round_trip")
    assert list(plain["value"]) == [float(value) for value in scores.values()]


@pytest.mark.parametrize(
    "note", ['a, "b"; c', "naïve 漢字 🙂", "=1+1", "-x", "@a", "+1", "'=1", "don't", '"', "", "\\", "NA"]
)
def test_notes_come_back_as_they_were(board, note):
    leaderboard.append(board, rows("r2", note=note))
    assert set(leaderboard.read_csv(board).query("run_id == 'r2'")["note"]) == {note}


def test_line_ends_and_what_utf8_cannot_hold_do_no_harm(board):
    made = [{**row, "note": "a\r\nb\0c\udcff\x85d"} for row in rows("r2")]
    leaderboard.append(board, made)
    assert len(board.read_text(encoding="utf-8").splitlines()) == 5
    assert leaderboard.read_csv(board)["note"].iloc[-1] == "a b c? d"


def test_formulas_are_harmless_in_the_file(board):
    leaderboard.append(board, rows("=cmd|' /C calc'!A0", note="@SUM(1)"))
    with board.open(encoding="utf-8", newline="") as file:
        assert not [cell for line in csv.reader(file) for cell in line if cell.startswith(("=", "+", "-", "@"))]
    assert leaderboard.append(board, rows("=cmd|' /C calc'!A0", note="@SUM(1)")) == 0


def test_the_same_row_is_added_once(board):
    before = board.read_bytes()
    assert leaderboard.append(board, rows()) == 0
    assert board.read_bytes() == before
    assert leaderboard.append(board, [*rows("r2"), *rows("r2")]) == 2
    assert leaderboard.append(board, rows("r2", scores={"f1": 0.6, "loss": 1.5, "accuracy": 0.5})) == 1


def test_another_value_for_a_row_that_is_there_is_not_lost_in_silence(board):
    with pytest.warns(UserWarning, match="'r1', metric 'f1': the board holds 0.6 .* 0.7 was not added"):
        assert leaderboard.append(board, rows(scores={"f1": 0.7})) == 0


def test_a_run_that_failed_and_was_resumed_gets_its_scores(tmp_path):
    path = tmp_path / "b.csv"
    assert leaderboard.append(path, rows(status="failed", note="no memory")) == 1
    assert leaderboard.append(path, rows(status="failed", note="no memory")) == 0
    assert leaderboard.append(path, rows()) == 2
    assert list(leaderboard.read_csv(path)["status"]) == ["failed", "ok", "ok"]


def test_rows_with_other_columns_are_a_mistake_of_the_caller(board):
    (row, _) = rows("r2")
    with pytest.raises(ValueError, match=r"Missing or unknown: colour$"):
        leaderboard.append(board, [{**row, "colour": "red"}])
    with pytest.raises(ValueError, match=r"Missing or unknown: seed$"):
        leaderboard.append(board, [{name: value for name, value in row.items() if name != "seed"}])
    with pytest.raises(ValueError, match="'epochs' holds Int64"):
        leaderboard.append(board, [{**row, "epochs": "many"}])
    assert len(leaderboard.read_csv(board)) == 2


def test_columns_and_bytes_of_others_are_kept(board):
    lines = board.read_text(encoding="utf-8").splitlines()
    text = "\r\n".join([f"mark,{lines[0]},who", *(f'"é, ""x""\nmore",{line},ann' for line in lines[1:])]) + "\r\n"
    board.write_bytes(b"\xef\xbb\xbf" + text.encode())
    leaderboard.append(board, rows("r2"))
    assert board.read_bytes().startswith(b"\xef\xbb\xbf" + text.encode())
    table = leaderboard.read_csv(board)
    assert list(table["mark"]) == ['é, "x"\nmore'] * 2 + [""] * 2
    assert list(table["who"]) == ["ann", "ann", "", ""]
    assert list(table["run_id"]) == ["r1", "r1", "r2", "r2"]
    assert str(table["who"].dtype) == "string"


def test_a_file_that_pandas_or_a_spreadsheet_saved_is_read_alike(board):
    leaderboard.append(board, rows("r2", epochs=3))
    ours = leaderboard.read_csv(board)
    pd.read_csv(board).to_csv(board, index=False)  # epochs become 3.0
    assert "3.0" in board.read_text(encoding="utf-8")
    pd.testing.assert_frame_equal(leaderboard.read_csv(board), ours)
    board.write_text(board.read_text(encoding="utf-8").replace("True", "TRUE"), encoding="utf-8")
    pd.testing.assert_frame_equal(leaderboard.read_csv(board), ours)


def test_a_board_of_the_first_schema_is_read_and_gets_the_new_columns_when_it_is_appended_to(board):
    table = pd.read_csv(board, dtype=str, keep_default_na=False)[OLD_COLUMNS]
    table["schema_version"] = "1"
    table.insert(3, "who", 'ann, "b"')
    table.to_csv(board, index=False)
    old = board.read_bytes()
    read = leaderboard.read_csv(board)
    assert {name: str(read[name].dtype) for name in leaderboard.COLUMNS} == {
        name: column.dtype for name, column in leaderboard.COLUMNS.items()
    }
    assert (list(read["who"]), list(read["certificate"])) == (['ann, "b"'] * 2, ["", ""])
    assert read["trials"].isna().all()
    leaderboard.check(board)
    assert board.read_bytes() == old  # looking changes nothing

    leaderboard.append(board, rows("r2"))
    header = board.read_text(encoding="utf-8").splitlines()[0].split(",")
    assert header.index("who") == 3
    assert [name for name in header if name != "who"] == list(leaderboard.COLUMNS)
    pd.testing.assert_frame_equal(leaderboard.read_csv(board)[:2], read)
    assert list(leaderboard.read_csv(board)["schema_version"]) == [1, 1, 2, 2]
    assert board.with_name("board.csv.v1.bak").read_bytes() == old
    before = board.read_bytes()
    leaderboard.append(board, rows("r3"))
    assert board.read_bytes().startswith(before)


def test_an_old_board_with_a_byte_order_mark_and_foreign_line_ends_keeps_its_values(board):
    table = pd.read_csv(board, dtype=str, keep_default_na=False)[OLD_COLUMNS]
    board.write_bytes(b"\xef\xbb\xbf" + table.to_csv(index=False, lineterminator="\r\n").encode())
    read = leaderboard.read_csv(board)
    leaderboard.append(board, rows("r2"))
    assert board.read_bytes().startswith(b"\xef\xbb\xbfschema_version,")
    pd.testing.assert_frame_equal(leaderboard.read_csv(board)[:2], read)


def test_a_link_stays_a_link_and_the_mode_stays(board, tmp_path):
    board.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(board)
    leaderboard.append(link, rows("r2"))
    assert link.is_symlink()
    assert len(leaderboard.read_csv(board)) == 4
    assert board.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"name,price,seed\nx,1,2\n", "line 1: .*Columns missing: schema_version, run_id.*unknown: name, price. Name"),
        (HEADER.replace("seed,", "").encode() + b"\n", "line 1: .*Columns missing: seed; unknown: none"),
        (HEADER[:50].encode(), "line 1: .*Columns missing"),
        (f"{HEADER},seed\n".encode(), "line 1: columns that appear twice: seed"),
        (f"{HEADER}\n3{',' * (N - 1)}\n".encode(), "line 2: schema version 3, newer than 2.*update the suite"),
        (f"{HEADER}\n3{',' * (N - 1)}".encode(), "line 2: schema version 3, newer than 2.*update the suite"),
        (b"schema_version,who\n1,x\n3,y\n", "line 3: schema version 3, newer than 2.*update the suite"),
        (f"{HEADER}\none{',' * (N - 1)}\n".encode(), "line 2: column 'schema_version' holds Int64. Received: 'one'"),
        (f"{HEADER}\n\n1,r1\n1{',' * (N - 1)}\n".encode(), f"line 3: 2 cells, where the header has {N}"),
        (f"{HEADER.removeprefix('schema_version,')},schema_version\nr1\n".encode(), "line 2: 1 cells, where"),
        (f'{HEADER}\n1,"r1{"," * (N - 1)}\n1,r2{"," * (N - 2)}\n'.encode(), "line 2: not a row of a CSV file"),
        (f"{HEADER}\n1,caf\xe9{',' * (N - 2)}\n".encode("latin-1"), "line 2: not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "line 1: not UTF-8"),
        (f"{HEADER}\n\0\0\0\n".encode(), "line 2: a zero byte"),
        (HEADER.encode("utf-16"), "line 1: not UTF-8"),
    ],
)
def test_a_file_that_is_no_leaderboard_is_refused_and_left_alone(tmp_path, content, match):
    path = tmp_path / "board.csv"
    path.write_bytes(content)
    refused(path, match)
    with pytest.raises(InputError, match=match):
        leaderboard.read_csv(path)


def test_a_cell_of_the_wrong_type_is_named_by_its_line(board):
    board.write_text(board.read_text(encoding="utf-8").replace("1.5", "good"), encoding="utf-8")
    with pytest.raises(InputError, match=r"board\.csv, line 3: column 'value' holds Float64. Received: 'good'"):
        leaderboard.read_csv(board)


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    refused(tmp_path / "folder", "folder: .*this is a folder")
    for path in (tmp_path / "file" / "a.csv", tmp_path / "file" / "b" / "a.csv", tmp_path / ("n" * 300)):
        with pytest.raises(InputError, match=r"is a file, not a folder|File name too long"):
            leaderboard.check(path)
    with pytest.raises(InputError, match="folder: cannot read the leaderboard"):
        leaderboard.read_csv(tmp_path / "folder")
    with pytest.raises(InputError, match=r"none\.csv: cannot read the leaderboard: .*No such file"):
        leaderboard.read_csv(tmp_path / "none.csv")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a /proc, where nobody may make files")
@pytest.mark.parametrize("path", ["/proc/board.csv", "/proc/none/board.csv"])
def test_a_folder_that_takes_no_files_is_refused_at_once(path):
    with pytest.raises(InputError, match="cannot write the leaderboard"):
        leaderboard.check(path, wait_seconds=0)


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_read_only_is_refused(board, folder, monkeypatch):
    """As the operating system says it, since a test that runs as root may write everywhere."""
    real = Path.open

    def read_only(self, mode="r", *args, **kwargs):
        if mode == ("xb" if folder else "r+b"):
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", read_only)
    refused(board, r"board\.csv: cannot write the leaderboard: .*Permission denied.*board.csv")


@pytest.mark.parametrize("lost", ["ve, so", "ok,", "1.5,", "test,", "5-01-31", "2,2025"])
def test_a_row_that_was_cut_off_is_taken_out_with_a_backup(board, lost):
    leaderboard.append(board, rows("r2", note="naïve, so"))
    whole = board.read_bytes()
    cut = whole[: whole.rindex(lost.encode())]  # within a quoted cell, a number, a name ...
    for act in (leaderboard.check, lambda path: leaderboard.append(path, [])):
        board.write_bytes(cut)
        with pytest.warns(UserWarning, match=r"left out"):
            assert len(leaderboard.read_csv(board)) == 3
        assert board.read_bytes() == cut
        with pytest.warns(UserWarning, match=r"cut off and is taken out; .*board\.csv\.bak"):
            act(board)
        assert board.read_bytes() == whole[: whole[:-1].rindex(b"\n") + 1]
        assert board.with_name("board.csv.bak").read_bytes() == cut
    assert leaderboard.append(board, rows("r2", note="naïve, so")) == 1
    assert board.read_bytes() == whole


def test_a_row_cut_within_a_character_is_taken_out(board):
    whole = board.read_bytes()
    board.write_bytes(whole + b"1,caf\xc3")
    with pytest.warns(UserWarning, match="cut off"):
        leaderboard.check(board)
    assert board.read_bytes() == whole


def test_a_whole_last_row_without_line_end_is_kept(board):
    board.write_bytes(board.read_bytes().removesuffix(b"\n"))
    assert leaderboard.append(board, rows("r2")) == 2
    assert list(leaderboard.read_csv(board)["run_id"]) == ["r1", "r1", "r2", "r2"]


def test_a_number_at_the_end_of_a_file_without_line_end_is_not_trusted(board):
    table = pd.read_csv(board, dtype=str, keep_default_na=False)
    table[[*table.columns.drop("n_examples"), "n_examples"]].to_csv(board, index=False)
    board.write_bytes(board.read_bytes().removesuffix(b"0\n"))  # 100 examples are now 10
    with pytest.warns(UserWarning, match="left out"):
        assert list(leaderboard.read_csv(board)["n_examples"]) == [100]


def test_a_lock_that_is_never_released_is_named(board):
    with FileLock(f"{board}.lock"):
        with pytest.raises(RunError, match=r"board\.csv\.lock: another run has held this lock for 0\.05 s"):
            leaderboard.check(board, wait_seconds=0.05)
        with pytest.raises(RunError, match=r"board\.csv\.lock"):
            leaderboard.append(board, rows("r2"), wait_seconds=0.05)
        assert len(leaderboard.read_csv(board)) == 2


def test_importing_and_appending_need_nothing_heavy(tmp_path):
    script = (
        "import sys, leaderboard\n"
        "row = {n: '' if c.dtype == 'string' else None for n, c in leaderboard.COLUMNS.items()}\n"
        f"leaderboard.check({str(tmp_path / 'b.csv')!r})\n"
        f"leaderboard.append({str(tmp_path / 'b.csv')!r}, [row])\n"
        "sys.exit(' '.join({'numpy', 'pandas', 'keras', 'tensorflow'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
