"""Running out of memory: what is said of it, and that training in pieces is training."""

import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import leaderboard
from suite import backend, config, find, fitting, memory, optimizer, preparing, training
from suite.cli import app
from suite.data.batching import Batches
from suite.data.splits import make_splits
from suite.errors import InputError

MODEL = '''
import keras
from pydantic import BaseModel


class Config(BaseModel):
    width: int = 8
    most: int = 2
    depth: int = 1


class Hungry(keras.layers.Layer):
    """Runs out of memory as the backends do, when it trains on more than `most` examples."""

    def __init__(self, most, **kwargs):
        super().__init__(**kwargs)
        self.most = most

    def call(self, x, training=False):
        if not training:
            return x
        name = keras.backend.backend()
        if name == "tensorflow":  # which knows the size of a batch when it computes
            import tensorflow as tf

            def check(x):
                if len(x) > self.most:
                    raise MemoryError("failed to allocate 7 GiB")
                return x

            checked = tf.py_function(check, [x], x.dtype)
            checked.set_shape(x.shape)
            return checked
        if x.shape[0] is not None and x.shape[0] > self.most:
            if name == "torch":
                import torch

                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 7 GiB")
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 7 GiB")
        return x


def encoder(config):
    return lambda x, mask: Hungry(config.most)(keras.layers.Dense(config.width)(x))
'''
RUN = ["run", "--task", "ner", "--model", "hungry.py", "--limit", "20", "--epochs", "2", "--device", "cpu"]
RUN += ["--set", "train.batch_size=8", "--set", "data.buckets=1", "--set", "features.dropout=0.0"]
RUN += ["--set", "features.token_dropout=0.0", "--set", "train.clip_norm=1e9"]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs a model that trains on no more than `most` examples at once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hungry.py").write_text(MODEL, "utf8")

    def call(*arguments, most, code=0):
        done = CliRunner().invoke(app, [*RUN, "--set", f"model.most={most}", *arguments])
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        board = leaderboard.read_csv("leaderboard/results.csv")
        row = board[board["primary"] & (board["model"] == "hungry")].iloc[-1]
        return done, row

    return call


def test_a_run_that_needs_too_much_fails_and_says_what_fits(call):
    done, row = call(most=2, code=1)
    assert row["status"] == "failed"
    assert "out of memory with 8 examples in a batch; 2 examples fit" in row["note"]
    assert "--auto-batch" in row["note"]
    assert "--set train.batch_size=2" in row["note"]
    assert "7 GiB" in row["note"]
    assert "out of memory with 8 examples in a batch; 2 examples fit" in " ".join(done.stdout.split())
    _, row = call(most=0, code=1)
    assert "out of memory with 8 examples in a batch, and with fewer, too" in row["note"]


def test_auto_batch_trains_with_what_fits_and_says_so(call, tmp_path):
    done, row = call("--auto-batch", most=2)
    assert row["status"] == "ok"
    assert "batches in 4 pieces of 2 examples, for want of memory" in row["note"]
    assert "out of memory with 8 examples in a batch; 2 examples fit" in done.stderr
    _, enough = call("--auto-batch", most=8)
    assert "pieces" not in enough["note"]
    _, usual = call(most=8)
    if keras.backend.backend() == "tensorflow":
        assert enough["value"] == usual["value"]
    losses = []
    for run_id in (row["run_id"], usual["run_id"]):
        lines = (tmp_path / "runs" / run_id / "history.csv").read_text("utf8").splitlines()
        losses.append([float(line.split(",")[1]) for line in lines[1:]])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert len(losses[0]) == 2


