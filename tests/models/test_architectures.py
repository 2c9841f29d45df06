"""What every architecture promises, through its names alone: `Config`, `encoder`, and `decoder` where it can write."""

from __future__ import annotations

import importlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from suite import layers
from suite.errors import InputError

NAMES = ["cnn", "gru", "lstm", "rnn", "simple_rnn", "transformer"]
POSITIONS = ["rotary", "relative", "alibi", "sinusoidal", "learned", "none"]
MODERN = {"norm": "rms", "activation": "silu", "gated": True, "query_key_norm": True, "bias": False}
VARIANTS = [(name, {}) for name in NAMES] + [("transformer", {"position": p}) for p in POSITIONS[1:]]
VARIANTS += [("transformer", MODERN)]
DECODERS = [(name, options) for name, options in VARIANTS if name != "simple_rnn"] + [("rnn", {"score": "dot"})]
B, T, WIDTH = 3, 7, 24

every_variant = pytest.mark.parametrize(
    ("name", "options"),
    VARIANTS,
    ids=lambda value: value if isinstance(value, str) else "".join(map(str, value.values())),
)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(43)


@pytest.fixture
def example():
    """Vectors, and the mask of rows with 7, 4 and 1 real positions."""
    x = np.random.default_rng(47).normal(size=(B, T, WIDTH)).astype("float32")
    return x, np.arange(T) < np.array([[7], [4], [1]])


def module(name: str):
    return importlib.import_module(f"suite.models.{name}")


def model(name: str, *, depth: int = 2, **options) -> keras.Model:
    found = module(name)
    config = found.Config(width=WIDTH, depth=depth, **options)
    x, mask = keras.Input((None, WIDTH), name="x"), keras.Input((None,), dtype="bool", name="mask")
    return keras.Model([x, mask], found.encoder(config)(x, mask))


def outputs(built: keras.Model, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(built([x, mask], training=False)))


@every_variant
def test_padding_and_neighbours_change_nothing(name, options, example):
    x, mask = example
    built = model(name, **options)
    before = outputs(built, x, mask)
    assert before.shape == (B, T, WIDTH)
    refilled = outputs(built, np.where(mask[..., None], x, 50.0).astype("float32"), mask)
    np.testing.assert_allclose(refilled[mask], before[mask], atol=1e-5)
    alone = outputs(built, x[1:2, :4], mask[1:2, :4])
    np.testing.assert_allclose(alone[0], before[1, :4], atol=1e-5)
    other = outputs(built, np.tanh(x), mask)
    assert np.abs(other[mask] - before[mask]).max() > 1e-3


@every_variant
def test_a_saved_model_gives_the_same_outputs(name, options, example, tmp_path):
    built = model(name, **options)
    built.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(built, *example), outputs(loaded, *example))


def reach(name: str, **options) -> np.ndarray:
    """(T, T) booleans: whether the output at t changes with the input at s."""
    length = 41
    built = model(name, **options)
    x = np.random.default_rng(53).normal(size=(1, length, WIDTH)).astype("float32")
    moved = np.repeat(x, length, axis=0)
    moved[np.arange(length), np.arange(length), 0] += 3  # one feature: a norm would take a common shift back
    mask = np.ones((length, length), bool)
    change = outputs(built, moved, mask) - outputs(built, x, mask[:1])
    return (np.abs(change).max(-1) > 1e-6).T


def test_the_left_to_right_lstm_sees_no_following_word():
    assert np.array_equal(reach("lstm", depth=1) & ~np.tri(41, dtype=bool), np.zeros((41, 41), bool))
    assert np.triu(reach("rnn", depth=1), 1).any()


