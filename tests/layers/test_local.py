from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.attention import MultiHeadAttention
from suite.layers.local import LocalAttention
from suite.layers.relative import RelativeAttention

B, T, D, WINDOW = 2, 13, 10, 3


@pytest.fixture
def x():
    return np.random.default_rng(17).normal(size=(B, T, D)).astype("float32")


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(ops.stop_gradient(tensor), "float32")))


class Watched(LocalAttention):
    """Remembers the shapes of scores."""

    def score(self, query, key):
        scores = super().score(query, key)
        self.seen = tuple(scores.shape)
        return scores


@pytest.mark.parametrize(("causal", "reach"), [(False, 3), (True, 2)])
def test_scores_lie_along_the_band(causal, reach, x):
    layer = Watched(2, window=WINDOW)
    layer(x, causal=causal)
    assert layer.seen == (B * 5, 2, WINDOW, reach * WINDOW)  # 13 positions are 5 blocks of 3
    layer(x[:, :6], causal=causal)
    assert layer.seen == (B, 2, 6, 6)


@pytest.mark.parametrize("length", [7, 9, 11, 12, 13])
def test_lengths_that_fill_blocks_and_others_equal_plain_attention(length, x):
    ours, plain = LocalAttention(2, window=2), MultiHeadAttention(2, window=2)
    for layer in (ours, plain):
        layer.build(x.shape)
    plain.set_weights(ours.get_weights())
    x = x[:, :length]
    for call in ({}, {"causal": True}):
        np.testing.assert_allclose(numpy(ours(x, **call)), numpy(plain(x, **call)), atol=1e-5)


def test_variants_combine(x):
    class Both(RelativeAttention, LocalAttention):
        pass

    both, relative = Both(2, window=WINDOW), RelativeAttention(2, window=WINDOW)
    for layer in (both, relative):
        layer.build(x.shape)
    relative.set_weights(both.get_weights())
    call = {"positions": np.arange(T) * 2 + [[3], [5]], "mask": np.arange(T) < [[T], [11]]}
    np.testing.assert_allclose(numpy(both(x, **call)), numpy(relative(x, **call)), atol=1e-5)


def test_positions_that_do_not_rise_are_refused(x):
    layer, restart = LocalAttention(2, window=WINDOW), np.arange(T) % 7
    with pytest.raises(ValueError, match=r"positions that rise.*or a pair_mask"):
        layer(x, positions=restart)
    assert np.all(np.isfinite(numpy(layer(x, positions=restart, pair_mask=np.ones((T, T), bool)))))
    apart = np.arange(T) != 7  # padding between two sequences does not hide that the second counts anew
    with pytest.raises(ValueError, match=r"positions that rise"):
        layer(x, positions=np.where(apart, np.arange(T) % 8, 99), mask=np.stack([apart, apart]))
    padded = np.maximum(np.arange(T) - 4, 0)
    assert np.all(np.isfinite(numpy(layer(x, positions=padded, mask=np.arange(T) >= [[4], [5]]))))


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="values are known at all times")
def test_positions_that_do_not_rise_give_nan_where_they_are_not_known(x):
    inputs, positions = keras.Input((None, D)), keras.Input((None,), dtype="int32")
    model = keras.Model([inputs, positions], LocalAttention(2, window=WINDOW)(inputs, positions=positions))
    output = model.predict_on_batch([x, np.stack([np.arange(T), np.arange(T) % 7]).astype("int32")])
    assert np.all(np.isfinite(output[0]))
    assert np.all(np.isnan(output[1]))


def test_a_window_is_required():
    with pytest.raises(ValueError, match=r"expects a window. Received: window=None"):
        LocalAttention(2)
