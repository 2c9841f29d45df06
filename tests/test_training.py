"""Training of neural models through the runner: what is chosen, what is kept, what a resumed run ends with."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import leaderboard
from suite import backend, config, find, fitting, preparing, records, runner
from suite.cli import app
from suite.console import Reporter
from suite.data.batching import example_lengths
from suite.data.lazy import Mapped
from suite.data.splits import make_splits
from suite.records import Directory
from suite.task import Spec

TINY = [
    "model.width=16",
    "model.depth=1",
    "features.words=8",
    "features.characters=8",
    "features.shapes=4",
    "train.batch_size=8",
    "train.patience=9",
]


@pytest.fixture(scope="module")
def computing():
    return backend.prepare(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def parts():
    return find.dataset("news", schema="tokens->tags").load(None)


def prepare(parts, *sets, model="cnn", limit=40):
    wanted = config.wanted("ner", models=[model], sets=[*TINY, *sets])
    (one,) = config.resolve(wanted)
    splits = make_splits(parts, name="news", limit=limit, labels=wanted.task.labels)
    return one, preparing.Prepared(wanted.task, splits, one, "ner")


class StopAfter(Reporter):
    """Presses Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.last, self.steps = epoch, []

    def epoch(self, epoch, epochs, steps):
        self.at = epoch

    def step(self, step, loss):
        self.steps.append((self.at, step))
        if self.at == self.last and step == 2:
            raise KeyboardInterrupt


def run(one, prepared, directory, computing, reporter=None):
    return runner.run(one, prepared, directory, backend=computing, reporter=reporter or Reporter())


@pytest.mark.parametrize(
    ("model", "save_every", "sets"),
    [
        ("transformer", 0.0, []),
        ("rnn", 300.0, []),
        ("transformer", 300.0, ["train.optimizer=muon", "train.average=0.9", "train.average_last=3"]),
    ],
)
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="bit-identical resuming is promised on TensorFlow")
def test_an_interrupted_and_resumed_run_ends_like_one_that_never_stopped(
    tmp_path, monkeypatch, computing, parts, model, save_every, sets
):
    """After the last whole epoch, and in the middle of one."""
    from suite import training

    one, prepared = prepare(parts, "train.epochs=4", *sets, model=model)
    whole, broken = Directory.new(tmp_path, one, prepared), Directory.new(tmp_path, one, prepared)
    straight = run(one, prepared, whole, computing)
    monkeypatch.setattr(training, "SAVE_EVERY", save_every)
    for epoch in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(one, prepared, broken, computing, StopAfter(epoch))
    last = StopAfter(9)
    resumed = run(one, prepared, broken, computing, last)
    assert last.steps[0] == ((3, 1) if save_every else (3, 2))
    assert resumed.scores == straight.scores
    assert resumed.note == straight.note
    assert straight.epochs == 4
    models = [keras.models.load_model(d.path / "model.keras", compile=False) for d in (whole, broken)]
    for a, b in zip(models[0].weights, models[1].weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))
    history = [np.loadtxt(d.path / "history.csv", delimiter=",", skiprows=1)[:, :3] for d in (whole, broken)]
    np.testing.assert_allclose(history[1], history[0], rtol=1e-6 if save_every == 0 else 0)
    assert not (broken.path / "checkpoint.npz").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(tmp_path, computing, parts):
    one, prepared = prepare(parts, "train.learning_rate=1e30", "train.clip_norm=1e30", "train.warmup=0.0")
    result = run(one, prepared, Directory.new(tmp_path, one, prepared), computing)
    assert result.status == "diverged"
    assert "the loss is" in result.note
    assert result.scores == {}
    (row,) = leaderboard.rows(result)
    assert row["status"] == "diverged"


def test_training_stops_when_the_time_is_over(tmp_path, computing, parts):
    one, prepared = prepare(parts, "train.max_minutes=1e-6", "train.epochs=50")
    result = run(one, prepared, Directory.new(tmp_path, one, prepared), computing)
    assert result.status == "ok"
    assert result.epochs == 1
    assert "stopped by max_minutes" in result.note


