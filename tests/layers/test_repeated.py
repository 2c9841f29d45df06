"""One block, run several times."""

import keras
import numpy as np
import pytest

from suite.layers import EncoderBlock, Repeated

B, T, D = 2, 7, 12
MASK = np.arange(T) < np.array([[7], [4]])


@pytest.fixture
def x():
    keras.utils.set_random_seed(5)
    return np.random.default_rng(5).normal(size=(B, T, D)).astype("float32")


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def test_it_is_the_block_applied_to_its_own_output_with_a_signal_each_time(x):
    layer = Repeated(EncoderBlock(2, feed_forward=5), steps=3)
    layer.build(x.shape)
    signals = np.random.default_rng(7).normal(size=(3, D)).astype("float32")
    layer.signals.assign(signals)
    expected = x
    for signal in signals:
        expected = numpy(layer.block(expected + signal, mask=MASK))
    np.testing.assert_allclose(numpy(layer(x, mask=MASK)), expected, atol=1e-5)


def test_weights_do_not_grow_with_steps_beyond_the_signals(x):
    counts = []
    for steps in (1, 4):
        layer = Repeated(EncoderBlock(2, feed_forward=5), steps=steps)
        layer(x)
        counts.append(layer.count_params())
    assert counts[1] - counts[0] == 3 * D


def test_a_saved_layer_gives_the_same(x, tmp_path):
    inputs = keras.Input((None, D))
    model = keras.Model(inputs, Repeated(EncoderBlock(2, feed_forward=5, dropout=0.1), steps=2)(inputs))
    for weight in model.trainable_weights:
        weight.assign(np.random.default_rng(9).normal(size=weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(model(x)))


def test_no_step_is_refused():
    with pytest.raises(ValueError, match="steps=0"):
        Repeated(EncoderBlock(2, feed_forward=5), steps=0)
