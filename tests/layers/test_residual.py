from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.residual import Residual

B, T, D = 3, 5, 7


@pytest.fixture
def x():
    keras.utils.set_random_seed(3)
    return np.random.default_rng(1).normal(size=(B, T, D)).astype("float32")


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def layer_norm(x, epsilon=1e-6):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)


def rms_norm(x, epsilon=1e-6):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon)


@pytest.mark.parametrize(("norm", "reference"), [("layer", layer_norm), ("rms", rms_norm)])
@pytest.mark.parametrize("layer_scale", [None, 0.25])
@pytest.mark.parametrize("placement", ["pre", "post", "sandwich"])
def test_each_placement_equals_its_formula(x, placement, norm, reference, layer_scale):
    path = Residual(norm, placement=placement, layer_scale=layer_scale)
    path.build(x.shape)
    output = numpy(path.leave(x, np.sin(3 * numpy(path.enter(x)))))
    scale = layer_scale or 1.0
    expected = {
        "pre": lambda: x + scale * np.sin(3 * reference(x)),
        "post": lambda: reference(x + scale * np.sin(3 * x)),
        "sandwich": lambda: x + scale * reference(np.sin(3 * reference(x))),
    }[placement]()
    np.testing.assert_allclose(output, expected, atol=1e-5)


def test_a_layer_is_a_prototype_of_the_norms(x):
    prototype = keras.layers.LayerNormalization(epsilon=0.5, center=False)
    path = Residual(prototype, placement="sandwich")
    path.build(x.shape)
    assert not prototype.built
    assert path.norm is not path.outer_norm
    assert len(path.weights) == 2  # a gamma each, and no beta
    np.testing.assert_allclose(numpy(path.enter(x)), layer_norm(x, 0.5), atol=1e-5)


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_a_mask_that_keras_carries_passes_through(norm):
    masked = keras.layers.Embedding(3, D, mask_zero=True)(np.array([[1, 2, 0]]))
    path = Residual(norm, placement="sandwich")
    path.build((1, 3, D))
    path.leave(masked, path.enter(masked))  # a warning that the mask is lost would be an error here


def test_layer_scale_is_learned_for_each_feature(x):
    path = Residual(layer_scale=1e-3)
    path.build(x.shape)
    path.scale.assign(np.arange(D))
    np.testing.assert_allclose(numpy(path(x, np.ones_like(x))) - x, np.tile(np.arange(D), (B, T, 1)), atol=1e-6)


def test_stochastic_depth_skips_whole_rows_and_scales_the_others():
    keras.utils.set_random_seed(7)
    rows = 400
    path = Residual(drop_path=0.25)
    zeros, branch = np.zeros((rows, T, D), "float32"), np.random.default_rng(2).normal(size=(rows, T, D))
    kept = numpy(path(zeros, branch.astype("float32"), training=True)) / branch
    np.testing.assert_allclose(kept, np.broadcast_to(kept[:, :1, :1], kept.shape), rtol=1e-4)
    skipped = np.isclose(kept[:, 0, 0], 0)
    np.testing.assert_allclose(kept[~skipped], 1 / 0.75, rtol=1e-4)
    assert 0.15 < skipped.mean() < 0.35
    np.testing.assert_allclose(numpy(path(zeros, branch.astype("float32"))), branch, atol=1e-6)


def test_dropout_falls_on_single_features_of_the_branch(x):
    path = Residual(dropout=0.5)
    dropped = numpy(path(x, np.ones_like(x), training=True)) - x
    assert {0, 2} == set(np.round(dropped, 4).ravel().tolist())
    assert len({tuple(row) for row in np.round(dropped[:, :, 0]).tolist()}) > 1


def test_the_configuration_makes_it_again():
    prototype = keras.layers.RMSNormalization(epsilon=0.5)
    given = {"norm": prototype, "placement": "post", "dropout": 0.1, "drop_path": 0.2, "layer_scale": 0.3}
    config = Residual(**given).get_config()
    assert config["norm"] == keras.saving.serialize_keras_object(prototype)
    assert {k: config[k] for k in given if k != "norm"} == {k: v for k, v in given.items() if k != "norm"}
    assert Residual.from_config(config).get_config() == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "batch"}, "one of .'layer', 'rms'. or a layer. Received: norm='batch'"),
        ({"placement": "middle"}, "one of .'pre', 'post', 'sandwich'.*placement='middle'"),
        ({"dropout": 1.0}, "below 1. Received: dropout=1.0, drop_path=0.0"),
        ({"drop_path": -0.1}, "drop_path=-0.1"),
    ],
)
def test_impossible_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Residual(**options)
