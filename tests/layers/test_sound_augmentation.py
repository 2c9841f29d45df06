"""Waveforms shifted and in noise, features covered: in training alone, and never beyond what is real."""

import keras
import numpy as np
import pytest

from suite.layers.noise import AdditiveNoise
from suite.layers.spec_augment import SpecAugment
from suite.layers.time_shift import TimeShift

B, S, F, M = 13, 211, 37, 11  # rows, samples, frames, bands
LAYERS = {
    "shift": lambda: TimeShift(17, seed=5),
    "noise": lambda: AdditiveNoise(0, 20, share=1.0, seed=5),
    "cover": lambda: SpecAugment(frames=2, frame_width=9, frame_share=0.5, bands=1, band_width=4, value=-7.0, seed=5),
}
LENGTHS = np.array([S - 7 * row for row in range(B)])


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def example(name):
    """Ones, and 9 on padding."""
    places, unit = (F, (M,)) if name == "cover" else (S, ())
    mask = np.arange(places) < (LENGTHS[:, None] * places // S)
    x = np.where(mask, 1.0, 9.0).astype("float32")
    return np.broadcast_to(x.reshape(*x.shape, *(1 for _ in unit)), (*x.shape, *unit)).copy(), mask


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_happens_outside_of_training(name):
    x, mask = example(name)
    np.testing.assert_array_equal(numpy(LAYERS[name]()(x, mask=mask)), x)


@pytest.mark.parametrize("name", LAYERS)
def test_rows_differ_and_so_do_calls(name):
    x, mask = example(name)
    layer = LAYERS[name]()
    first, second = numpy(layer(x, mask=mask, training=True)), numpy(layer(x, mask=mask, training=True))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[0] == 1, first[1] == 1) or name == "noise"


@pytest.mark.parametrize("name", LAYERS)
def test_what_padding_holds_is_not_read(name):
    x, mask = example(name)
    real = mask[..., None] if name == "cover" else mask
    one = numpy(LAYERS[name]()(x, mask=mask, training=True))
    other = numpy(LAYERS[name]()(np.where(real, x, -3.0).astype("float32"), mask=mask, training=True))
    np.testing.assert_allclose(np.where(real, one, 0), np.where(real, other, 0), rtol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_it_works_in_a_compiled_model_of_any_length(name, tmp_path):
    x, mask = example(name)
    inputs = [keras.Input((None, *x.shape[2:])), keras.Input((None,), dtype="bool")]
    varied = LAYERS[name]()(inputs[0], mask=inputs[1])
    varied = varied if name == "cover" else keras.ops.expand_dims(varied, -1)
    model = keras.Model(inputs, keras.layers.Dense(1)(varied))
    model.compile("sgd", "mse")
    model.train_on_batch([x, mask], np.zeros((*x.shape[:2], 1), "float32"))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(model.predict_on_batch([x, mask]), loaded.predict_on_batch([x, mask]), rtol=1e-5)


def test_a_shift_moves_and_fills_with_silence():
    x = np.tile(np.arange(1, S + 1, dtype="float32"), (B, 1))
    mask = np.arange(S) < LENGTHS[:, None]
    shifts = set()
    for row, moved in enumerate(numpy(TimeShift(17, seed=5)(x, mask=mask, training=True))):
        real = x[row] * mask[row]
        found = [
            shift
            for shift in range(-17, 18)
            if np.array_equal(
                moved,
                np.concatenate([np.zeros(17), real, np.zeros(17)])[17 - shift :][:S].astype("float32") * mask[row],
            )
        ]
        assert len(found) == 1
        shifts |= set(found)
    assert min(shifts) < 0 < max(shifts)


def test_noise_has_the_ratio_that_was_asked_for():
    x = np.sin(np.arange(20_011) / 7).astype("float32")[None] * np.array([[0.01], [2.0]], "float32")
    mask = np.arange(20_011) < np.array([[20_011], [9_001]])
    noise = numpy(AdditiveNoise(6, 6, share=1.0, seed=3)(x, mask=mask, training=True)) - x * mask
    assert not noise[~mask].any()
    for row in range(2):
        ratio = 10 * np.log10((x[row][mask[row]] ** 2).mean() / (noise[row][mask[row]] ** 2).mean())
        assert ratio == pytest.approx(6, abs=0.15)


def test_noise_comes_to_its_share_of_rows_and_never_to_silence():
    x = np.ones((400, 7), "float32")
    x[::2] = 0
    changed = (numpy(AdditiveNoise(share=0.3, seed=3)(x, training=True)) != x).any(axis=1)
    assert not changed[::2].any()
    assert changed[1::2].mean() == pytest.approx(0.3, abs=0.1)


def test_covered_stretches_are_as_wide_as_allowed_and_reach_every_place():
    x, mask = np.ones((997, F, M), "float32"), np.arange(F) < np.where(np.arange(997) % 2, F, 19)[:, None]
    layer = SpecAugment(frames=1, frame_width=9, frame_share=0.3, bands=0, value=5.0, seed=3)
    covered = numpy(layer(x, mask=mask, training=True)) == 5
    assert (covered.all(axis=2) == covered.any(axis=2)).all()
    frames = covered.any(axis=2)
    assert not frames[~mask].any()
    assert set(frames[1::2].sum(axis=1)) == set(range(10))
    assert set(frames[::2].sum(axis=1)) == set(range(6))  # 0.3 of 19 frames
    assert (np.abs(np.diff(frames, axis=1, prepend=0, append=0).astype(int)).sum(axis=1) <= 2).all()
    assert frames[::2, :19].any(axis=0).all()
    layer = SpecAugment(frames=0, bands=1, band_width=4, seed=3)
    bands = numpy(layer(x, mask=mask, training=True)) == 0
    assert not bands[~mask].any()
    assert set(bands[:, 0].sum(axis=1)) == set(range(5))
    assert bands[:, 0].any(axis=0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TimeShift(0), "limit of at least 1. Received: limit=0"),
        (lambda: AdditiveNoise(9, 3), "low <= high.*Received: low=9, high=3"),
        (lambda: AdditiveNoise(share=0), "share=0"),
        (lambda: SpecAugment(bands=-1), "at least 0.*bands=-1"),
        (lambda: SpecAugment(frame_share=0), "frame_share=0"),
        (
            lambda: TimeShift(3)(np.ones((2, 5), "float32"), mask=np.ones((2, 4), bool), training=True),
            "boolean of shape",
        ),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
