"""Pictures from a folder to scores: every kind of file, odd sizes, one class, and files named by hand."""

from __future__ import annotations

import json
import re

import keras
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from typer.testing import CliRunner

from suite.cli import app
from suite.data.lazy import Lazy, Mapped, light
from suite.data.splits import make_splits
from suite.errors import InputError
from suite.faults import Faults
from suite.models import resnet
from suite.task import Architecture, Spec
from tasks import image as task
from tasks.image import TASK, Features

H, W = 8, 12
GREYS = {"dark": 40, "light": 210, "middle": 125}


def folder(path, *, labels=("dark", "light"), count=4, modes=("L", "P", "RGBA", "RGB"), sizes=((H, W),)):
    """Plain pictures in a grey of their class, of several kinds and sizes."""
    for label in labels:
        for number in range(count):
            height, width = sizes[number % len(sizes)]
            made = Image.new("L", (width, height), GREYS[label] + number).convert(modes[number % len(modes)])
            target = path / label / f"{number:02}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            made.save(target)
    return path


def model(spec, settings):
    keras.utils.set_random_seed(127)
    config = resnet.Config(width=8, stages=1, blocks=1, groups=2)
    return TASK.build(spec, settings, Architecture(width=8, reads="image", encode=resnet.encoder(config)))


def outputs(built, encoded):
    return list(built.predict_on_batch({"pixels": np.stack(list(encoded.inputs["pixels"]))}))


def trained(splits, settings):
    spec = TASK.spec(splits.train, settings)
    built = model(spec, settings)
    built.compile(keras.optimizers.Adam(0.02), TASK.loss(settings))
    encoded = TASK.encode(splits.train, spec)
    inputs, targets = {"pixels": np.stack(list(encoded.inputs["pixels"]))}, np.stack(list(encoded.targets))
    for _ in range(40):
        built.train_on_batch(inputs, targets, sample_weight=np.ones(len(targets), "float32"))
    validation = TASK.encode(splits.validation, spec)
    spec, _ = TASK.calibrate(outputs(built, validation), validation, light(splits.validation), spec)
    return built, spec


@pytest.mark.parametrize("labels", [("dark", "light"), ("dark", "light", "middle"), ("dark",)])
def test_from_folders_to_scores(tmp_path, labels):
    """Grey, palette, RGBA and RGB pictures of several sizes, a class of 3 and one of 24; one class alone, too."""
    train = folder(tmp_path / "train", labels=labels[:1], count=24, sizes=[(H, W), (H, W), (1, 1), (5, 30)])
    folder(train, labels=labels[1:], count=3)
    read = {name: TASK.read(path, Faults()) for name, path in [("train", train), ("validation", train)]}
    splits = make_splits(
        {**read, "test": TASK.read(folder(tmp_path / "test", labels=("dark", "light")), Faults())},
        name="own",
        labels=TASK.labels,
    )
    built, spec = trained(splits, Features())
    assert spec.inputs["pixels"].shape == (H, W, 3)
    encoded = TASK.encode(splits.test, spec)
    predictions = TASK.decode(outputs(built, encoded), encoded, spec)
    evaluation = TASK.evaluate(predictions, light(splits.test))
    right = 1.0 if "light" in labels else 0.5
    assert evaluation.scores["accuracy"] == pytest.approx(right)
    assert evaluation.scores["top5_accuracy"] == pytest.approx(right)
    assert ("test has labels that train has not" in " ".join(splits.notes)) == (right < 1)
    shown = TASK.show(predictions[0], splits.test[0], 3)
    assert shown[0]["answer"] == "dark"
    assert len(shown) == len(labels)


