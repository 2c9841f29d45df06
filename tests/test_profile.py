"""Where the time of a run goes: parts that add up, and a trace in which nothing compiles."""

import json
import time

import keras
import pytest
from typer.testing import CliRunner

import leaderboard
from suite import profile as profiling
from suite.cli import app
from suite.profile import PARTS, Profile, Window

RUN = ["run", "--task", "ner", "--model", "cnn", "--model", "majority", "--limit", "200", "--epochs", "2", "--quiet"]
RUN += [
    "--set",
    "data.buckets=1",
    "--set",
    "model.width=16",
    "--set",
    "model.depth=1",
    "--device",
    "cpu",
    "--precision",
    "float32",
]


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    now = [0.0]
    monkeypatch.setattr(profiling.time, "perf_counter", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_inner_parts_count_once_and_what_is_left_is_named(clock):
    profile = Profile()
    clock(1)
    with profile.part("training"):
        clock(2)
        with profile.part("saving"):
            clock(4)
        clock(8)
        profile.move(3, "compile")
    clock(16)
    assert profile.seconds() == {"training": 7, "compile": 3, "saving": 4, "other": 17}
    assert profile.to_json()["seconds"] == 31


@pytest.fixture
def traced(monkeypatch, tmp_path):
    """Which steps of an epoch a profile would trace, without a profiler."""
    monkeypatch.setattr(profiling, "_start", lambda folder: events.append("start") or (lambda: events.append("stop")))
    events = []

    def traced(lengths, *, epoch=1, known=(), profile=None):
        profile = profile or Profile(tmp_path)
        window, known = Window(profile, lengths, epoch), set(known)
        for step, length in enumerate(lengths):
            window.before(step, known)
            known.add(length)
            window.after(step)
        window.close()
        assert events == (["start", "stop"] if profile.traced else [])
        events.clear()
        return profile.traced

    return traced


def test_six_steps_are_traced_of_shapes_that_are_compiled(traced):
    assert traced([5] * 99) == (1, 3, 8)
    assert traced([5, 9, 5, 7, 5, 5, 5, 9, 9, 7, 5]) == (1, 5, 10)
    assert traced([5] * 5) == (1, 3, 5)
    assert traced([5, 9]) is None
    assert traced([5, 9], epoch=2, known={5, 9}) == (2, 1, 2)
    assert traced([5] * 9, profile=Profile()) is None


def test_a_run_says_where_its_time_went_and_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    boards, seconds = [], 0.0
    for flags in ([], ["--profile"]):
        began = time.perf_counter()
        done = CliRunner().invoke(app, [*RUN, *flags])
        seconds = time.perf_counter() - began
        assert done.exit_code == 0, done.output
        assert ("before all" in done.stdout) == bool(flags)
        board = leaderboard.read_csv("leaderboard/results.csv")
        boards.append(board.drop_duplicates(["model", "metric"], keep="last").set_index(["model", "metric"]))
    for column in ("value", "config_hash", "epochs"):
        if column != "value" or keras.backend.backend() == "tensorflow":  # others do not promise the same bits
            assert boards[0][column].equals(boards[1][column])
    first, cnn, majority = (
        tmp_path / "runs" / boards[i]["run_id"][m].iloc[0] for i, m in ((0, "cnn"), (1, "cnn"), (1, "majority"))
    )
    assert not (first / "profile.json").exists()
    assert not (first / "trace").exists()
    profiles = [json.loads((path / "profile.json").read_text("utf8")) for path in (cnn, majority)]
    for profile in profiles:
        parts = profile["parts"]
        assert set(parts) <= set(PARTS)
        assert all(value >= 0 for value in parts.values())
        assert sum(parts.values()) == pytest.approx(profile["seconds"], abs=0.01)
    assert {"build", "probes", "compile", "training", "validation", "test", "flops", "saving", "trace"} <= set(
        profiles[0]["parts"]
    )
    assert profiles[0]["parts"]["other"] < 0.1 * profiles[0]["seconds"]
    assert sum(profile["seconds"] for profile in profiles) < seconds
    row = boards[1].loc[("cnn", "f1")]
    own = sum(
        profiles[0]["parts"].get(part, 0) for part in ("data", "compile", "training", "validation", "saving", "trace")
    )
    assert row["train_seconds"] + row["compile_seconds"] <= own * 1.02
    assert profiles[0]["trace"]["last_step"] - profiles[0]["trace"]["first_step"] < 6
    files = [path for path in (cnn / "trace").rglob("*") if path.is_file()]
    assert {"tensorflow": "xplane.pb", "jax": "trace.json.gz", "torch": "trace.json"}[keras.backend.backend()] in {
        path.name.split(".", 1)[1] if path.name != "trace.json" else path.name for path in files
    }
    assert sum(path.stat().st_size for path in files) < 20e6
    assert not (majority / "trace").exists()
