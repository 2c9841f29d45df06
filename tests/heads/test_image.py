"""The picture classifier: shapes, pixels as they come, augmentation in training alone, learning and saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from suite.heads import image
from suite.models import resnet, rnn, vit
from suite.task import Architecture, Array, Spec
from tasks.image import Features, build

B, H, W, C = 3, 6, 10, 3
SPEC = Spec(inputs={"pixels": Array((H, W, C), "uint8")}, target=Array((), "int32"), classes=("a", "b", "c", "d", "e"))
SIZES = {
    vit: {"width": 12, "depth": 1, "heads": 2, "ffn": 17, "channels": 5},
    resnet: {"width": 12, "stages": 2, "blocks": 1, "groups": 3},
    rnn: {"width": 12, "depth": 1},
}
every_architecture = pytest.mark.parametrize("module", SIZES, ids=lambda module: module.__name__.rpartition(".")[2])


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(107)


def reader(module=vit, **options):
    config = module.Config(**{**SIZES[module], **options})
    return Architecture(width=config.width, reads=getattr(module, "READS", "sequence"), encode=module.encoder(config))


def make(module=vit, **options):
    settings = {"augment": [], "patch": None, "pooling": "mean", "dropout": 0.1, **options}
    return image.classifier(SPEC, reader(module), **settings)


def run(model, pictures, **options):
    return keras.ops.convert_to_numpy(model({"pixels": pictures}, **options))


def pictures(count=B):
    return np.random.default_rng(109).integers(0, 256, (count, H, W, C), dtype=np.uint8)


@every_architecture
def test_scores_are_float32_and_one_a_class(module):
    scores = run(make(module), pictures())
    assert scores.shape == (B, 5)
    assert scores.dtype == np.float32
    assert np.abs(scores[0] - scores[1]).max() > 1e-4


@pytest.mark.parametrize("pooling", sorted(image.POOLINGS))
def test_every_pooling(pooling):
    assert run(make(pooling=pooling), pictures()).shape == (B, 5)


def test_a_sequence_is_rows_or_patches():
    seen = []

    def encode(x, mask):
        seen.append((x.shape[1:], mask.shape[1:]))
        return x

    for patch in (None, 4):
        architecture = Architecture(width=12, reads="sequence", encode=encode)
        image.classifier(SPEC, architecture, augment=[], patch=patch, pooling="mean", dropout=0.0)
    assert seen == [((H, 12), (H,)), ((2 * 3, 12), (2 * 3,))]


def test_pixels_reach_the_architecture_between_minus_one_and_one():
    def encode(x, mask):
        return keras.layers.Reshape((H * W, C))(x)

    architecture = Architecture(width=C, reads="image", encode=encode)
    model = image.classifier(SPEC, architecture, augment=[], patch=None, pooling="mean", dropout=0.0)
    pooled = keras.Model(model.input, model.get_layer("pooling").output)
    scale = np.array([0, 128, 255], "uint8") * np.ones((1, H, W, 1), "uint8")
    np.testing.assert_allclose(run(pooled, scale)[0], [-1, 1 / 255, 1], atol=1e-6)


AUGMENTATIONS = [
    {"flip": True},
    {"shift": 0.3},
    {"turn": 20.0},
    {"erase": 1.0},
    {"rand_augment": 2},
    {"flip": True, "shift": 0.1, "turn": 5.0, "erase": 0.5, "rand_augment": 1},
]


@pytest.mark.filterwarnings("ignore:Tensor.T is deprecated")  # in RandAugment on PyTorch
@pytest.mark.parametrize("options", AUGMENTATIONS, ids="+".join)
def test_pictures_vary_in_training_alone(options):
    model = build(SPEC, Features(**options), reader())
    plain = build(SPEC, Features(), reader())
    plain.set_weights([keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights])
    many = np.repeat(pictures(1), 8, axis=0)
    np.testing.assert_allclose(run(model, many), run(plain, many), atol=1e-5)
    trained = run(model, many, training=True)
    assert np.all(np.isfinite(trained))
    assert np.abs(trained - run(model, many)).max() > 1e-3


@every_architecture
def test_it_learns_saves_and_loads(module, tmp_path):
    rng = np.random.default_rng(113)
    bright = rng.integers(0, 2, 64)
    shown = (rng.integers(0, 100, (64, H, W, C)) + 150 * bright[:, None, None, None]).astype("uint8")
    model = build(SPEC, Features(flip=True), reader(module))
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit({"pixels": shown}, bright, epochs=8, batch_size=16, verbose=0)
    assert np.mean(run(model, shown).argmax(axis=1) == bright) > 0.9
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(loaded, shown), run(model, shown), atol=1e-6)


def test_half_precision_keeps_scores_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(SPEC, Features(shift=0.3, flip=True), reader())
    finally:
        keras.config.set_dtype_policy("float32")
    scores = run(model, pictures(), training=True)
    assert scores.dtype == np.float32
    assert np.all(np.isfinite(scores))