def test_the_size_is_that_of_most_training_pictures_or_what_is_asked_for(tmp_path):
    train = TASK.read(folder(tmp_path, count=5, modes=("L",), sizes=[(H, W), (H, W), (300, 200)]), Faults())
    assert TASK.spec(train, Features()).inputs["pixels"].shape == (H, W, 1)
    assert TASK.spec(train, Features(largest=6)).inputs["pixels"].shape == (4, 6, 1)
    spec = TASK.spec(train, Features(size=[7, 9], channels=3, resize="pad"))
    assert Spec.from_json(spec.to_json()) == spec
    encoded = TASK.encode(train, spec)
    assert {pixels.shape for pixels in encoded.inputs["pixels"]} == {(7, 9, 3)}
    assert {pixels.dtype for pixels in encoded.inputs["pixels"]} == {np.dtype("uint8")}
    assert encoded.notes == ("pictures that are not 7 x 9, resized: 10",)
    assert TASK.encode(train, TASK.spec(train, Features())).notes == ("pictures that are not 8 x 12, resized: 2",)


def test_a_split_that_is_too_large_for_memory_stays_on_disk(tmp_path, monkeypatch):
    train = TASK.read(folder(tmp_path), Faults())
    spec = TASK.spec(train, Features())
    in_memory = TASK.encode(train, spec).inputs["pixels"]
    monkeypatch.setattr(task, "KEPT", 100)
    loaded = []
    seen = Lazy(train.light, lambda one: loaded.append(one["path"]) or train.load(one))
    on_disk = TASK.encode(seen, spec).inputs["pixels"]
    assert isinstance(in_memory, list)
    assert isinstance(on_disk, Mapped)
    assert not loaded
    np.testing.assert_array_equal(on_disk[5], in_memory[5])
    assert len(loaded) == 1


def test_a_picture_without_a_label_is_encoded_too(tmp_path):
    train = TASK.read(folder(tmp_path), Faults())
    spec = TASK.spec(train, Features())
    one = TASK.example({"path": str(tmp_path / "light" / "00.png")})
    assert "label" not in one
    encoded = TASK.encode([one], spec)
    assert encoded.inputs["pixels"][0].shape == (H, W, 3)
    assert int(encoded.targets[0]) == 0


def test_what_somebody_names_and_is_no_picture(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match=r"notes.txt: cannot be decoded \(unknown format\)"):
        TASK.example({"path": str(tmp_path / "notes.txt")})
    with pytest.raises(InputError, match="no such file"):
        TASK.example({"path": str(tmp_path / "missing.png")})


@pytest.mark.parametrize(
    "wrong",
    [{"size": [8]}, {"size": [0, 8]}, {"channels": 2}, {"pooling": "median"}, {"shift": 1.0}, {"resize": "tile"}],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(ValidationError):
        Features(**wrong)


def test_on_the_command_line_a_broken_picture_is_named_or_skipped_and_counted(tmp_path):
    def invoke(*arguments, code=0):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    train = folder(tmp_path / "train", count=12)
    good = (train / "dark" / "03.png").read_bytes()
    (train / "dark" / "05.png").write_bytes(good[: len(good) // 2])
    command = ["run", "--task", "image", "--train", train, "--model", "classic", "--model", "majority", "--json"]
    command += ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs"]
    assert re.search(r"dark.05\.png: cannot be decoded", invoke(*command, code=2).stderr)
    result = invoke(*command, "--skip-bad")
    assert "1 left out that could not be used" in result.stderr
    runs = {run["model"]: tmp_path / "runs" / run["run_id"] for run in json.loads(result.stdout)["results"]}
    light_one, dark_one = train / "light" / "00.png", train / "dark" / "00.png"
    lines = invoke("predict", runs["classic"], light_one, dark_one).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["light", "dark"]
    assert "cannot be decoded" in invoke("predict", runs["majority"], train / "dark" / "05.png", code=2).stderr
    options = ["--test", folder(tmp_path / "test"), "--json", "--leaderboard", tmp_path / "board.csv"]
    scored = json.loads(invoke("evaluate", runs["classic"], *options).stdout)
    assert json.dumps(scored).count('"accuracy": 1.0') == 1
