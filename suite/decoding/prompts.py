"""Prompts of several lengths as arrays of few shapes.

Shapes: B batch, P prompt, M tokens to write, S length of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops


def bucket(length: int) -> int:
    """The next of 0, 8, 12, 16, 24, 32, 48 ...: few enough that a program for each is soon compiled."""
    if length <= 8:
        return 8 if length else 0
    power = 1 << (length - 1).bit_length()
    return power * 3 // 4 if length <= power * 3 // 4 else power


def pad_prompts(prompts: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """Prompts -> `tokens` (B, P) and `mask` (B, P), padded on the left, and `lengths` (B,).

    P - 1 is a bucket, for the last token is read apart. What stands in the padding is the row's own first token, so
    that the padded row holds no token that the prompt does not hold.

    Raises:
        ValueError: where a prompt has no token, or one that is no integer or below 0.
    """
    rows = [np.asarray(prompt) for prompt in prompts]
    for number, row in enumerate(rows):
        if row.ndim != 1 or row.size == 0 or row.dtype.kind not in "iu" or row.min() < 0:
            raise ValueError(
                f"Generation expects prompts of one token at least, such as that which starts a sequence, each an "
                f"integer from 0 on. Received: prompts[{number}]={str(prompts[number])[:100]}"
            )
    width = 1 + bucket(max(len(row) for row in rows) - 1)
    tokens = np.stack([np.pad(row, (width - len(row), 0), constant_values=row[0]) for row in rows]).astype("int32")
    lengths = np.array([len(row) for row in rows], "int32")
    return {"tokens": tokens, "mask": np.arange(width) >= width - lengths[:, None], "lengths": lengths}


def pad_memory(memory: Any, mask: Any) -> dict[str, Any]:
    """A memory (B, S, D), real positions (B, S) or None -> both with S as a bucket."""
    batch, length = memory.shape[:2]
    mask = ops.ones((batch, length), "bool") if mask is None else ops.convert_to_tensor(mask, "bool")
    missing = bucket(length) - length
    return {
        "memory": ops.pad(memory, ((0, 0), (0, missing), (0, 0))),
        "memory_mask": ops.cast(ops.pad(ops.cast(mask, "int32"), ((0, 0), (0, missing))), "bool"),
    }


def uniforms(seed: int, batch: int, count: int) -> np.ndarray:
    """Random numbers in [0, 1), (B, M): a row's depend on the seed and its place, not on B, M or the backend.

    They have 23 bits, so that their product with a sum in float32 stays below the sum.
    """
    drawn = [np.random.default_rng([seed, row]).integers(2**23, size=count) for row in range(batch)]
    return (np.array(drawn).reshape(batch, count) / 2**23).astype("float32")
