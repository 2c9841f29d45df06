from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite import layers
from suite.layers.decoder import DecoderBlock
from suite.layers.language_model import LanguageModel
from suite.layers.stacks import Decoder

B, T, S, D, N = 2, 5, 3, 12, 17
TOKENS = np.random.default_rng(0).integers(2, N, size=(B, T)).astype("int32")


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def make(*, position=None, cross_attention=None, **options) -> LanguageModel:
    keras.utils.set_random_seed(3)
    block = DecoderBlock(2, feed_forward=11, cross_attention=cross_attention)
    decoder = Decoder(2, block, position=position)
    model = LanguageModel(layers.TokenEmbedding(N, width=D), decoder, **options)
    model.build((None, None), (None, None, D) if cross_attention else None)
    for i, weight in enumerate(model.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(scale=0.5, size=weight.shape))
    return model


def test_tied_logits_are_products_with_the_embedding_table():
    model = make()
    hidden = numpy(model.decoder(model.embedding(TOKENS)))
    np.testing.assert_allclose(numpy(model(TOKENS)), hidden @ numpy(model.embedding.table).T, atol=1e-4)
    assert sum(w.shape == (N, D) for w in model.weights) == 1


def test_free_logits_have_a_matrix_of_their_own_without_bias():
    model = make(tie=False)
    hidden = numpy(model.decoder(model.embedding(TOKENS)))
    np.testing.assert_allclose(numpy(model(TOKENS)), hidden @ numpy(model.output_projection.kernel), atol=1e-4)
    assert [w.path.rsplit("/", 2)[1:] for w in model.weights][-1] == ["output", "kernel"]


def jitted(function):
    """The function as its backend compiles it."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    return function


def slow_greedy(model, tokens, steps, **arguments):
    """Without a cache: everything is read again for each token."""
    for _ in range(steps):
        best = numpy(model(tokens, **arguments))[:, -1:].argmax(-1)
        tokens = np.concatenate([tokens, best.astype("int32")], axis=1)
    return tokens


@pytest.mark.parametrize("memory", [None, np.random.default_rng(4).normal(size=(B, S, D)).astype("float32")])
@pytest.mark.parametrize("position", ["Rotary", "Learned"])
def test_greedy_generation_in_a_compiled_loop_equals_reading_all_again(position, memory):
    positions = {"Rotary": layers.Rotary, "Learned": lambda: layers.Learned(2 * T)}
    model = make(position=positions[position](), cross_attention=None if memory is None else 2)
    given = {} if memory is None else {"memory": ops.convert_to_tensor(memory)}

    def generate(prompt):
        logits, cache = model(prompt, cache=model.make_cache(B, 2 * T, **given))

        def step(i, logits, cache, tokens):
            best = ops.cast(ops.argmax(logits[:, -1:], axis=-1), "int32")
            tokens = ops.slice_update(tokens, (0, i), best)
            logits, cache = model(best, cache=cache)
            return i + 1, logits, cache, tokens

        tokens = ops.concatenate([prompt, ops.zeros((B, T), "int32")], axis=1)
        start = (ops.convert_to_tensor(T, "int32"), logits[:, -1:], cache, tokens)
        return ops.while_loop(lambda i, *_: i < 2 * T, step, start)[3]

    expected = slow_greedy(model, TOKENS, T, **given)
    np.testing.assert_array_equal(numpy(jitted(generate)(ops.convert_to_tensor(TOKENS))), expected)


def test_prompts_of_several_lengths_are_padded_on_the_left():
    model = make(position=layers.RelativeBias())
    mask = np.arange(T) >= [[0], [2]]
    logits, cache = model(TOKENS, mask=mask, cache=model.make_cache(B, T + 2))
    for row, start in enumerate((0, 2)):
        alone = model(TOKENS[row : row + 1, start:])
        np.testing.assert_allclose(numpy(logits)[row, start:], numpy(alone)[0], atol=1e-4)
    following = np.array([[3], [4]], "int32")
    logits, cache = model(following, cache=cache)
    alone = model(np.concatenate([TOKENS[1:, 2:], following[1:]], axis=1))
    np.testing.assert_allclose(numpy(logits)[1, 0], numpy(alone)[0, -1], atol=1e-4)


@pytest.mark.parametrize("tie", [True, False])
def test_a_saved_model_gives_the_same_logits_in_float32(tie, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        tokens = keras.Input((None,), dtype="int32")
        built = keras.Model(tokens, make(tie=tie, position=layers.Sinusoidal())(tokens))
        built.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        expected = built.predict_on_batch(TOKENS)
        assert keras.backend.standardize_dtype(built.output.dtype) == "float32"
        np.testing.assert_array_equal(loaded.predict_on_batch(TOKENS), expected)
    finally:
        keras.config.set_dtype_policy("float32")
    assert loaded.count_params() == built.count_params()


def test_the_configuration_holds_every_argument():
    config = make(tie=False).get_config()
    assert config["tie"] is False
    assert LanguageModel.from_config(config).get_config() == config
