"""Sounds by class: from files of every kind to a score, whatever their rate, length and faults."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from suite import layers
from suite.cli import app
from suite.data.batching import Batches
from suite.data.datasets import formants
from suite.errors import InputError
from suite.faults import Faults
from suite.models import cnn
from suite.task import Architecture, Spec
from tasks import audio
from tasks.audio import TASK, Features

RATE = 8000
PITCHES = {"high": 1500, "low": 400}
FORMATS = [  # rate, channels, subtype, suffix
    (8000, 1, "PCM_16", "wav"),
    (48_000, 2, "PCM_24", "wav"),
    (16_000, 1, "FLOAT", "wav"),
    (44_100, 2, "PCM_16", "flac"),
    (11_025, 1, "PCM_U8", "wav"),
]
TINY = [
    *("model.width=12", "model.depth=1", "features.mels=16", "features.rate=8000", "features.noise=0"),
    *("features.covered_frames=0", "features.covered_bands=0", "features.dropout=0", "train.average=0"),
    *("train.epochs=12", "train.learning_rate=0.02", "train.batch_size=8"),
]


def tone(label, number, *, rate=RATE, seconds=0.2):
    """A tone in a little noise, each of its own."""
    random = np.random.RandomState(number)
    time = np.arange(round((seconds + 0.01 * number) * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * PITCHES[label] * time) + 0.01 * random.standard_normal(len(time))).astype(
        "float32"
    )


def write(path, label, number):
    rate, channels, subtype, suffix = FORMATS[number % len(FORMATS)]
    path.mkdir(parents=True, exist_ok=True)
    sound = np.stack([tone(label, number, rate=rate)] * channels, axis=1)
    soundfile.write(path / f"{number}.{suffix}", sound, rate, subtype=subtype)


def tones(count):
    labels = [("high", "low")[i % 2] for i in range(count)]
    return [
        {"waveform": tone(label, i), "rate": RATE, "samples": len(tone(label, i)), "label": label}
        for i, label in enumerate(labels)
    ]


def model(spec, settings):
    keras.utils.set_random_seed(11)
    encode = cnn.encoder(cnn.Config(width=14, depth=1))
    return TASK.build(spec, settings, Architecture(width=14, reads="sequence", encode=encode))


def invoke(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder of sounds in every format, and a run for each of two models on it."""
    folder = tmp_path_factory.mktemp("audio")
    for label in PITCHES:
        for number in range(20):
            write(folder / "sounds" / label, label, number)
    flags = ["--leaderboard", folder / "board.csv", "--output", folder / "runs", "--device", "cpu", "--json"]
    sets = [part for setting in TINY for part in ("--set", setting)]
    models = ["--model", "cnn", "--model", "classic"]
    result = invoke("run", "--task", "audio", "--train", folder / "sounds", *models, *sets, *flags)
    runs = json.loads(result.stdout)["results"]
    return folder, {run["model"]: (run, folder / "runs" / run["run_id"]) for run in runs}


@pytest.mark.parametrize("name", ["cnn", "classic"])
def test_from_files_of_every_format_to_answers(own, name, tmp_path):
    _, runs = own
    run, directory = runs[name]
    assert run["scores"]["accuracy"] == 1
    for number in range(100, 100 + len(FORMATS)):
        write(tmp_path, "low" if number % 2 else "high", number)
    paths = sorted(tmp_path.iterdir())
    lines = invoke("predict", directory, *paths, "--top", 2, "--json").stdout.splitlines()
    for path, line in zip(paths, lines, strict=True):
        value = json.loads(line)
        assert value["input"] == {"path": str(path)}
        assert value["answers"][0]["answer"] == ("low" if int(path.stem) % 2 else "high")
        assert sum(answer["probability"] for answer in value["answers"]) == pytest.approx(1)


def test_what_cannot_be_heard_is_named(own, tmp_path):
    _, runs = own
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    (tmp_path / "text.wav").write_text("no sound")
    for path, reason in [
        (tmp_path / "none.wav", "no such file"),
        (tmp_path / "empty.wav", "no sample in it"),
        (tmp_path / "text.wav", "cannot be decoded"),
        (tmp_path, "cannot be read: Is a directory"),
    ]:
        assert f"{path}: {reason}" in invoke("predict", runs["cnn"][1], path, code=2).stderr


def test_a_trained_model_is_scored_on_a_table_with_a_label_of_its_own(own, tmp_path):
    folder, runs = own
    table = tmp_path / "table.csv"
    rows = [("high/5.wav", "high"), ("low/6.wav", "low"), ("low/7.wav", "middle")]
    table.write_text("path,label\n" + "".join(f"{folder / 'sounds' / path},{label}\n" for path, label in rows))
    files = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs", "--json"]
    result = json.loads(invoke("evaluate", runs["cnn"][1], "--test", table, *files).stdout)["results"][0]
    assert (result["n_examples"], result["scores"]["accuracy"]) == (3, pytest.approx(2 / 3))


