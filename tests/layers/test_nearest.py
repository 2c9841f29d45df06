"""Heads that stop at the nearest earlier match."""

import keras
import numpy as np
import pytest

from suite.layers import NearestAttention

B, T, D, H = 2, 7, 12, 3
MASK = np.arange(T) < np.array([[7], [4]])


@pytest.fixture
def x():
    keras.utils.set_random_seed(3)
    return np.random.default_rng(3).normal(size=(B, T, D)).astype("float32")


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def walked(stops):
    """Probabilities to stop (T, S) -> to stop first: from each query back in time, one key after the other."""
    weights = np.zeros_like(stops)
    for t in range(len(stops)):
        left = 1.0
        for j in reversed(range(t)):
            weights[t, j] = left * stops[t, j]
            left *= 1 - stops[t, j]
    return weights


def test_weights_are_those_of_walking_back_and_stopping(x):
    layer = NearestAttention(H, nearest=2)
    _, weights = layer(x, mask=MASK, return_weights=True)
    layer.offset.assign(np.array([[[0.5]], [[-1.5]]]))
    _, weights = layer(x, mask=MASK, return_weights=True)
    query, key = (numpy(p(x)).reshape(B, T, H, D // H) for p in (layer.query_projection, layer.key_projection))
    scores = np.einsum("bthw,bshw->bhts", query, key) / np.sqrt(D // H)
    for row in range(B):
        for head, offset in enumerate((0.5, -1.5)):
            stops = MASK[row] / (1 + np.exp(-(scores[row, head] + offset)))
            expected = walked(stops) * MASK[row][:, None]
            np.testing.assert_allclose(numpy(weights)[row, head], expected, atol=1e-6)


def test_the_last_match_is_found_however_long_ago_it_was():
    layer = NearestAttention(1, nearest=1)
    x = np.zeros((1, 41, 2), "float32")
    x[0, [3, 5, 40], 0] = 1  # two places that match the last one
    layer.build(x.shape)
    for projection in (layer.query_projection, layer.key_projection):
        projection.kernel.assign(np.diag([6.0, 6.0]))
    layer.offset.assign(np.full((1, 1, 1), -9.0))
    _, weights = layer(x, return_weights=True)
    assert numpy(weights)[0, 0, 40].argmax() == 5
    assert numpy(weights)[0, 0, 40, 5] > 0.9


def test_the_other_heads_are_plain_attention(x):
    layer = NearestAttention(H, nearest=1)
    output, weights = layer(x, mask=MASK, return_weights=True)
    np.testing.assert_allclose(numpy(weights)[:, 1:].sum(-1)[:, 0], MASK, atol=1e-6)
    assert np.all(np.isfinite(numpy(output)))


@pytest.mark.parametrize("nearest", [0, 3])
def test_all_heads_may_be_of_one_kind(x, nearest):
    _, weights = NearestAttention(H, nearest=nearest)(x, mask=MASK, return_weights=True)
    after = numpy(weights)[0][:, np.triu(np.ones((T, T), bool))]
    assert np.all(after == 0) if nearest else np.all(after > 0)


def test_padding_is_not_read_and_leaves_no_trace(x):
    layer = NearestAttention(H)
    before = numpy(layer(x, mask=MASK))
    after = numpy(layer(np.where(MASK[..., None], x, 50.0).astype("float32"), mask=MASK))
    np.testing.assert_allclose(after[MASK], before[MASK], atol=1e-5)
    alone = numpy(layer(x[1:, :4], mask=MASK[1:, :4]))
    np.testing.assert_allclose(alone[0], before[1, :4], atol=1e-5)


def test_a_saved_layer_gives_the_same(x, tmp_path):
    inputs = keras.Input((None, D))
    model = keras.Model(inputs, NearestAttention(H, nearest=2, dropout=0.1)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(model(x)))
    assert [layer.nearest for layer in loaded.layers if isinstance(layer, NearestAttention)] == [2]


@pytest.mark.parametrize("nearest", [-1, 4])
def test_an_impossible_number_of_nearest_heads_is_refused(nearest):
    with pytest.raises(ValueError, match=rf"from 0 to heads=3. Received: nearest={nearest}"):
        NearestAttention(H, nearest=nearest)