def test_training_ends_after_so_many_steps_with_its_schedule(tmp_path, computing, parts):
    from suite import optimizer

    one, prepared = prepare(parts, "train.epochs=9", "train.steps=8", "train.final_learning_rate=0.0")
    counted = StopAfter(99)
    result = run(one, prepared, Directory.new(tmp_path, one, prepared), computing, counted)
    assert "trained all 8 steps" in result.note
    assert len(counted.steps) == 8
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    optimizer.compile_model(model, keras.losses.MeanSquaredError(), one.train, steps=5)
    for _ in range(8):
        model.train_on_batch(np.ones((2, 1)), np.ones((2, 1)))
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0, abs=1e-9)


def test_a_long_epoch_is_saved_where_its_rest_shows_that_lengths_differ():
    from suite import training

    steps = training._Steps.__new__(training._Steps)
    steps.batches = SimpleNamespace(plan=SimpleNamespace(lengths=[5, 9, 9, 5, 5]))
    assert [step for step in range(6) if steps._can_begin_at(step)] == [0, 2, 3, 4]


def test_the_speed_of_an_epoch_leaves_out_steps_that_compile(tmp_path, computing, parts, monkeypatch):
    from suite import training

    one, prepared = prepare(parts, "train.epochs=2", "data.buckets=1")
    now, told = [0.0], []

    class Slow(Reporter):
        """The first step of all takes a minute, each other one a quarter of a second."""

        def speed(self, examples_per_second, step_seconds):
            told.append((examples_per_second, step_seconds))

    class Clock:
        def perf_counter(self):
            return now[0]

    def wait(self, batch, logs=None):
        now[0] += 0.25 if now[0] else 60.0

    monkeypatch.setattr(training, "time", Clock())
    monkeypatch.setattr(training._Steps, "on_train_batch_begin", wait)
    run(one, prepared, Directory.new(tmp_path, one, prepared), computing, Slow())
    assert len(told) == 9  # two epochs of five batches
    assert told == [(32.0, 0.25)] * 9


def test_the_best_epoch_by_validation_is_kept(tmp_path, computing, parts):
    one, prepared = prepare(parts, "train.epochs=6", "train.patience=2", "train.learning_rate=0.02", limit=150)
    directory = Directory.new(tmp_path, one, prepared)
    run(one, prepared, directory, computing)
    rows = [line.split(",") for line in (directory.path / "history.csv").read_text().splitlines()[1:]]
    scores = [float(row[2]) for row in rows]
    kept = keras.models.load_model(directory.path / "model.keras", compile=False)
    from suite import training
    from suite.data.batching import Batches

    batches = Batches(prepared.validation, prepared.spec, batch_size=8, edges=prepared.edges)
    spec = Spec.from_json((directory.path / "spec.json").read_text("utf8"))
    answers = prepared.task.decode(training.predict(kept, batches), prepared.validation, spec)
    assert prepared.task.evaluate(answers, prepared.splits.validation).scores["f1"] == pytest.approx(max(scores))


def test_the_best_epoch_may_be_chosen_by_another_score_of_which_less_is_better(tmp_path, computing, parts):
    one, prepared = prepare(parts, "train.epochs=4")
    watched = iter([0.5, 0.2, 0.4, 0.3])
    task = dataclasses.replace(
        prepared.task,
        selects="loss",
        lower_is_better=frozenset({"loss"}),
        watch=lambda model, batches, examples, spec: {"loss": next(watched), "sample": 7.0},
    )
    directory = Directory.new(tmp_path, one, prepared)
    result = run(one, dataclasses.replace(prepared, task=task), directory, computing)
    assert "best epoch 2 (validation loss 0.2000)" in result.note
    header, *rows = [line.split(",") for line in (directory.path / "history.csv").read_text().splitlines()]
    assert header == ["epoch", "loss", "score", "seconds", "validation_sample"]
    assert [(row[2], row[4]) for row in rows] == [("0.5", "7.0"), ("0.2", "7.0"), ("0.4", "7.0"), ("0.3", "7.0")]