def test_a_broken_file_in_the_middle_stops_a_run_or_is_counted(own, tmp_path):
    for label in PITCHES:
        for number in range(6):
            write(tmp_path / "sounds" / label, label, number)
    broken = tmp_path / "sounds" / "low" / "0.wav"
    broken.write_bytes(broken.read_bytes()[:999])
    run = ["run", "--task", "audio", "--train", tmp_path / "sounds", "--model", "majority"]
    run += ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs"]
    assert f"{broken}: cut off" in invoke(*run, code=2).stderr
    assert not (tmp_path / "runs").exists()
    shown = invoke(*run, "--skip-bad").stderr
    assert "1 " in next(line for line in shown.splitlines() if str(broken) in line or "left out" in line)
    assert "11 training examples" in shown.replace("of 10 training", "of 11 training") or "of 9 training" in shown


def test_sounds_become_samples_at_the_model_s_rate():
    spec = TASK.spec(tones(4), Features(rate=16_000))
    assert spec.classes == ("high", "low")
    encoded = TASK.encode([*tones(2), {**tones(1)[0], "label": "new"}], Spec.from_json(spec.to_json()))
    assert [int(target) for target in encoded.targets] == [0, 1, 0]
    assert [len(waveform) for waveform in encoded.inputs["waveform"]] == encoded.lengths == [3200, 3360, 3200]
    assert [int(length) for length in encoded.inputs["length"]] == encoded.lengths
    assert encoded.notes == ()


def test_a_clip_of_ten_minutes_keeps_its_beginning_and_is_counted(tmp_path):
    sound = np.concatenate([np.full(2 * RATE, 0.25), np.zeros(598 * RATE)])
    soundfile.write(tmp_path / "long.wav", sound, RATE)
    spec = TASK.spec(tones(2), Features(rate=RATE, max_seconds=2.0))
    encoded = TASK.encode([tones(1)[0], TASK.example({"path": str(tmp_path / "long.wav")})], spec)
    assert encoded.notes == ("sounds of more than 2 seconds, read without their end: 1",)
    assert encoded.lengths == [1600, 2 * RATE]
    np.testing.assert_array_equal(encoded.inputs["waveform"][1], np.full(2 * RATE, 0.25, "float32"))


def test_more_than_fits_in_memory_is_read_as_it_is_asked_for(tmp_path, monkeypatch):
    for number in range(7):
        write(tmp_path / "high", "high", number)
    spec, examples = TASK.spec(tones(2), Features()), TASK.read(tmp_path, Faults())

    def batches():
        return Batches(TASK.encode(examples, spec), spec, batch_size=3, edges=[4000], seed=5)

    kept = batches()
    monkeypatch.setattr(audio, "KEPT", 100)
    streamed = batches()
    assert (kept.lazy, streamed.lazy) == (False, True)
    for one, other in zip(kept, streamed, strict=True):
        assert one.rows.tolist() == other.rows.tolist()
        np.testing.assert_array_equal(one.inputs["waveform"], other.inputs["waveform"])


def test_what_is_not_asked_for_is_not_built():
    spec = TASK.spec(tones(2), Features())
    training = (layers.TimeShift, layers.AdditiveNoise, layers.SpecAugment)
    kinds = {type(layer) for layer in model(spec, Features()).layers}
    assert not kinds & set(training)
    kinds = {type(layer) for layer in model(spec, Features(shift=0.1, noise=0.5, covered_bands=1)).layers}
    assert kinds >= set(training)


@pytest.mark.parametrize(
    "settings", [{"stride": 0.05}, {"window": 1e-5}, {"stride": 1e-5}, {"rate": 1000, "mels": 90, "window": 0.02}]
)
def test_features_that_do_not_go_together_are_refused(settings):
    spec = TASK.spec(tones(2), Features())
    with pytest.raises(InputError, match=r"\[features\] rate, mels, window and stride do not go together"):
        model(spec, Features(**settings))


@pytest.mark.parametrize("samples", [1, 7])
def test_one_class_and_the_shortest_sound(samples):
    one = {"waveform": np.ones(samples, "float32"), "rate": RATE, "samples": samples, "label": "only"}
    settings = Features(rate=RATE, shift=0.1, noise=1.0, covered_frames=1, covered_bands=1)
    spec = TASK.spec([one], settings)
    built = model(spec, settings)
    built.compile("adam", TASK.loss(settings))
    encoded = TASK.encode([one] * 2, spec)
    inputs = {name: np.stack(values) for name, values in encoded.inputs.items()}
    assert np.isfinite(float(built.train_on_batch(inputs, np.stack(encoded.targets), sample_weight=np.ones(2))))
    outputs = list(built.predict_on_batch(inputs))
    spec, _ = TASK.calibrate(outputs, encoded, [one] * 2, spec)
    assert TASK.decode(outputs, encoded, spec) == [{"only": 1.0}] * 2


def test_the_words_have_a_ceiling_that_the_task_can_score():
    test = formants.load()["test"]
    scores = TASK.evaluate([one["oracle"] for one in test.light], test.light).scores
    assert 0.96 < scores["accuracy"] < 0.985
    assert scores["calibration_error"] < 0.03
