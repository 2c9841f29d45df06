"""The command line as a user meets it, with the models that need no framework."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import leaderboard
from suite.cli import app

ROOT = Path(__file__).parents[1]
TRAIN = "EU B-ORG\nrejects O\nGerman B-MISC\ncall O\n\nPeter B-PER\nBlackburn I-PER\n\nBRUSSELS B-LOC\n\n" * 3
QUICK = ["--model", "majority", "--model", "classic"]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs `python -m suite ...` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return call


@pytest.fixture
def own(tmp_path):
    """Files of the user's own."""
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.conll").write_text(TRAIN, "utf8")
    return ["--train", "train.conll", "--validation", "validation.conll", "--test", "test.conll"]


def test_a_run_on_own_files_writes_rows_files_and_a_table(call, own, tmp_path):
    result = call("run", "--task", "ner", *own, *QUICK)
    assert "f1 ↑" in result.stdout
    assert "leaderboard/results.csv" in result.stdout
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv")
    primary = board[board["primary"]]
    assert sorted(primary["model"]) == ["classic", "majority"]
    assert set(primary["status"]) == {"ok"}
    assert set(primary["dataset"]) == {"train.conll"}
    assert list(primary["value"]) == [1.0, 1.0]
    for run_id in primary["run_id"]:
        files = {path.name for path in (tmp_path / "runs" / run_id).iterdir()}
        assert files >= {"run.json", "environment.json", "outcomes.jsonl", "result.json"}
        assert len((tmp_path / "runs" / run_id / "outcomes.jsonl").read_text("utf8").splitlines()) == 9


def test_own_files_take_no_overlay_of_the_default_dataset(call, own, tmp_path):
    call("run", "--task", "ner", *own, "--model", "majority")
    (directory,) = (tmp_path / "runs").iterdir()
    settings = json.loads((directory / "run.json").read_text("utf8"))["config"]
    from suite import config

    (base,) = config.resolve(config.wanted("ner", dataset="anything", models=["majority"]))
    assert settings["features"] == base.features.model_dump()
    assert settings["train"] == base.train.model_dump()


def test_own_files_replace_splits_of_a_named_dataset(call, own, tmp_path):
    result = call("run", "--task", "ner", "--dataset", "news", "--test", "test.conll", "--model", "majority")
    assert "news with own test, test, 9 examples" in result.stdout


def test_json_goes_to_standard_output_alone(call, own):
    result = call("run", "--task", "ner", *own, *QUICK, "--json")
    value = json.loads(result.stdout)
    assert [r["model"] for r in value["results"]] == ["majority", "classic"]
    assert value["results"][0]["scores"]["f1"] == 1.0


def test_quiet_shows_the_table_and_nothing_else(call, own):
    result = call("run", "--task", "ner", *own, *QUICK, "--quiet")
    assert result.stderr == ""
    assert "results.csv" not in result.stdout
    assert "majority" in result.stdout


def test_the_ceiling_is_recorded_once(call, tmp_path):
    for _ in range(2):
        call("run", "--task", "ner", "--model", "majority", "--limit", "50")
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv")
    primary = board[board["primary"]]
    assert sorted(primary["model"]) == ["ceiling", "majority", "majority"]
    ceiling = primary[primary["model"] == "ceiling"]["value"].item()
    assert 0.8 < ceiling <= 1
    assert (primary["value"] <= ceiling).all()


def test_seeds_count_up_and_the_table_shows_mean_and_spread(call, own, tmp_path):
    result = call("run", "--task", "ner", *own, "--model", "majority", "--seed", "3", "--seeds", "2")
    assert "±" in result.stdout
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv")
    assert sorted(set(board["seed"])) == [3, 4]