def test_the_mean_of_the_last_epochs_is_kept_where_it_is_better(tmp_path, computing, parts):
    """Epochs as they are made by hand: each adds one to every weight."""
    from suite import training

    for scores, expected in (([3.0, 2.0, 1.0, 0.5], 2.0), ([3.0, 2.0, 1.0, 5.0], 3.0)):
        one, _ = prepare(parts, "train.epochs=3", "train.average_last=3")
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        told = iter(scores)
        epochs = []

        def validate(told=told):
            return {"loss": next(told)}

        class Feed:
            lazy, pieces, plan = False, 1, type("Plan", (), {"lengths": [1], "batches": [np.zeros(1, int)]})
            lengths = np.ones(1, int)

            def start_epoch(self, epoch, epochs=epochs):
                epochs.append(epoch)

            def __len__(self):
                return 1

            def __getitem__(self, index):
                return type("Batch", (), {"inputs": np.ones((1, 1)), "targets": np.ones((1, 1)), "weights": np.ones(1)})

        class Step(keras.optimizers.SGD):
            def update_step(self, gradient, variable, learning_rate):
                self.assign_add(variable, keras.ops.ones_like(variable))

        model.compile(optimizer=Step(), loss="mse")
        progress = training.fit(
            model,
            Feed(),
            validate=validate,
            selects="loss",
            higher_is_better=False,
            config=one.train,
            reporter=Reporter(),
            directory=tmp_path / str(expected),
        )
        assert epochs == [0, 1, 2]
        assert float(model.weights[0][0, 0]) == expected
        assert ("mean of the last 3" in progress.stopped) == (expected == 2.0)


def test_an_epoch_is_fed_in_order_by_what_no_thread_tunes(computing, parts):
    from suite import training

    one, prepared = prepare(parts)
    feed = training.Feed(fitting.batches(one, prepared, prepared.train, seed=1), first=1)
    dataset = backend.fed(feed)
    assert dataset.options().autotune.enabled is False
    assert len(dataset) == len(feed) > 2
    lengths = set()
    for given, (inputs, targets, weights) in zip(dataset, (feed[i] for i in range(len(feed))), strict=True):
        assert given[0].keys() == inputs.keys()
        arrays = [*inputs.values(), targets, weights]
        for tensor, array in zip([*(given[0][name] for name in inputs), *given[1:]], arrays, strict=True):
            np.testing.assert_array_equal(tensor.numpy(), array)
            assert tensor.dtype == array.dtype
        lengths.add(targets.shape[1])
    assert len(lengths) > 1  # so that the axis of tokens is one that varies
    assert dataset.element_spec[1].shape.as_list() == [None, None]
    assert dataset.element_spec[0]["words"].shape.as_list() == [None, None]


def test_model_and_preprocessing_are_saved_together_and_answer_new_text(tmp_path, computing, parts):
    one, prepared = prepare(parts, "train.epochs=1")
    directory = Directory.new(tmp_path, one, prepared)
    run(one, prepared, directory, computing)
    spec = Spec.from_json((directory.path / "spec.json").read_text("utf8"))
    assert spec.classes == prepared.spec.classes
    assert spec.preprocessing["words"] == prepared.spec.preprocessing["words"]
    model = keras.models.load_model(directory.path / "model.keras", compile=False)
    encoded = prepared.task.encode([{"tokens": ["Zürich", "rises"], "tags": ["O", "O"]}], spec)
    logits = model.predict_on_batch({name: np.stack(arrays) for name, arrays in encoded.inputs.items()})
    assert logits.shape == (1, 2, len(spec.classes))
    assert json.loads((directory.path / "run.json").read_text("utf8"))["config"]["architecture"]["width"] == 16


