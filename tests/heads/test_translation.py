"""The translator: what each half reads, one table for three uses, also after loading, and losses by hand."""

from functools import partial

import keras
import numpy as np
import pytest
from scipy.special import logsumexp

from suite.heads import translation
from suite.models import cnn, rnn, transformer
from suite.task import Architecture, Array, Spec

B, S, T, N, D = 2, 5, 7, 31, 22
SPEC = Spec(
    inputs={"source": Array((None,), "int32"), "target": Array((None,), "int32")},
    target=Array((None,), "int32"),
    sizes={"pieces": N},
)
FAMILIES = {
    "transformer": (transformer, {"depth": 1, "heads": 11, "ffn": 13}),
    "rnn": (rnn, {"depth": 1}),
    "cnn": (cnn, {"depth": 2}),
}


@pytest.fixture(params=FAMILIES, scope="module")
def model(request):
    module, sizes = FAMILIES[request.param]
    config = module.Config(width=D, **sizes)
    keras.utils.set_random_seed(0)
    encode, decode = module.encoder(config), partial(module.decoder, config)
    return made(Architecture(width=D, reads="sequence", encode=encode, decode=decode))


def made(architecture):
    return translation.translator(SPEC, dropout=0.1, token_dropout=0.1, architecture=architecture)


@pytest.fixture
def tokens():
    random = np.random.default_rng(0)
    source, target = random.integers(2, N, (B, S)), random.integers(2, N, (B, T))
    source[0, 3:] = 0
    return {"source": source.astype("int32"), "target": target.astype("int32")}


def test_logits_are_of_the_next_token_alone(model, tokens):
    logits = np.array(model.predict_on_batch(tokens))
    assert logits.shape == (B, T, N)
    later = {**tokens, "target": tokens["target"].copy()}
    later["target"][:, 4:] = 7
    np.testing.assert_allclose(model.predict_on_batch(later)[:, :4], logits[:, :4], atol=1e-5)
    assert np.abs(model.predict_on_batch(later)[:, 4:] - logits[:, 4:]).max() > 1e-3


def test_every_target_token_reads_the_whole_source_and_no_padding(model, tokens):
    logits = np.array(model.predict_on_batch(tokens))
    longer = {**tokens, "source": np.pad(tokens["source"], ((0, 0), (0, 3)))}
    np.testing.assert_allclose(model.predict_on_batch(longer), logits, atol=1e-5)
    for place in range(S):
        changed = {**tokens, "source": tokens["source"].copy()}
        changed["source"][1, place] = 2 + (changed["source"][1, place] + 5) % (N - 2)
        moved = np.abs(model.predict_on_batch(changed) - logits).max(axis=-1)  # (B, T)
        assert moved[1].min() > 1e-7
        assert moved[0].max() < 1e-5


def test_one_table_serves_source_target_and_output_also_after_loading(model, tokens, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    for each in (model, loaded):
        tables = [variable for variable in each.trainable_variables if tuple(variable.shape) in ((N, D), (D, N))]
        assert len(tables) == 1
        assert each.get_layer("language_model").embedding is each.get_layer("embedding")
    np.testing.assert_allclose(loaded.predict_on_batch(tokens), model.predict_on_batch(tokens), atol=1e-6)
    assert len(loaded.trainable_variables) == len(model.trainable_variables)


def test_memory_and_language_model_together_are_the_model(model, tokens):
    memory = np.array(keras.ops.convert_to_numpy(translation.memory(model, tokens["source"])))
    assert memory.shape == (B, S, D)
    logits = model.get_layer("language_model")(tokens["target"], memory, memory_mask=tokens["source"] != 0)
    logits = keras.ops.convert_to_numpy(keras.ops.stop_gradient(logits))
    np.testing.assert_allclose(logits, model.predict_on_batch(tokens), atol=1e-5)


def test_nats_are_those_of_the_logits_and_follow_the_weights(model, tokens):
    right = np.roll(tokens["target"], -1, axis=1)
    for _ in range(2):
        logits = np.array(model.predict_on_batch(tokens))
        wanted = logsumexp(logits, axis=-1) - np.take_along_axis(logits, right[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(translation.nats(model, **tokens, right=right), wanted, atol=1e-5)
        memory = np.array(keras.ops.convert_to_numpy(translation.memory(model, tokens["source"])))
        for variable in model.trainable_variables:  # as training does
            variable.assign(variable * 1.1)
    assert np.abs(keras.ops.convert_to_numpy(translation.memory(model, tokens["source"])) - memory).max() > 1e-3


def test_an_architecture_without_a_decoder_is_refused():
    architecture = Architecture(width=D, reads="sequence", encode=lambda x, mask: x)
    with pytest.raises(ValueError, match="with a decoder"):
        made(architecture)
