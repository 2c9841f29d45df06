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


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_value_and_gradient_are_those_of_the_formula(smoothing):
    """The gradient is what a step of size 1 takes from a matrix whose rows are the logits."""
    random = np.random.default_rng(1)
    logits, targets = random.normal(size=(3, 7)) * 30, np.array([6, 0, 4])
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(7, use_bias=False)])
    model.layers[0].kernel.assign(logits)
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=CrossEntropy(label_smoothing=smoothing))
    loss = model.train_on_batch(np.eye(3, dtype="float32"), targets)
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    wanted = np.full((3, 7), smoothing / 7) + (1 - smoothing) * np.eye(7)[targets]
    assert float(np.squeeze(loss)) == pytest.approx(-(wanted * logs).sum(-1).mean(), rel=1e-5)
    taken = logits - keras.ops.convert_to_numpy(model.layers[0].kernel)
    np.testing.assert_allclose(taken, (np.exp(logs) - wanted) / 3, atol=1e-5)


def test_improbable_targets_have_a_finite_loss_and_gradient():
    logits = np.array([[[500.0, -500.0, 0.0]]], dtype="float32")
    assert float(CrossEntropy()(np.array([[1]]), logits)) == pytest.approx(1000.0)


def test_the_number_of_classes_may_differ_from_batch_to_batch():
    """As where an answer is a place in a text."""
    x = keras.Input((None, 1))
    model = keras.Model(x, keras.ops.squeeze(keras.layers.Dense(1)(x), axis=-1))
    model.compile(optimizer="sgd", loss=CrossEntropy(label_smoothing=0.1))
    losses = [model.train_on_batch(np.ones((2, n, 1), "float32"), np.zeros(2, "int32")) for n in (3, 5, 4)]
    np.testing.assert_allclose(np.ravel(losses[0]), np.log(3), rtol=1e-4)
