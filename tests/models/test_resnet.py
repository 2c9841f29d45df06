"""The residual network: shapes, what a place sees, and that pictures of a batch do not meet."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from suite.models import resnet

B, H, W, C = 3, 12, 20, 3
SMALL = {"width": 16, "stages": 2, "blocks": 1, "groups": 4}


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(101)


def make(size=(H, W), **options):
    pixels = keras.Input((*size, C))
    return keras.Model(pixels, resnet.encoder(resnet.Config(**{**SMALL, **options}))(pixels, None))


def run(model, pictures, **options):
    return keras.ops.convert_to_numpy(model(pictures, **options))


def noise(*shape):
    return np.random.default_rng(103).uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize(("stages", "places"), [(1, 12 * 20), (2, 6 * 10), (3, 3 * 5)])
def test_each_stage_after_the_first_halves_rows_and_columns(stages, places):
    assert run(make(stages=stages), noise(B, H, W, C)).shape == (B, places, 16)


def test_odd_and_smallest_pictures():
    assert make((5, 7)).output.shape == (None, 3 * 4, 16)
    assert run(make((1, 1), stages=3), noise(B, 1, 1, C)).shape == (B, 1, 16)


@pytest.mark.parametrize("training", [False, True])
def test_what_a_picture_gives_does_not_depend_on_its_batch(training):
    model, pictures = make(), noise(B, H, W, C)
    together = run(model, pictures, training=training)
    alone = run(model, pictures[1:2], training=training)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)


def test_a_block_adds_to_what_enters_it():
    """With its last convolution at zero a block of one stage passes on what the stem gave."""
    model, pictures = make(stages=1), noise(B, H, W, C)
    model.get_layer("stage_1_block_1_second").set_weights([np.zeros((3, 3, 16, 16), "float32")])
    stem = keras.Model(model.input, model.get_layer("stem").output)
    final = keras.Sequential([model.get_layer("final_norm"), model.get_layer("final_relu")])
    wanted = run(final, stem(pictures)).reshape(B, H * W, 16)
    np.testing.assert_allclose(run(model, pictures), wanted, atol=1e-5)


@pytest.mark.parametrize(("options", "message"), [({"kernel": 2}, "even"), ({"width": 20}, "not divisible by 8")])
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        resnet.Config(**{**SMALL, **options})
