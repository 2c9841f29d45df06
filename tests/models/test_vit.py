"""The Vision Transformer: shapes, every kind of token and position, and another resolution."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from suite.models import vit

B, H, W, C = 2, 8, 12, 3
SMALL = {"width": 16, "depth": 2, "heads": 2, "ffn": 24, "channels": 5}
PATCHES = {**SMALL, "tokenizer": "patch", "patch": 4}


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(89)


def make(size=(H, W), **options):
    config = vit.Config(**{**SMALL, **options})
    pixels = keras.Input((*size, C))
    return keras.Model(pixels, vit.encoder(config)(pixels, None))


def run(model, pictures, **options):
    return keras.ops.convert_to_numpy(model(pictures, **options))


def noise(*shape):
    return np.random.default_rng(97).uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "none"])
@pytest.mark.parametrize("tokenizer", ["patch", "convolutional"])
@pytest.mark.parametrize("class_token", [False, True])
def test_a_vector_for_each_place_and_for_the_class_token(tokenizer, position, class_token):
    model = make(depth=1, rounds=2, tokenizer=tokenizer, position=position, class_token=class_token)
    tokens = 2 * 3  # of patches of 4, or of two rounds that halve
    assert run(model, noise(B, H, W, C)).shape == (B, tokens + class_token, 16)


@pytest.mark.parametrize(("size", "tokens"), [((1, 1), 1), ((5, 8), 3 * 4), ((32, 32), 64), ((100, 60), 7 * 4)])
def test_convolutions_go_on_until_few_tokens_are_left(size, tokens):
    assert make(size).output.shape == (None, tokens, 16)


def test_patches_need_not_divide_the_picture():
    assert make((7, 9), tokenizer="patch").output.shape == (None, 2 * 3, 16)


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary"])
def test_places_are_told_apart_by_position_alone(position):
    """Of a picture that is the same everywhere, with a class token to look at the places."""
    flat, model = np.ones((1, H, W, C), "float32"), make(**PATCHES, position=position)
    if position != "rotary":  # which turns queries and keys, and there is nothing else to see here
        vectors = run(model, flat)[0]
        assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    mixed = noise(1, H, W, C)
    swapped = mixed.copy()
    swapped[:, :4, :4], swapped[:, 4:, 8:] = mixed[:, 4:, 8:], mixed[:, :4, :4]
    first, second = (run(model, picture).mean(axis=1) for picture in (mixed, swapped))
    assert np.abs(first - second).max() > 1e-5
    without = make(**PATCHES, position="none")
    first, second = (run(without, picture).mean(axis=1) for picture in (mixed, swapped))
    np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary"])
def test_weights_serve_another_resolution(position):
    """A picture of patches of one colour, twice as large: each patch becomes four like it, at nearly its place."""
    options = {**PATCHES, "depth": 1, "position": position}
    small, large = make(**options), make((2 * H, 2 * W), **options, trained=[H, W])
    random = np.random.default_rng(101)
    for weight in small.trainable_weights:  # the same on every backend
        if weight.path.endswith("table"):  # smooth, as after training
            rows, columns = np.meshgrid([-0.2, 0.2], [-0.4, 0, 0.4], indexing="ij")
            weight.assign(rows.reshape(6, 1) * random.normal(size=16) + columns.reshape(6, 1) * random.normal(size=16))
        elif len(weight.shape) > 1:
            weight.assign(random.normal(size=weight.shape) / np.prod(weight.shape[:-1]) ** 0.5)
    large.set_weights(small.get_weights())
    colours = np.kron(noise(1, 2, 3, C), np.ones((1, 4, 4, 1), "float32"))
    upscaled = np.kron(colours, np.ones((1, 2, 2, 1), "float32"))
    wanted, got = (run(model, picture).mean(axis=1) for model, picture in ((small, colours), (large, upscaled)))
    assert np.abs(got - wanted).max() < 0.1 * np.abs(wanted).max()
    if position != "learned":  # without the old resolution the weights fit, and mean something else
        other = make((2 * H, 2 * W), **options)
        other.set_weights(small.get_weights())
        assert np.abs(run(other, upscaled).mean(axis=1) - wanted).max() > 2 * np.abs(got - wanted).max()


def test_a_picture_skips_branches_in_training_alone():
    model = make(drop_path=0.9, depth=4)
    picture = noise(B, H, W, C)
    np.testing.assert_array_equal(run(model, picture), run(model, picture))
    assert np.abs(run(model, picture, training=True) - run(model, picture, training=True)).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 15}, "not divisible by heads"),
        ({"width": 12, "position": "rotary"}, "head width that 4 divides"),
        ({"width": 18, "position": "sinusoidal"}, "width that 4 divides"),
        ({"kernel": 4}, "even"),
        ({"patches": 4}, "Extra inputs"),
        ({"trained": [8]}, "at least 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        vit.Config(**{**SMALL, **options})