def test_scores_do_not_depend_on_the_batch_size(computing, parts):
    from suite import training
    from suite.data.batching import Batches

    one, prepared = prepare(parts)
    keras.utils.set_random_seed(0)
    model = fitting.build(one, prepared)
    outputs = [
        training.predict(model, Batches(prepared.test, prepared.spec, batch_size=size, edges=edges))
        for size, edges in [(1, [9, 60]), (7, [30]), (16, prepared.edges)]
    ]
    for other in outputs[1:]:
        for a, b in zip(outputs[0], other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_checkpoint_of_another_model_is_refused(tmp_path, computing, parts):
    one, prepared = prepare(parts, "train.epochs=1")
    directory = Directory.new(tmp_path, one, prepared)
    np.savez(directory.path / "checkpoint.npz", progress=np.array(json.dumps({})))
    from suite.errors import InputError

    with pytest.raises(InputError, match=r"checkpoint\.npz: not a checkpoint of this model"):
        run(one, prepared, directory, computing)


@pytest.mark.parametrize("train", ["EU O\nrejects O\n\n" * 4, "EU B-X\n\n" * 4, "EU B-X\n\n"])
def test_odd_training_sets_run(tmp_path, monkeypatch, train):
    monkeypatch.chdir(tmp_path)
    Path("train.conll").write_text(train, "utf8")
    Path("other.conll").write_text("EU B-X\n" * 300 + "\nrejects O\n", "utf8")
    arguments = [
        "run",
        "--task",
        "ner",
        "--train",
        "train.conll",
        "--validation",
        "other.conll",
        "--test",
        "other.conll",
    ]
    sets = [part for setting in TINY for part in ("--set", setting)]
    result = CliRunner().invoke(app, [*arguments, "--model", "cnn", "--epochs", "1", *sets, "--device", "cpu"])
    assert result.exit_code == 0, result.output


def test_dry_run_shows_layers_and_parameters_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "--task", "ner", "--limit", "20", "--dry-run", "--json"]
    result = CliRunner().invoke(app, [*arguments, "--model", "transformer", "--model", "majority"])
    assert result.exit_code == 0, result.output
    transformer, majority = json.loads(result.stdout)
    assert transformer["config"]["data"]["limit"] == 20
    assert sum(layer["params"] for layer in transformer["layers"]) == transformer["params"] > 0
    assert 2 * transformer["params"] < transformer["flops_per_example"] < 1e8  # several tokens, each through most of it
    assert "layers" not in majority
    assert not list(tmp_path.iterdir())
    shown = CliRunner().invoke(app, [*arguments[:-1], "--model", "cnn"]).stdout
    assert "parameters" in shown
    assert "FLOPs forward, for a test example of mean length" in shown


def test_peak_memory_is_this_runs_own():
    if records.peak_memory_mb() is None:
        pytest.skip("peak memory is read from /proc")
    records.reset_peak_memory()
    before = records.peak_memory_mb()
    block = np.ones(20_000_000)
    assert records.peak_memory_mb() > before + 100
    del block
    records.reset_peak_memory()
    assert records.peak_memory_mb() < before + 100


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="bit-identical training is promised on TensorFlow")
def test_examples_that_are_loaded_as_training_goes_on_give_the_same_weights(tmp_path, computing, parts):
    """In the same order, read ahead by other threads."""
    one, prepared = prepare(parts, "train.epochs=2")
    loaded = set()

    def load(number):
        loaded.add(number)
        return number

    class Streamed(preparing.Prepared):
        @property
        def train(self):
            numbers = Mapped(range(len(prepared.train)), load)
            inputs = {name: Mapped(numbers, values.__getitem__) for name, values in prepared.train.inputs.items()}
            return dataclasses.replace(
                prepared.train, inputs=inputs, lengths=example_lengths(prepared.train, self.spec)
            )

    results = []
    for kind in (preparing.Prepared, Streamed):
        directory = Directory.new(tmp_path, one, prepared)
        made = kind(prepared.task, prepared.splits, one, "ner")
        results.append((run(one, made, directory, computing).scores, directory))
    assert loaded == set(range(len(prepared.train)))
    assert results[0][0] == results[1][0]
    models = [keras.models.load_model(directory.path / "model.keras", compile=False) for _, directory in results]
    for a, b in zip(models[0].weights, models[1].weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))