@pytest.mark.parametrize("options", [{"depth": 4}, {"depth": 2, "kernel": 5, "cycle": 2}, {"depth": 3, "cycle": 1}])
def test_the_cnn_sees_its_receptive_field_and_no_more(options):
    field = module("cnn").Config(**options).receptive_field
    row = reach("cnn", **options)[20]
    assert np.flatnonzero(row).tolist() == list(range(20 - field // 2, 20 + field // 2 + 1))


def test_the_cnn_has_the_receptive_field_that_its_documentation_says():
    assert module("cnn").Config().receptive_field == 17


@pytest.mark.parametrize("name", NAMES)
def test_depth_is_the_number_of_layers_that_a_summary_names(name):
    layers = ("block", "convolution", "bidirectional", "lstm")
    named = [layer.name for layer in model(name, depth=3).layers if layer.name.startswith(layers)]
    assert [n.rsplit("_", 1)[1] for n in named] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("transformer", {"width": 100, "heads": 3}, "width 100 is not divisible by heads 3"),
        ("transformer", {"width": 6, "heads": 2}, "even head width, and width 6 / heads 2 is 3"),
        ("transformer", {"width": 5, "heads": 1, "position": "sinusoidal"}, "even width, and width is 5"),
        ("transformer", {"position": "rotery"}, "'rotary', 'relative', 'alibi', 'sinusoidal', 'learned' or 'none'"),
        ("transformer", {"dropout": 1.0}, "less than 1"),
        ("transformer", {"neighbours": 4}, "neighbours 4 is even"),
        ("rnn", {"width": 7}, "width 7 is not divisible by the 2 directions"),
        ("gru", {"width": 7}, "width 7"),
        ("simple_rnn", {"width": 7}, "width 7"),
        ("rnn", {"units": 7}, "units"),
        ("lstm", {"depth": 0}, "greater than 0"),
        ("cnn", {"kernel": 4}, "kernel 4 is even"),
    ],
)
def test_impossible_configurations_are_refused(name, options, message):
    with pytest.raises(ValidationError, match=message):
        module(name).Config(**options)


def test_one_direction_takes_any_width():
    assert module("lstm").Config(width=7).width == 7


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_described_and_frozen(name):
    config = module(name).Config()
    assert all(field.description for field in type(config).model_fields.values())
    with pytest.raises(ValidationError, match="frozen"):
        config.width = 4


def test_configurations_load_no_framework():
    names = ", ".join(NAMES)
    code = f"import sys; from suite.models import {names}; transformer.Config(); sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


OWN_ATTENTION = """
from keras import ops
from suite.layers import MultiHeadAttention


class Uniform(MultiHeadAttention):
    def score(self, query, key):
        return ops.zeros((*ops.shape(query)[:3], ops.shape(key)[2]))
"""


def test_the_transformer_takes_an_attention_of_ones_own(tmp_path, example):
    (tmp_path / "mine.py").write_text(OWN_ATTENTION, "utf8")
    built = model("transformer", attention=f"{tmp_path}/mine.py:Uniform", heads=2)
    weights = layers.capture_attention(built, list(example))
    assert len(weights) == 2
    for w in weights.values():
        np.testing.assert_allclose(w[0], np.full((2, T, T), 1 / T), atol=1e-6)
    windowed = model("transformer", attention_options={"window": 2}, heads=2)
    for w in layers.capture_attention(windowed, list(example)).values():
        assert np.all(w[0][:, np.abs(np.subtract.outer(np.arange(T), np.arange(T))) >= 2] == 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "mine.py"}, "expected FILE_OR_MODULE:Class"),
        ({"attention": "./mine.py:Mine"}, "./mine.py: no such file"),
        ({"attention": "suite.layers:MultiHeadAtention"}, "did you mean 'MultiHeadAttention'"),
        ({"attention_options": {"windows": 2}}, "cannot be made with 4 heads and .*windows"),
        ({"attention_options": {"window": 0}}, "window of at least 1. Received: window=0"),
    ],
)
def test_an_attention_that_cannot_be_is_refused_before_anything_is_built(options, message):
    with pytest.raises(InputError, match=message):
        module("transformer").encoder(module("transformer").Config(**options))


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize(("name", "options"), DECODERS, ids=str)
def test_a_decoder_sees_nothing_to_come_and_reads_its_memory_and_its_cache(name, options, memory, example):
    x, mask = example
    found = module(name)
    decoder = found.decoder(found.Config(width=WIDTH, depth=2, **options), memory)
    read = {"memory": x[:, ::-1], "memory_mask": mask[:, ::-1]} if memory else {}
    whole = np.asarray(keras.ops.convert_to_numpy(decoder(x, **read)))
    later = np.where(np.arange(T)[:, None] < 4, x, 50.0).astype("float32")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(decoder(later, **read))[:, :4], whole[:, :4], atol=1e-5)
    cache = decoder.make_cache(B, T, **read)
    first, cache = decoder(x[:, :3], cache=cache)
    last, cache = decoder(x[:, 3:], cache=cache)
    cached = np.concatenate([keras.ops.convert_to_numpy(part) for part in (first, last)], axis=1)
    np.testing.assert_allclose(cached, whole, atol=1e-5)
    if memory:
        other = {**read, "memory": read["memory"] + 1.0}
        assert np.abs(keras.ops.convert_to_numpy(decoder(x, **other)) - whole).max() > 1e-3


def test_a_learned_table_says_how_far_it_reaches():
    decoder = module("transformer").decoder(module("transformer").Config(position="learned", longest=5), False)
    assert decoder.longest == 5
