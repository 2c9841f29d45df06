from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.layers.blocks import EncoderBlock
from suite.layers.decoder import DecoderBlock
from suite.layers.encoder_decoder import EncoderDecoder
from suite.layers.stacks import Decoder, Encoder

B, S, T, D, N = 2, 7, 5, 12, 17
SOURCE = np.random.default_rng(0).integers(2, N, size=(B, S)).astype("int32")
TARGET = np.random.default_rng(1).integers(2, N, size=(B, T)).astype("int32")
MASK = np.arange(S) < [[S], [4]]


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def make(**options) -> EncoderDecoder:
    keras.utils.set_random_seed(3)
    encoder = Encoder(2, EncoderBlock(2, feed_forward=11), position=layers.RelativeBias())
    decoder = Decoder(2, DecoderBlock(2, feed_forward=11, cross_attention=2), position=layers.RelativeBias())
    return EncoderDecoder(layers.TokenEmbedding(N, width=D), encoder, decoder, **options)


def settled(model: EncoderDecoder) -> EncoderDecoder:
    for i, weight in enumerate(model.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(scale=0.5, size=weight.shape))
    return model


def test_it_is_the_decoder_of_what_the_encoder_makes():
    model = make()
    model(SOURCE, TARGET)
    settled(model)
    memory = model.encoder(model.embedding(SOURCE), mask=MASK)
    hidden = model.language_model.decoder(model.embedding(TARGET), memory, memory_mask=MASK)
    expected = numpy(hidden) @ numpy(model.embedding.table).T
    np.testing.assert_allclose(numpy(model(SOURCE, TARGET, mask=MASK)), expected, atol=1e-4)
    names = [w.path for w in model.weights]
    assert sum("bias_table" in name for name in names) == 2  # the encoder's and the decoder's, none of cross-attention
    assert sum(w.shape == (N, D) for w in model.weights) == 1


def test_padding_of_the_source_is_not_read():
    model = make()
    model(SOURCE, TARGET)
    settled(model)
    logits = numpy(model(SOURCE, TARGET, mask=MASK))
    np.testing.assert_allclose(numpy(model(np.where(MASK, SOURCE, 9), TARGET, mask=MASK)), logits, atol=1e-5)
    np.testing.assert_allclose(numpy(model(SOURCE[1:, :4], TARGET[1:]))[0], logits[1], atol=1e-4)


def test_the_mask_of_the_source_does_not_become_that_of_the_loss():
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    mask = keras.Input((None,), dtype="bool")
    model = keras.Model([source, target, mask], make()(source, target, mask=mask))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    logits = model.predict_on_batch([SOURCE, TARGET, MASK])
    chosen = np.take_along_axis(logits, TARGET[..., None], axis=-1)[..., 0]
    expected = (np.log(np.exp(logits).sum(-1)) - chosen).mean()
    np.testing.assert_allclose(model.test_on_batch([SOURCE, TARGET, MASK], TARGET), expected, rtol=1e-4)


def test_decoding_with_a_cache_equals_reading_all_again():
    model = make(tie=False)
    model(SOURCE, TARGET)
    whole = numpy(settled(model)(SOURCE, TARGET, mask=MASK))
    cache = model.make_cache(B, T, memory=model.encode(SOURCE, mask=MASK), memory_mask=MASK)
    for t in range(T):
        logits, cache = model.decode(TARGET[:, t : t + 1], cache=cache)
        np.testing.assert_allclose(numpy(logits)[:, 0], whole[:, t], atol=1e-4)


def test_the_source_may_be_anything_that_a_layer_embeds():
    frames = np.random.default_rng(2).normal(size=(B, 2 * S, 3)).astype("float32")
    model = make(source_embedding=keras.layers.Conv1D(D, 2, strides=2))
    logits = model(frames, TARGET, mask=MASK)
    assert tuple(logits.shape) == (B, T, N)
    memory = model.encoder(model.source_embedding(frames), mask=MASK)
    np.testing.assert_allclose(numpy(model.decode(TARGET, memory, memory_mask=MASK)), numpy(logits), atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"tie": False, "source_embedding": lambda: keras.layers.Embedding(N, D)}])
def test_a_saved_model_gives_the_same_logits(options, tmp_path):
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    layer = make(**{k: v() if callable(v) else v for k, v in options.items()})
    model = keras.Model([source, target], layer(source, target))
    settled(layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    arrays = [SOURCE, TARGET]
    np.testing.assert_array_equal(loaded.predict_on_batch(arrays), model.predict_on_batch(arrays))
    assert loaded.count_params() == model.count_params()
    config = layer.get_config()
    assert EncoderDecoder.from_config(config).get_config() == config


def test_one_position_scheme_for_both_halves_is_refused():
    position = layers.RelativeBias()
    encoder = Encoder(1, EncoderBlock(2, feed_forward=3), position=position)
    decoder = Decoder(1, DecoderBlock(2, feed_forward=3, cross_attention=2), position=position)
    with pytest.raises(ValueError, match=r"a position scheme each\. Received: one for both, <RelativeBias"):
        EncoderDecoder(layers.TokenEmbedding(N, width=D), encoder, decoder)
