from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers.embeddings import CharacterEmbedding, TokenEmbedding


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(73)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def test_token_dropout_makes_tokens_unknown_in_training_alone():
    layer = TokenEmbedding(50, width=3, token_dropout=0.3)
    ids = np.random.default_rng(79).integers(2, 50, (40, 50))
    ids[:, 40:] = 0
    layer.build(ids.shape)
    table = numpy(layer.table)
    np.testing.assert_allclose(numpy(layer(ids)), table[ids])
    trained = numpy(layer(ids, training=True))
    unknown = np.all(trained == table[1], axis=-1)
    assert 0.25 < unknown[:, :40].mean() < 0.35
    np.testing.assert_allclose(trained[~unknown], table[ids][~unknown])
    assert not unknown[:, 40:].any()


def test_scale_multiplies_by_the_root_of_the_width():
    ids = np.array([[3, 1, 0, 7, 9]])
    layer = TokenEmbedding(11, width=7, scale=True)
    output = numpy(layer(ids))
    np.testing.assert_allclose(output, numpy(layer.table)[ids] * np.sqrt(7), rtol=1e-6)


@pytest.mark.parametrize(
    ("policy", "dtype"),
    [
        ("float32", "float32"),
        ("mixed_float16", "float16"),
        ("mixed_float16", "float32"),
        ("mixed_bfloat16", "bfloat16"),
    ],
)
def test_logits_are_the_exact_products_with_the_table(policy, dtype):
    layer = TokenEmbedding(11, width=7, scale=True, dtype=policy)
    hidden = ops.cast(np.random.default_rng(83).normal(size=(2, 5, 7)), dtype)
    layer.build((None, None))
    layer.table.assign(300 * np.random.default_rng(89).normal(size=(11, 7)))
    output = layer.logits(hidden)
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    expected = numpy(hidden).astype("float64") @ numpy(layer.table).T
    np.testing.assert_allclose(numpy(output), expected, rtol=1e-5, atol=1e-2)


@keras.saving.register_keras_serializable(package="test")
class Tied(keras.layers.Layer):
    """Reads and writes with one table, from within another layer's precision."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = TokenEmbedding(11, width=7, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.embedding.build(input_shape)

    def call(self, inputs):
        return self.embedding.logits(self.embedding(inputs))


def as_layer(policy):
    inputs = keras.Input((None,), dtype="int32")
    return keras.Model(inputs, Tied(dtype=policy)(inputs))


def as_functional_model(policy):
    inputs = keras.Input((None,), dtype="int32")
    embedding = TokenEmbedding(11, width=7, dtype=policy)
    return keras.Model(inputs, embedding.logits(embedding(inputs)))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("make", [as_layer, as_functional_model])
def test_a_saved_model_keeps_one_table_for_input_and_output(make, policy, tmp_path):
    model, ids = make(policy), np.array([[3, 1, 0, 7, 9]])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(ids), model.predict_on_batch(ids))
    assert model.outputs[0].dtype == "float32"
    assert [tuple(w.shape) for w in loaded.trainable_weights] == [(11, 7)]
    loaded.trainable_weights[0].assign(np.ones((11, 7)))
    np.testing.assert_array_equal(loaded.predict_on_batch(ids), 7)  # the change reaches both ends


def test_the_table_learns_from_both_ends():
    model = as_functional_model("float32")
    before = numpy(model.trainable_weights[0])
    model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.train_on_batch(np.array([[3, 3]]), np.array([[5, 5]]))
    changed = np.any(before != numpy(model.trainable_weights[0]), axis=-1)
    np.testing.assert_array_equal(changed, True)  # the output reaches every row
    assert np.abs(numpy(model.trainable_weights[0]) - before)[3].max() > 1e-3  # and the input row 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TokenEmbedding(9, width=0), "width of at least 1.*Received: vocabulary=9, width=0"),
        (lambda: TokenEmbedding(9, width=4).logits(np.ones((2, 3, 5), "float32")), r"width 4.*shape \(2, 3, 5\)"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_characters_equal_the_formula():
    layer = CharacterEmbedding(13, width=4, character_width=3, window=5)
    word = np.array([7, 2, 9, 4])
    output = numpy(layer(word[None, None]))[0, 0]
    table, kernel, bias = map(numpy, layer.weights)
    padded = np.pad(table[word], ((2, 2), (0, 0)))
    each = [bias + sum(padded[c + j] @ kernel[j] for j in range(5)) for c in range(4)]
    np.testing.assert_allclose(output, np.max(each, axis=0), atol=1e-6)


def test_padding_characters_change_nothing():
    layer = CharacterEmbedding(13, width=4)
    layer.build((None, None, 5))
    layer.filters.bias.assign([1.0, -1.0, 2.0, -2.0])
    words = np.array([[[7, 2, 0, 0, 0], [3, 0, 0, 0, 0], [0, 0, 0, 0, 0]]])
    output = numpy(layer(words))
    np.testing.assert_allclose(numpy(layer(words[:, :, :2])), output, atol=1e-6)
    np.testing.assert_array_equal(output[0, 2], 0)
    assert np.abs(output[0, :2]).min() > 0