def test_a_run_in_pieces_goes_on_in_pieces(call, tmp_path, monkeypatch):
    save = training.checkpoint.save

    def save_and_stop(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(training.checkpoint, "save", save_and_stop)
    CliRunner().invoke(app, [*RUN, "--set", "model.most=2", "--auto-batch"])
    monkeypatch.setattr(training.checkpoint, "save", save)
    _, row = call("--resume", most=2)  # without --auto-batch, and without running out of memory again
    assert "batches in 4 pieces of 2 examples" in row["note"]
    (directory,) = (tmp_path / "runs").glob("ner-*hungry*")
    assert json.loads((directory / "result.json").read_text("utf8"))["epochs"] == 2


@pytest.mark.parametrize(
    ("sets", "pieces"),
    [([], 4), (["data.batch_tokens=300"], 3), (["train.optimizer=muon"], 2)],
)
def test_updates_of_pieces_are_those_of_whole_batches(tmp_path, sets, pieces):
    """Two epochs, with batches that are not full and examples of different lengths, and no gradient clipped."""
    backend.prepare(device="cpu", precision="float32")
    tiny = ["model.width=8", "model.depth=1", "model.dropout=0.0", "features.dropout=0.0", "features.token_dropout=0.0"]
    wanted = config.wanted(
        "ner", models=["cnn"], sets=[*tiny, "train.clip_norm=1e9", "train.batch_size=10", "data.buckets=1", *sets]
    )
    (one,) = config.resolve(wanted)
    parts = find.dataset("news", schema="tokens->tags").load(None)
    splits = make_splits(parts, name="news", limit=33, labels=wanted.task.labels)
    prepared = preparing.Prepared(wanted.task, splits, one, "ner")
    weights = []
    for number in (1, pieces):
        train = fitting.batches(one, prepared, prepared.train, seed=0, pieces=number)
        model = fitting.compiled(one, prepared, train)
        for epoch in range(2):
            train.start_epoch(epoch)
            for i in range(len(train)):
                batch = train[i]
                model.train_on_batch(batch.inputs, batch.targets, sample_weight=batch.weights)
        weights.append([keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables])
    moved = 0.0
    for whole, cut in zip(*weights, strict=True):
        np.testing.assert_allclose(cut, whole, atol=2e-5)
        moved += np.abs(whole).sum()
    assert moved > 0
    config_again = keras.optimizers.deserialize(keras.optimizers.serialize(model.optimizer)).get_config()
    assert config_again["learning_rate"]["config"]["pieces"] == pieces


def test_pieces_hold_each_example_once_and_their_weights_sum_to_the_batchs_mean():
    from suite.task import Array, Encoded, Spec

    lengths = [3] * 7 + [9] * 12
    arrays = [np.full(length, i + 1, "int32") for i, length in enumerate(lengths)]
    spec = Spec(inputs={"x": Array((None,), "int32")}, target=Array((None,), "int32"))
    encoded = Encoded(inputs={"x": arrays}, targets=arrays)
    for pieces in (2, 3, 5):
        batches = Batches(encoded, spec, batch_size=5, edges=[3, 9], seed=1, pieces=pieces)
        whole = Batches(encoded, spec, batch_size=5, edges=[3, 9], seed=1)
        assert len(batches) == pieces * len(whole)
        assert batches.plan.lengths[0] != batches.plan.lengths[1]  # as Keras has to see
        rows = []
        for first in range(0, len(batches), pieces):
            parts = [batches[first + i] for i in range(pieces)]
            rows.append(sorted(row for part in parts for row in part.rows if row >= 0))
            assert sum(part.weights.sum() for part in parts) == pytest.approx(pieces)
            assert {len(part.rows) for part in parts} == {-(-5 // pieces)}
        assert sorted(row for each in rows for row in each) == list(range(len(lengths)))
        for i in range(2, len(whole)):  # the first two exchange a piece
            assert rows[i] == sorted(row for row in whole[i].rows if row >= 0)


def test_what_is_no_lack_of_memory_is_not_taken_for_one():
    assert memory.is_exhausted(MemoryError())
    for error in (ValueError("shapes differ"), InputError("data.csv: the word 'out of memory' is no label"), None):
        assert not memory.is_exhausted(error)
    wrapped = RuntimeError("step failed")
    wrapped.__cause__ = MemoryError()
    assert memory.is_exhausted(wrapped)
    with pytest.raises(ZeroDivisionError):
        memory.pieces_that_fit(lambda pieces: 1 // 0, least=2, most=8)


def test_a_loss_that_is_no_mean_over_weights_is_refused():
    from suite.errors import RunError

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    (one,) = config.resolve(config.wanted("ner", models=["cnn"]))
    with pytest.raises(RunError, match="reduction"):
        optimizer.compile_model(model, keras.losses.MeanSquaredError(), one.train, steps=5, pieces=2)
