from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from suite.layers import Alibi

T, S, W = 5, 7, 10


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def made(heads, **kwargs):
    layer = Alibi(**kwargs)
    layer.build((None, heads, None, W))
    return layer


@pytest.mark.parametrize(
    ("heads", "exponents"),
    [
        (1, [8]),
        (8, [1, 2, 3, 4, 5, 6, 7, 8]),
        (6, [2, 4, 6, 8, 1, 3]),
        (12, [1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5]),
    ],
)
def test_each_head_has_the_slope_of_the_paper(heads, exponents):
    bias = numpy(made(heads).bias(np.arange(T), np.arange(S)))
    assert bias.shape == (1, heads, T, S)
    for h, t, s in np.ndindex(heads, T, S):
        np.testing.assert_allclose(bias[0, h, t, s], -(2.0 ** -exponents[h]) * abs(t - s), rtol=1e-6)


@pytest.mark.parametrize("heads", [1, 2, 3, 8, 11, 20])
@pytest.mark.parametrize("max_bias", [8, 5])
def test_causal_weights_equal_those_of_keras_hub(heads, max_bias):
    from keras_hub.layers import AlibiBias

    scores = np.random.default_rng(7).normal(size=(2, heads, S, S)).astype("float32")
    causal = np.where(np.tri(S, dtype=bool), 0, -1e9).astype("float32")
    theirs = AlibiBias(alibi_bias_max=max_bias)(scores)
    ours = scores + numpy(made(heads, max_bias=max_bias).bias(np.arange(S), np.arange(S)))
    np.testing.assert_allclose(numpy(theirs)[:, :, -1], ours[:, :, -1], atol=1e-6)  # elsewhere up to a constant
    np.testing.assert_allclose(numpy(ops.softmax(theirs + causal)), numpy(ops.softmax(ours + causal)), atol=1e-6)


def test_impossible_use_is_refused():
    with pytest.raises(ValueError, match=r"max_bias above 0\. Received: max_bias=0"):
        Alibi(max_bias=0)
    with pytest.raises(ValueError, match="expects to be built"):
        Alibi().bias(np.arange(T), np.arange(S))
