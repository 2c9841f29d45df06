from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(73)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def test_token_dropout_makes_tokens_unknown_in_training_alone():
    layer = layers.TokenEmbedding(50, width=3, token_dropout=0.3)
    ids = np.random.default_rng(79).integers(2, 50, (40, 50))
    ids[:, 40:] = 0
    layer.build(ids.shape)
    table = numpy(layer.table.embeddings)
    np.testing.assert_allclose(numpy(layer(ids)), table[ids])
    trained = numpy(layer(ids, training=True))
    unknown = np.all(trained == table[1], axis=-1)
    assert 0.25 < unknown[:, :40].mean() < 0.35
    np.testing.assert_allclose(trained[~unknown], table[ids][~unknown])
    assert not unknown[:, 40:].any()


def test_characters_equal_the_formula():
    layer = layers.CharacterEmbedding(13, width=4, character_width=3, window=5)
    word = np.array([7, 2, 9, 4])
    output = numpy(layer(word[None, None]))[0, 0]
    table, kernel, bias = map(numpy, layer.weights)
    padded = np.pad(table[word], ((2, 2), (0, 0)))
    each = [bias + sum(padded[c + j] @ kernel[j] for j in range(5)) for c in range(4)]
    np.testing.assert_allclose(output, np.max(each, axis=0), atol=1e-6)


def test_padding_characters_change_nothing():
    layer = layers.CharacterEmbedding(13, width=4)
    layer.build((None, None, 5))
    layer.filters.bias.assign([1.0, -1.0, 2.0, -2.0])
    words = np.array([[[7, 2, 0, 0, 0], [3, 0, 0, 0, 0], [0, 0, 0, 0, 0]]])
    output = numpy(layer(words))
    np.testing.assert_allclose(numpy(layer(words[:, :, :2])), output, atol=1e-6)
    np.testing.assert_array_equal(output[0, 2], 0)
    assert np.abs(output[0, :2]).min() > 0
