"""`python -m suite check` as a user meets it."""

import json
import re
from pathlib import Path

import keras
import pytest
from typer.testing import CliRunner

from suite.cli import app

MINE = """
import keras
from keras import ops
from suite.layers import FeedForward, MultiHeadAttention, Rotary

@keras.saving.register_keras_serializable(package="mine")
class Scaled(keras.layers.Layer):
    def __init__(self, scale, *, shift=0.0, **kwargs):
        super().__init__(**kwargs)
        if scale == 0:
            raise ValueError(f"expects another scale. Received: scale={scale}")
        self.scale, self.shift = scale, shift

    def call(self, inputs):
        return self.scale * inputs + self.shift

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "shift": self.shift}

@keras.saving.register_keras_serializable(package="mine")
class Mixing(Scaled):
    def call(self, inputs):
        return inputs - self.scale * ops.mean(inputs, axis=0, keepdims=True)

@keras.saving.register_keras_serializable(package="mine")
class Wrapped(keras.layers.Wrapper):
    pass

scaled = Scaled(3.0)
number = 3

def build_model(width=4):
    inputs = keras.Input((None, 24), name="frames")
    return keras.Model(inputs, keras.layers.Dense(width)(inputs))
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs `python -m suite check ...` beside a file with layers."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE, "utf8")

    def call(*arguments, code=0):
        result = CliRunner().invoke(app, ["check", *arguments])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    yield call
    keras.config.set_dtype_policy("float32")


def test_a_sound_layer_passes_and_every_probe_is_listed(call):
    result = call("mine.py:Scaled", "--set", "scale=2.0")
    assert result.stdout.startswith(f"Scaled(scale=2.0) on {keras.backend.backend()}")
    rows = dict(re.findall(r"^│ (\w+) +│ (passed|failed|not)", result.stdout, flags=re.MULTILINE))
    from suite import checks

    assert list(rows) == [probe.name for probe in checks.PROBES]
    assert {name for name, status in rows.items() if status == "passed"} == {
        "batch",
        "shapes",
        "config",
        "saving",
        "precision",
        "compiled",
    }
    assert "failed" not in rows.values()
    assert "it takes no mask" in result.stdout
    assert "inputs: inputs: sequence" in result.stdout


def test_a_fault_is_reported_and_the_exit_code_is_1(call):
    result = call("mine.py:Mixing", "--set", "scale=0.5", code=1)
    assert "failed: Rows of a batch do not affect each other: plain row 0: " in result.stdout


def test_json_holds_every_outcome(call):
    value = json.loads(call("mine.py:Mixing", "--set", "scale=0.5", "--json", code=1).stdout)
    assert value["passed"] is False
    assert value["backend"] == keras.backend.backend()
    assert value["inputs"] == {"inputs": "sequence"}
    outcomes = {outcome["name"]: outcome for outcome in value["outcomes"]}
    assert [name for name, outcome in outcomes.items() if outcome["status"] == "failed"] == ["batch"]
    assert outcomes["batch"]["deviation"] > 0.1 > outcomes["batch"]["tolerance"] == 1e-5
    assert outcomes["shapes"]["tried"] == "plain"
    assert outcomes["padding"]["reason"] == "it takes no mask"


@pytest.mark.parametrize("target", ["mine.py:scaled", "mine.py:build_model", "keras.layers:ReLU"])
def test_objects_functions_and_modules_are_targets(call, target):
    value = json.loads(call(target, "--json").stdout)
    assert value["passed"]


def test_a_class_or_an_object_can_be_an_argument(call):
    layer = "suite.layers:MultiHeadAttention"
    from suite import target
    from suite.checks.command import make_subject

    arguments = target.arguments(["heads=2", "position=mine.py:Rotary"])
    subject = make_subject(target.parse(layer), arguments)
    assert subject.name == "MultiHeadAttention(heads=2, position=Rotary)"
    assert subject.make().position is not subject.make().position
    assert type(subject.make().position).__name__ == "Rotary"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine.py"], "mine.py: expected FILE_OR_MODULE:Class"),
        (["none.py:Scaled"], "none.py: no such file"),
        (["no_such_package:Scaled"], "no module no_such_package"),
        (["suite.no_such_module:Scaled"], "suite.no_such_module: cannot be imported: ModuleNotFoundError"),
        (["mine.py:Scalde"], "mine.py has no Scalde; did you mean 'Scaled'?"),
        (["mine.py:number"], "mine.py:number: expected a Keras layer, a model, or a function"),
        (["mine.py:Scaled"], "Scaled needs scale; give it, for example --set scale="),
        (["mine.py:Scaled", "--set", "scael=1"], "--set scael: Scaled has no such argument; did you mean 'scale'?"),
        (["mine.py:Scaled", "--set", "scale"], "--set scale: expected argument=value"),
        (["mine.py:Scaled", "--set", "scale=0"], "Scaled(scale=0) cannot be made: ValueError: expects another scale"),
        (["mine.py:scaled", "--set", "scale=2"], "--set scale: scaled is made already"),
        (["suite.layers:Rotary"], "--set heads=2 --set position=suite.layers:Rotary"),
        (["mine.py:Scaled", "--set", "scale=mine.py:Scaled"], "Scaled needs scale; name an object in mine.py"),
        (["keras.layers:Conv3D", "--set", "filters=2", "--set", "kernel_size=2"], "takes none of the known kinds"),
    ],
)
def test_what_is_wrong_is_said_and_the_exit_code_is_2(call, arguments, message):
    assert message in call(*arguments, code=2).stderr
