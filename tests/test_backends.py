"""The same on TensorFlow, JAX and PyTorch: run with KERAS_BACKEND set to each."""

import functools
import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from suite import config, find, fitting, preparing, training
from suite.cli import app
from suite.data.splits import make_splits

# The first four logits that each architecture gives with the weights below, computed with TensorFlow 2.21 in float32.
EXPECTED = {
    "transformer": [-0.116727, 0.559536, 1.0364, -0.551443],
    "rnn": [-0.61041, 0.637987, 0.53084, -0.1128],
    "gru": [0.02091, -0.101425, -0.032943, -0.107526],
    "lstm": [0.328214, 0.253598, 0.297607, -0.02982],
    "simple_rnn": [0.806217, -0.180946, 0.180902, -0.335975],
    "cnn": [-0.296455, 0.291603, -0.640995, -0.796801],
    "textcnn": [1.515905, 1.340689, 0.519694, 0.031586],
    "vit": [0.770766, 0.118603, 1.393618, -0.75299],
    "resnet": [-0.492459, 0.096217, 0.311425, -0.019201],
}
TAGGER = ["features.words=6", "features.characters=6", "features.shapes=4", "model.width=12"]
SIZES = {
    "textcnn": [],
    "vit": ["model.width=12", "model.depth=1"],
    "resnet": ["model.width=16", "model.stages=2", "model.blocks=1"],
}


@functools.cache
def parts(task):
    wanted = config.wanted(task)
    return find.load_dataset(wanted.dataset, schema=wanted.task.schema, data_dir=None)


def logits(model):
    """The first logits for the first example, of a small model whose weights follow from NumPy's random numbers alone.

    The model labels pictures where it can, and tags words where it cannot.
    """
    task = "image" if model in ("vit", "resnet") else "ner"
    sets = ([] if task == "image" else TAGGER) + SIZES.get(model, ["model.depth=1"])
    wanted = config.wanted(task, models=[model], sets=sets)
    (one,) = config.resolve(wanted)
    prepared = preparing.Prepared(wanted.task, make_splits(parts(task), name="data", limit=20), one, task)
    made = fitting.build(one, prepared)
    random = np.random.default_rng(0)
    for weight in made.trainable_weights:
        weight.assign(random.normal(scale=0.3, size=weight.shape))
    first = {name: arrays[0][None] for name, arrays in prepared.test.inputs.items()}
    return keras.ops.convert_to_numpy(made(first, training=False)).ravel()[:4]


@pytest.mark.parametrize("model", find.architectures())
def test_the_same_weights_give_the_same_logits(model):
    np.testing.assert_allclose(logits(model), EXPECTED[model], atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_short_run_ends_well(tmp_path, monkeypatch, precision):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)  # so that it is saved within an epoch, too
    sets = ["train.batch_size=8", "data.buckets=1", "model.width=16", "model.depth=1", "train.epochs=2"]
    sets += ["train.average=0.9"]
    arguments = [part for setting in sets for part in ("--set", setting)]
    command = ["run", "--task", "ner", "--model", "transformer", "--limit", "24", "--json", "--precision", precision]
    try:
        result = CliRunner().invoke(app, [*command, "--device", "cpu", *arguments])
    finally:
        keras.config.set_dtype_policy("float32")
    assert result.exit_code == 0, result.output
    (run, *_) = json.loads(result.stdout)["results"]
    assert run["status"] == "ok"
    assert run["backend"].startswith(keras.backend.backend())
    assert run["precision"] == precision


def test_a_seed_that_follows_another_trains_as_it_does_alone():
    sets = ["train.batch_size=8", "data.buckets=1", "data.limit=16", "model.width=16", "model.depth=1"]
    wanted = config.wanted("ner", models=["cnn"], sets=[*sets, "train.average=0.9"])
    first, second = config.resolve(wanted, seeds=range(2))

    def trained(prepared, one):
        train = fitting.batches(one, prepared, prepared.train, seed=one.seed)
        model = fitting.compiled(one, prepared, train)
        batch = train[0]
        model.train_on_batch(batch.inputs, batch.targets, sample_weight=batch.weights)
        return model, [keras.ops.convert_to_numpy(each) for each in (*model.variables, *model.optimizer.variables)]

    def prepared():
        return preparing.Prepared(wanted.task, make_splits(parts("ner"), name="data", limit=16), first, "ner")

    shared = prepared()
    before, _ = trained(shared, first)
    model, values = trained(shared, second)
    assert model is before  # whose functions are made already
    other = second.model_copy(update={"features": second.features.model_copy(update={"words": 8})})
    assert shared.encoded_for(other).compiled is shared.compiled  # so that never more than one is kept
    alone, expected = trained(prepared(), second)
    assert alone is not model
    for value, wanted_value in zip(values, expected, strict=True):
        np.testing.assert_array_equal(value, wanted_value)
