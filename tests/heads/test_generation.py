"""The language model: what tokens cost, each token once, nothing of what is to come, one table also after saving."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from suite.heads import generation
from suite.models import cnn, rnn, transformer
from suite.task import Architecture, Array, Spec

V = 23
SPEC = Spec(inputs={"tokens": Array((None,), "int32")}, target=Array((None,), "int32"), sizes={"tokens": V})
CONFIGS = {
    "transformer": transformer.Config(width=12, depth=1, heads=2, ffn=17),
    "rnn": rnn.Config(width=12, depth=1),
    "cnn": cnn.Config(width=12, depth=2),
}
MODULES = {"transformer": transformer, "rnn": rnn, "cnn": cnn}
every_architecture = pytest.mark.parametrize("name", CONFIGS)


def make(name="rnn", *, scale=False):
    keras.utils.set_random_seed(83)
    config, module = CONFIGS[name], MODULES[name]
    architecture = Architecture(
        width=config.width,
        reads="sequence",
        encode=module.encoder(config),
        decode=partial(module.decoder, config),
    )
    return generation.generator(SPEC, token_dropout=0.1, scale=scale, architecture=architecture)


def tokens(*shape, seed=5):
    return np.random.default_rng(seed).integers(1, V, shape).astype("int32")


def reference(logits, targets):
    logits = logits - logits.max(-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -np.take_along_axis(logs, targets[..., None], -1)[..., 0]


@every_architecture
def test_nats_are_minus_the_log_of_the_targets_probability(name):
    model, row = make(name, scale=True), tokens(3, 8)
    logits = model.predict_on_batch({"tokens": row[:, :-1]})
    assert logits.shape == (3, 7, V)
    found = generation.nats(model.get_layer(generation.NAME), row[:, :-1], row[:, 1:])
    np.testing.assert_allclose(found, reference(logits, row[:, 1:]), rtol=2e-4, atol=2e-5)


@every_architecture
def test_what_comes_later_changes_nothing(name):
    model, row = make(name), tokens(2, 11)
    before = model.predict_on_batch({"tokens": row})
    after = model.predict_on_batch({"tokens": np.concatenate([row[:, :5], tokens(2, 6, seed=9)], axis=1)})
    np.testing.assert_allclose(before[:, :5], after[:, :5], atol=1e-5)
    assert np.abs(before[:, 5:] - after[:, 5:]).max() > 1e-4


@pytest.mark.parametrize(("length", "context", "overlap"), [(1, 7, 0), (7, 7, 3), (20, 7, 0), (23, 7, 2), (23, 7, 6)])
def test_each_token_is_scored_once_with_what_its_window_holds(length, context, overlap, monkeypatch):
    monkeypatch.setattr(generation, "_AT_ONCE", 2 * context)  # several batches, the last one not full
    layer, row = make().get_layer(generation.NAME), tokens(length + 1)
    found, places = generation.read(layer, row[:-1], row[1:], context=context, overlap=overlap)
    assert len(found) == len(places) == length
    start = 0
    for place in range(length):
        if place >= start + context:
            start += context - overlap
        assert places[place] == place - start + 1
        logits = ops.convert_to_numpy(layer(row[None, start : place + 1]))[0, -1]
        np.testing.assert_allclose(found[place], reference(logits, row[place + 1]), rtol=1e-4, atol=1e-5)


@every_architecture
def test_a_saved_model_is_the_same_and_has_one_table(name, tmp_path):
    model, row = make(name), tokens(2, 8)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    layers = [each.get_layer(generation.NAME) for each in (model, loaded)]
    one, other = (generation.nats(layer, row[:, :-1], row[:, 1:]) for layer in layers)
    np.testing.assert_allclose(one, other, atol=1e-6)
    tables = [v for v in loaded.trainable_variables if tuple(v.shape) in ((V, 12), (12, V))]
    assert len(tables) == 1
    assert loaded.count_params() == model.count_params()


def test_an_architecture_without_a_decoder_is_refused():
    with pytest.raises(ValueError, match="an architecture with a decoder"):
        generation.generator(
            SPEC, token_dropout=0.0, scale=False, architecture=Architecture(width=4, reads="sequence", encode=max)
        )