def test_resume_keeps_what_is_finished(call, own, tmp_path):
    call("run", "--task", "ner", *own, *QUICK)
    before = (tmp_path / "leaderboard" / "results.csv").read_bytes()
    call("run", "--task", "ner", *own, *QUICK, "--resume")
    assert (tmp_path / "leaderboard" / "results.csv").read_bytes() == before
    # a run that was killed after its result was written and before its rows were
    (tmp_path / "leaderboard" / "results.csv").unlink()
    call("run", "--task", "ner", *own, *QUICK, "--resume")
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert (tmp_path / "leaderboard" / "results.csv").read_bytes() == before


def test_resume_does_not_take_other_data_for_the_same(call, own, tmp_path):
    call("run", "--task", "ner", *own, "--model", "majority")
    (tmp_path / "test.conll").write_text("EU B-ORG\n", "utf8")
    call("run", "--task", "ner", *own, "--model", "majority", "--resume")
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_failed_run_leaves_a_row_and_does_not_stop_the_others(call, own, tmp_path, monkeypatch):
    from suite import find

    def fail(*arguments):
        raise ValueError("no such luck\nmore")

    monkeypatch.setitem(find.task("ner").baselines, "classic", fail)
    result = call("run", "--task", "ner", *own, "--model", "classic", "--model", "majority", code=1)
    assert "no such luck" in result.output
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv")
    failed = board[board["model"] == "classic"]
    assert list(failed["status"]) == ["failed"]
    assert list(failed["note"]) == ["ValueError: no such luck"]
    assert "ok" in set(board[board["model"] == "majority"]["status"])
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    call("run", "--task", "ner", *own, "--model", "classic", "--resume")  # what failed is tried again
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv")
    assert "ok" in set(board[board["model"] == "classic"]["status"])


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--task", "nre"], ["unknown task 'nre'", "did you mean 'ner'"]),
        (["--task", "ner", "--model", "transfromer"], ["did you mean 'transformer'"]),
        (["--task", "ner", "--dataset", "wnut71"], ["did you mean 'wnut17'"]),
        (["--task", "ner", "--set", "train.epoch=2"], ["train.epoch", "did you mean 'epochs'"]),
        (["--task", "ner", "--limit", "0"], ["limit"]),
        (["--task", "ner", "--epochs", "0"], ["epochs"]),
        (["--task", "ner", "--max-minutes", "0"], ["--max-minutes", "greater than 0"]),
        (["--task", "ner", "--precision", "float8"], ["float8"]),
        (["--task", "ner", "--test", "x.conll"], ["--test", "--train"]),
        (["--task", "ner", "--dataset", "wnut17", "--data-dir", "nowhere"], ["nowhere"]),
        (["--taks", "ner"], ["--taks"]),
        ([], ["--task"]),
    ],
)
def test_wrong_usage_is_named_and_leaves_nothing(call, tmp_path, arguments, parts):
    result = call("run", *arguments, code=2)
    for part in parts:
        assert part in " ".join(result.stderr.replace("│", " ").split())
    assert not list(tmp_path.rglob("*.csv"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"EU B-ORG\nrejects\n", [":2", "2 columns"]),
        (b"EU B-ORG\nrejects VERB\n", [":2", "'VERB'"]),
        (b"", ["no sentence"]),
        (b"EU B-ORG\n\xff\xfe O\n", [":2", "UTF-8"]),
        (b"EU\0 B-ORG\n", [":1", "zero byte"]),
        (None, ["no such file"]),
    ],
)
def test_wrong_files_are_named_with_the_line(call, own, tmp_path, content, parts):
    path = tmp_path / "train.conll"
    path.unlink() if content is None else path.write_bytes(content)
    result = call("run", "--task", "ner", *own, *QUICK, code=2)
    for part in ["train.conll", *parts]:
        assert part in result.stderr
    assert not (tmp_path / "runs").exists()


def test_tags_that_training_never_had_are_kept_counted_and_reported(call, own, tmp_path):
    (tmp_path / "test.conll").write_text("EU B-ORG\n1966 B-DATE\n", "utf8")
    result = call("run", "--task", "ner", *own, *QUICK)
    assert "B-DATE (1)" in result.stderr
    board = leaderboard.read_csv(tmp_path / "leaderboard" / "results.csv")
    classic = board[board["model"] == "classic"].set_index("metric")["value"]
    assert classic["recall"] == 0.5
    assert classic["recall/DATE"] == 0.0


