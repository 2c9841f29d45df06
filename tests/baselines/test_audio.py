"""Cepstral coefficients are what the field means by them, and the machine copes with little data."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from suite.baselines import audio
from suite.errors import InputError

RATE = 8000
SETTINGS = SimpleNamespace(rate=RATE, max_seconds=1.0)


def tones(count, labels=("high", "low"), seed=0):
    """Tones of two heights in noise."""
    random = np.random.RandomState(seed)
    examples = []
    for i in range(count):
        label = labels[i % len(labels)]
        wave = np.sin(2 * np.pi * (400 + 900 * (label == "high")) * np.arange(1601) / RATE + random.uniform(6))
        wave = (wave + 0.3 * random.standard_normal(1601)).astype("float32")
        examples.append({"waveform": wave, "rate": RATE, "samples": 1601, "label": label})
    return examples


def test_coefficients_equal_a_plain_reference():
    wave = np.random.RandomState(3).standard_normal(1601)
    window, stride, frame = 200, 80, 5
    cut = np.pad(wave, (100, 200))[frame * stride :][:window] * np.hanning(window)
    power = np.abs(np.fft.fft(cut)[:101]) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 42)
    edges = 700 * (10 ** (mel / 2595) - 1)
    loud = [
        np.log(sum(power[k] * np.interp(k * 40, edges[b : b + 3], [0, 1, 0]) for k in range(101))) for b in range(40)
    ]
    scale = np.sqrt(np.where(np.arange(20) == 0, 1, 2) / 40)
    expected = [s * np.dot(loud, np.cos(np.pi * c * (np.arange(40) + 0.5) / 40)) for c, s in enumerate(scale)]
    found = audio.coefficients(wave, rate=RATE)
    assert found.shape == (21, 20)
    np.testing.assert_allclose(found[frame], expected, rtol=1e-6)


@pytest.mark.parametrize("samples", [1, 79, 80, 81])
def test_the_shortest_sound_has_a_frame(samples):
    table = audio.describe([{"waveform": np.ones(samples, "float32"), "rate": RATE}], rate=RATE, seconds=1.0)
    assert table.shape == (1, 80)
    assert np.isfinite(table).all()


def test_it_tells_tones_apart_and_can_be_pickled():
    fitted = pickle.loads(pickle.dumps(audio.classifier(tones(40), tones(10, seed=1), SETTINGS, 0)))
    answers = fitted(tones(10, seed=2))
    assert [max(answer, key=answer.get) for answer in answers] == ["high", "low"] * 5
    assert all(sum(answer.values()) == pytest.approx(1) for answer in answers)
    assert fitted.note.startswith("C=1, chosen on validation")
    assert fitted.parameters > 80
    assert fitted([]) == []


def test_time_is_not_read():
    examples = tones(2)
    backwards = [{**one, "waveform": one["waveform"][::-1]} for one in examples]
    one, other = (audio.describe(some, rate=RATE, seconds=1.0) for some in (examples, backwards))
    np.testing.assert_allclose(one[:, :40], other[:, :40], rtol=0.2, atol=0.5)


def test_three_classes_one_of_them_once_and_no_validation():
    train = [*tones(20), {**tones(1)[0], "label": "odd"}]
    fitted = audio.classifier(train, [], SETTINGS, 0)
    assert set(fitted(train[:1])[0]) == {"high", "low", "odd"}
    assert fitted.note == "C=1, not tuned"


def test_labels_of_validation_that_train_has_not_are_left_out():
    fitted = audio.classifier(tones(20), tones(6, labels=("else",)), SETTINGS, 0)
    assert set(fitted(tones(1))[0]) == {"high", "low"}


def test_one_class_alone():
    fitted = audio.classifier(tones(4, labels=("high",)), [], SETTINGS, 0)
    assert fitted(tones(1)) == [{"high": 1.0}]


def test_nothing_to_train_on():
    with pytest.raises(InputError, match="nothing to train on"):
        audio.classifier([], [], SETTINGS, 0)
