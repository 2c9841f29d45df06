"""Models made int8 by `keras.Model.quantize`: near what they were, the same after loading, and decoding like any."""

import gc

import keras
import numpy as np
import pytest
from keras import ops

from suite.decoding import generate
from suite.layers import Decoder, DecoderBlock, FeedForward, LanguageModel, TokenEmbedding
from suite.layers.dense import Dense

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")  # norms and dropout


@pytest.fixture(autouse=True, scope="module")
def _frozen():
    """Keras collects garbage for each layer that it quantizes, and what other tests left takes long to look at."""
    gc.collect()
    gc.freeze()


TOKENS = np.random.default_rng(0).integers(1, 53, (3, 7))


def language_model(**options):
    keras.utils.set_random_seed(1)
    block = DecoderBlock(2, feed_forward=FeedForward(23, gated=True))
    layer = LanguageModel(TokenEmbedding(53, width=14), Decoder(2, block), **options)
    tokens = keras.Input((None,), dtype="int32")
    model = keras.Model(tokens, layer(tokens))
    for weight in model.trainable_variables:
        if weight.name == "table":  # as large as trained ones, so that logits differ
            weight.assign(weight * 20)
    return model, layer


def logits(model):
    return ops.convert_to_numpy(model(TOKENS))


@pytest.mark.parametrize("tie", [True, False])
def test_every_product_with_weights_becomes_int8_and_logits_stay_near(tie):
    model, layer = language_model(tie=tie)
    before, count = logits(model), model.count_params()
    model.quantize("int8")
    kept = [v.name for v in layer.trainable_variables if len(v.shape) > 1]
    assert kept == []
    assert sum(v.dtype == "int8" for v in layer.variables) == 2 * (4 + 3) + (1 if tie else 2)
    after = logits(model)
    assert 0 < np.abs(after - before).max() < 0.05 * np.abs(before).max()
    assert model.count_params() > count  # the scales


def test_a_quantized_model_is_loaded_as_it_was_saved(tmp_path):
    model, _ = language_model()
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits(loaded), logits(model))
    assert [v.dtype for v in loaded.variables] == [v.dtype for v in model.variables]


def test_int8_weights_are_loaded_into_a_model_of_floats(tmp_path):
    model, _ = language_model(tie=False)
    model.quantize("int8")
    model.save_weights(tmp_path / "x.weights.h5")
    other, _ = language_model(tie=False)
    other.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_array_equal(logits(other), logits(model))


def test_a_program_that_was_compiled_before_reads_the_new_weights():
    model, layer = language_model()
    prompts = TOKENS.tolist()
    before = generate(layer, prompts, max_tokens=6).scores
    model.quantize("int8")
    after = generate(layer, prompts, max_tokens=6)
    rows = np.concatenate([TOKENS, after.tokens], axis=1)
    expected = logits_of(layer, rows)[:, TOKENS.shape[1] - 1 : -1]  # (B, M, N)
    np.testing.assert_array_equal(after.tokens, expected.argmax(-1))
    assert not np.allclose(after.scores, before, atol=1e-6)
    alone = generate(layer, prompts[:1], max_tokens=6)
    assert alone.tokens == after.tokens[:1]
    np.testing.assert_allclose(alone.scores, after.scores[:1], rtol=1e-4)


def logits_of(layer, rows):
    return ops.convert_to_numpy(layer(rows))


def test_the_table_reads_and_multiplies_what_was_rounded():
    embedding = TokenEmbedding(11, width=5, scale=True)
    embedding.build((None, None))
    table = np.random.default_rng(0).normal(size=(11, 5)).astype("float32")
    embedding.table.assign(table)
    embedding.quantize("int8")
    scale = np.abs(table).max(axis=1, keepdims=True) / 127
    rounded = np.round(table / scale) * scale
    np.testing.assert_allclose(ops.convert_to_numpy(embedding(np.arange(11)[None]))[0], rounded * 5**0.5, rtol=1e-4)
    hidden = np.random.default_rng(1).normal(size=(2, 3, 5)).astype("float32")
    step = np.abs(hidden).max(axis=-1, keepdims=True) / 127
    expected = (np.round(hidden / step) * step) @ rounded.T
    np.testing.assert_allclose(ops.convert_to_numpy(embedding.logits(hidden)), expected, atol=1e-3)
    np.testing.assert_allclose(ops.convert_to_numpy(embedding.logits(hidden[:1, :1])), expected[:1, :1], atol=1e-3)
    again = TokenEmbedding.from_config(embedding.get_config())
    again.build((None, None))
    assert [v.dtype for v in again.variables] == [v.dtype for v in embedding.variables]


def test_what_cannot_be_kept_is_refused():
    layer = Dense(3)
    layer.build((None, 4))
    with pytest.raises(ValueError, match="activation_quantizer=None"):
        layer.quantize(config=keras.quantizers.Int8QuantizationConfig(activation_quantizer=None))
    embedding = TokenEmbedding(11, width=5)
    embedding.build((None, None))
    with pytest.raises(NotImplementedError, match="int8"):
        embedding.quantize("int4")
    embedding.quantize("int8")
    with pytest.raises(ValueError, match="once"):
        embedding.quantize("int8")


def test_one_row_alone_gives_what_it_gives_beside_another():
    keras.utils.set_random_seed(0)
    layer = Dense(6)
    layer.build((None, 4))
    layer.quantize("int8")
    x = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x[:1])), ops.convert_to_numpy(layer(x))[:1], rtol=1e-5)