@pytest.mark.parametrize("train", ["EU O\nrejects O\n\n" * 4, "EU B-X\n\n" * 4, "EU B-X\n" * 5000 + "\nEU O\n"])
def test_odd_training_sets_run(call, own, tmp_path, train):
    (tmp_path / "train.conll").write_text(train, "utf8")
    call("run", "--task", "ner", *own, *QUICK)


def test_one_sentence_cannot_be_cut_into_splits(call, own, tmp_path):
    (tmp_path / "train.conll").write_text("EU B-ORG\nrejects O\n", "utf8")
    result = call("run", "--task", "ner", "--train", "train.conll", *QUICK, code=2)
    assert "at least 2 training examples" in result.stderr
    call("run", "--task", "ner", *own, *QUICK)  # with files for the other splits one sentence is enough


@pytest.mark.parametrize("kind", ["folder", "foreign", "device"])
def test_a_leaderboard_that_cannot_be_written_stops_the_command_before_training(call, own, tmp_path, kind):
    path = tmp_path / "board.csv"
    if kind == "folder":
        path.mkdir()
    elif kind == "foreign":
        path.write_text("date,amount\n2020-01-01,3\n", "utf8")
    else:
        path = Path("/proc/board.csv")
        if not path.parent.exists():
            pytest.skip("a folder that nobody can write to is needed, such as /proc")
    result = call("run", "--task", "ner", *own, *QUICK, "--leaderboard", path, code=2)
    assert str(path) in result.stderr
    assert not (tmp_path / "runs").exists()
    if kind == "foreign":
        assert path.read_text("utf8") == "date,amount\n2020-01-01,3\n"


def test_no_space_left_is_said_and_the_board_stays_whole(call, own, tmp_path, monkeypatch):
    call("run", "--task", "ner", *own, "--model", "majority")
    before = (tmp_path / "leaderboard" / "results.csv").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = call("run", "--task", "ner", *own, "--model", "majority", code=1)
    assert "space" in result.stderr.lower()
    assert (tmp_path / "leaderboard" / "results.csv").read_bytes() == before
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name.startswith(".r")]


def test_debug_shows_where_it_happened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", "--task", "nre", "--debug"])
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_list_shows_tasks_models_and_datasets(call):
    text = call("list").stdout
    for part in ("ner", "transformer", "classic", "wnut17", "CC BY 4.0", "available offline"):
        assert part in text
    (ner,) = [task for task in json.loads(call("list", "--json").stdout)["tasks"] if task["name"] == "ner"]
    news = next(dataset for dataset in ner["datasets"] if dataset["name"] == "news")
    assert news["available_offline"] is True
    assert news["examples"]["train"] >= 1000
    assert {"transformer", "rnn", "gru", "lstm", "simple_rnn", "cnn", "classic", "majority"} <= set(ner["models"])


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list"]])
def test_help_and_list_import_no_framework(arguments):
    code = (
        "import sys; from suite.cli import app; "
        f"app({arguments!r}, standalone_mode=False); "
        "slow = {'keras', 'tensorflow', 'jax', 'torch', 'sklearn', 'pandas', 'tensorflow_datasets', 'seqeval'}; "
        "heavy = slow & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_dataset_that_cannot_be_fetched_is_an_error_at_once(call, tmp_path, monkeypatch):
    monkeypatch.delenv("SUITE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("socket.socket.connect", _unreachable)
    began = time.perf_counter()
    result = call("run", "--task", "ner", "--dataset", "wnut17", *QUICK, code=2)
    assert time.perf_counter() - began < 5
    assert "--data-dir" in result.stderr


def _unreachable(*arguments):
    raise OSError(101, "Network is unreachable")
