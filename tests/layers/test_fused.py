from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from suite.layers.attention import MultiHeadAttention
from suite.layers.fused import FusedAttention

B, T, D = 2, 7, 10


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(ops.stop_gradient(tensor), "float32")))


@pytest.fixture
def kernel(monkeypatch):
    """The arguments of each call of the backend's kernel."""
    calls, real = [], ops.dot_product_attention

    def watched(*args, **kwargs):
        calls.append(kwargs)
        return real(*args, **kwargs)

    monkeypatch.setattr(ops, "dot_product_attention", watched)
    return calls


@pytest.mark.parametrize(
    ("options", "call", "runs"),
    [
        ({}, {}, True),
        ({"dropout": 0.5}, {}, True),
        ({"dropout": 0.5}, {"training": False}, True),
        ({"dropout": 0.5}, {"training": True}, False),
        ({}, {"training": True}, True),
        ({"soft_cap": 3.0}, {}, False),
        ({"dtype": "mixed_float16"}, {}, True),
        ({"dtype": "mixed_float16"}, {"bias": np.zeros((T, T), "float32")}, False),
    ],
)
def test_the_kernel_runs_wherever_it_can(options, call, runs, kernel):
    FusedAttention(2, **options)(np.ones((B, T, D), "float32"), **call)
    assert len(kernel) == runs


def test_causality_alone_needs_no_mask_and_flash_is_passed_on(kernel):
    x = np.ones((B, T, D), "float32")
    layer = FusedAttention(2, flash=False)
    layer(x, causal=True)
    layer(x, causal=True, mask=np.ones((B, T), bool))
    assert [(call["is_causal"], call["mask"] is None) for call in kernel] == [(True, True), (False, False)]
    assert kernel[0]["flash_attention"] is False


@pytest.mark.parametrize("hook", ["score", "weigh", "logits"])
def test_an_override_is_never_bypassed(hook, kernel):
    overridden = type(
        "Overridden", (FusedAttention,), {hook: lambda self, *args: getattr(MultiHeadAttention, hook)(self, *args)}
    )
    overridden(2)(np.ones((B, T, D), "float32"))
    assert kernel == []


@pytest.mark.parametrize("width", [3, 8])
def test_values_may_be_narrower_or_wider_than_keys(width):
    x = np.random.default_rng(17).normal(size=(B, T, D)).astype("float32")
    ours, plain = (cls(2, value_width=width) for cls in (FusedAttention, MultiHeadAttention))
    for layer in (ours, plain):
        layer.build(x.shape)
    plain.set_weights(ours.get_weights())
    np.testing.assert_allclose(numpy(ours(x, causal=True)), numpy(plain(x, causal=True)), atol=1e-5)
