import keras
import numpy as np
import pytest

from suite.losses import CrossEntropy


def test_it_equals_keras_and_leaves_out_what_has_no_weight():
    random = np.random.default_rng(0)
    logits = random.normal(size=(3, 5, 7)).astype("float32")
    targets = random.integers(0, 7, size=(3, 5))
    weights = (random.random((3, 5)) < 0.6).astype("float32")
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")(targets, logits)
    expected = (keras.ops.convert_to_numpy(expected) * weights).sum() / weights.sum()
    assert float(CrossEntropy()(targets, logits, sample_weight=weights)) == pytest.approx(expected, rel=1e-6)


def test_a_single_class_costs_nothing():
    assert float(CrossEntropy()(np.zeros((2, 2), "int32"), np.ones((2, 2, 1), "float32"))) == 0.0


def test_half_precision_logits_do_not_overflow():
    logits = np.array([[[6e4, -6e4]]], dtype="float16")
    assert float(CrossEntropy()(np.array([[1]]), logits)) == pytest.approx(1.2e5, rel=1e-2)
