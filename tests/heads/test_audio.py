"""The audio head reads a waveform as far as it is real, whatever comes after, and is saved whole."""

import keras
import numpy as np
import pytest

from suite import layers
from suite.heads.audio import classifier
from suite.task import Array, Spec

SPEC = Spec(
    inputs={"waveform": Array((None,), "float32"), "length": Array((), "int32")},
    target=Array((), "int32"),
    classes=("no", "perhaps", "yes"),
)
S, LENGTHS = 1013, np.array([1013, 401, 1], "int32")
NOISE = np.random.default_rng(7).normal(size=(3, S)).astype("float32")


def make(*, pooling="mean", halvings=2, augmented=True):
    keras.utils.set_random_seed(5)

    def encode(x, mask):
        return layers.EncoderBlock(2, feed_forward=11, dropout=0.1)(x, mask=mask)

    return classifier(
        SPEC,
        rate=8000,
        mels=13,
        window=200,
        stride=80,
        halvings=halvings,
        pooling=pooling,
        dropout=0.1,
        augment=[layers.TimeShift(50), layers.AdditiveNoise(share=1.0)] if augmented else [],
        cover=layers.SpecAugment(frames=1, bands=1, band_width=3) if augmented else None,
        width=14,
        encode=encode,
    )


def answer(model, waveform, length):
    return keras.ops.convert_to_numpy(model.predict_on_batch({"waveform": waveform, "length": length}))


@pytest.mark.filterwarnings("ignore:.*softmax over axis -1:UserWarning")  # of the one step that is real
@pytest.mark.parametrize("pooling", ["attention", "max", "mean"])
@pytest.mark.parametrize("halvings", [0, 2])
def test_neither_content_nor_amount_of_padding_counts(pooling, halvings):
    model = make(pooling=pooling, halvings=halvings)
    expected = answer(model, NOISE, LENGTHS)
    real = np.arange(S) < LENGTHS[:, None]
    other = answer(model, np.where(real, NOISE, 3.0).astype("float32"), LENGTHS)
    np.testing.assert_allclose(other, expected, atol=1e-5)
    for row, length in enumerate(LENGTHS):
        alone = answer(model, NOISE[row : row + 1, :length], LENGTHS[row : row + 1])
        np.testing.assert_allclose(alone[0], expected[row], atol=1e-3)  # one frame has hardly any variance
    assert np.abs(expected[0] - expected[1]).max() > 1e-3


def test_loudness_does_not_count():
    model = make()
    np.testing.assert_allclose(answer(model, NOISE * 20, LENGTHS)[:2], answer(model, NOISE, LENGTHS)[:2], atol=1e-3)


def test_augmentation_is_for_training_alone_and_a_saved_model_is_whole(tmp_path):
    model = make()
    waveform, length = keras.ops.convert_to_tensor(NOISE), keras.ops.convert_to_tensor(LENGTHS)
    inputs = {"waveform": waveform, "length": length}

    def call(training):
        return keras.ops.convert_to_numpy(model(inputs, training=training))

    assert np.abs(call(True) - call(True)).max() > 1e-3
    np.testing.assert_array_equal(call(False), call(False))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(answer(loaded, NOISE, LENGTHS), answer(model, NOISE, LENGTHS), atol=1e-6)


def test_it_learns_and_every_weight_takes_part():
    model = make(pooling="attention")
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    losses = [float(model.train_on_batch({"waveform": NOISE, "length": LENGTHS}, np.arange(3))) for _ in range(40)]
    assert losses[-1] < losses[0] / 2
    for weight, old in zip(model.trainable_weights, before, strict=True):
        if not weight.path.endswith("key/bias"):  # adds the same to all scores of a query
            assert np.abs(keras.ops.convert_to_numpy(weight) - old).max() > 1e-5, weight.path
