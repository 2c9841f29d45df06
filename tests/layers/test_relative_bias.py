from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from suite.layers import RelativeBias

H, W = 3, 10  # heads, head width


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def bucket(distance: int, buckets: int, max_distance: int, bidirectional: bool = True) -> int:
    """The bucket of one distance, after the T5 paper's code."""
    side = buckets // 2 if bidirectional else buckets
    start = side if bidirectional and distance > 0 else 0
    distance = abs(distance) if bidirectional else max(-distance, 0)
    exact = side // 2
    if distance < exact:
        return start + distance
    far = exact + int(np.log(distance / exact) / np.log(max_distance / exact) * (side - exact) + 1e-6)
    return start + min(far, side - 1)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("buckets", "max_distance"), [(32, 128), (8, 16), (4, 3), (34, 1000)])
def test_relative_buckets_are_those_of_t5(buckets, max_distance, bidirectional):
    at = np.arange(-1300, 1301)
    layer = RelativeBias(buckets=buckets, max_distance=max_distance, bidirectional=bidirectional)
    expected = [bucket(int(d), buckets, max_distance, bidirectional) for d in at]
    np.testing.assert_array_equal(numpy(layer.bucket(ops.cast(at, "int32"))), expected)
    assert set(expected) >= set(range(buckets)) - {buckets // 2}  # distance 0 has no bucket after the query


@pytest.mark.parametrize("bidirectional", [True, False])
def test_relative_bias_reads_its_table_by_head_and_direction(bidirectional):
    layer = RelativeBias(buckets=8, max_distance=16, bidirectional=bidirectional)
    layer.build((None, H, None, W))
    table = np.arange(8 * H).reshape(8, H)
    layer.table.assign(table)
    bias = numpy(layer.bias(np.arange(4), np.arange(5)))
    assert bias.shape == (1, H, 4, 5)
    for h, t, s in np.ndindex(H, 4, 5):
        assert bias[0, h, t, s] == table[bucket(s - t, 8, 16, bidirectional), h]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"buckets": 7}, "even number of buckets, at least 4. Received: buckets=7"),
        ({"buckets": 1, "bidirectional": False}, "expects buckets, at least 2. Received: buckets=1"),
        ({"buckets": 32, "max_distance": 8}, "max_distance above buckets / 4 = 8. Received: max_distance=8"),
        (
            {"buckets": 32, "max_distance": 16, "bidirectional": False},
            "max_distance above buckets / 2 = 16. Received: max_distance=16",
        ),
    ],
)
def test_impossible_arguments_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        RelativeBias(**given)
