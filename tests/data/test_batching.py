import dataclasses
import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.data.batching import Batches, bucket_lengths
from suite.task import Array, Encoded, Spec

SPEC = Spec(
    inputs={"words": Array((None,), "int32"), "characters": Array((None, 3), "int32")}, target=Array((None,), "int32")
)


def encoded(lengths):
    words = [np.arange(1, n + 1) + 1000 * i for i, n in enumerate(lengths)]
    return Encoded(
        inputs={"words": words, "characters": [np.ones((n, 3)) * (i + 1) for i, n in enumerate(lengths)]},
        targets=[w % 7 for w in words],
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(1, 4))
def test_buckets_leave_the_least_padding(lengths, count):
    def padding(edges):
        return sum(min(edge for edge in edges if edge >= n) - n for n in lengths)

    values = sorted(set(lengths))
    tried = (
        padding([*chosen, values[-1]])
        for size in range(min(count, len(values)))
        for chosen in itertools.combinations(values[:-1], size)
    )
    found = bucket_lengths(lengths, count)
    assert len(found) <= count
    assert padding(found) == min(tried)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=50), st.integers(1, 7), st.integers(0, 3))
def test_an_epoch_holds_every_token_of_every_example_once(lengths, batch_size, epoch):
    batches = Batches(encoded(lengths), SPEC, batch_size=batch_size, edges=[5, 11, 23], seed=1)
    batches.start_epoch(epoch)
    seen, rows = [], []
    for i in range(len(batches)):
        batch = batches[i]
        assert batch.inputs["words"].shape == (batch_size, batch.length)
        assert batch.inputs["characters"].shape == (batch_size, batch.length, 3)
        seen += batch.inputs["words"][batch.weights == 1].tolist()
        rows += [row for row in batch.rows if row >= 0]
        assert (batch.weights[batch.rows < 0] == 0).all()
        assert (batch.inputs["words"][:, 0] > 0).all()  # no empty sequence, not even in rows that only fill
    assert sorted(seen) == sorted(word for words in encoded(lengths).inputs["words"] for word in words.tolist())
    assert sorted(rows) == list(range(len(lengths)))


def order(seed, epoch):
    batches = Batches(encoded(range(1, 60)), SPEC, batch_size=4, edges=[20, 60], seed=seed)
    batches.start_epoch(epoch)
    return [batches[i].rows.tolist() for i in range(len(batches))]


def test_order_follows_from_seed_and_epoch_alone():
    assert order(3, 5) == order(3, 5)
    assert order(3, 5) != order(3, 6)
    assert order(3, 5) != order(4, 5)


def test_very_long_examples_come_in_smaller_batches_and_lose_nothing():
    batches = Batches(encoded([4, 5, 5_000]), SPEC, batch_size=32, edges=[5])
    shapes = {batches[i].inputs["words"].shape for i in range(len(batches))}
    assert shapes == {(32, 5), (1, 5056)}


def test_a_batch_counted_in_tokens_holds_as_many_examples_as_fit():
    lengths = [3] * 20 + [9] * 20
    batches = Batches(encoded(lengths), SPEC, batch_size=2, edges=[3, 9], batch_tokens=18)
    sizes = {batch.length: len(batch.rows) for batch in map(batches.__getitem__, range(len(batches)))}
    assert sizes == {3: 6, 9: 2}
    assert Batches(encoded([50]), SPEC, batch_size=2, edges=[50], batch_tokens=18)[0].rows.tolist() == [0]


def test_a_text_that_is_cut_elsewhere_for_each_epoch_follows_from_the_seed():
    def recut(random):
        return dataclasses.replace(plain, targets=[target + int(random.integers(1, 1000)) for target in plain.targets])

    plain = encoded([4] * 6)
    whole = dataclasses.replace(plain, recut=recut)

    def seen(seed, epoch):
        batches = Batches(whole, SPEC, batch_size=6, edges=[4], seed=seed)
        batches.start_epoch(epoch)
        return batches[0].targets.tolist()

    assert seen(1, 0) == seen(1, 0) != seen(1, 1)
    assert seen(1, 1) != seen(2, 1)
    fixed = Batches(whole, SPEC, batch_size=6, edges=[4])[0].targets  # for prediction the text stays as it is
    np.testing.assert_array_equal(fixed, [plain.targets[i] for i in range(6)])


def test_padding_share_counts_padding_and_filled_rows():
    batches = Batches(encoded([3, 5, 5]), SPEC, batch_size=2, edges=[3, 5])
    assert batches.padding_share() == 1 - 13 / (2 * 3 + 2 * 5)


def test_without_padded_axes_batches_are_full():
    spec = Spec(inputs={"image": Array((2, 2), "float32")}, target=Array((), "int32"))
    images = Encoded(inputs={"image": [np.eye(2)] * 5}, targets=[np.array(i) for i in range(5)])
    batches = Batches(images, spec, batch_size=2, edges=[0])
    assert len(batches) == 3
    assert sorted(int(t) for b in (batches[i] for i in range(3)) for t in b.targets[b.weights == 1]) == [0, 1, 2, 3, 4]


def test_each_place_of_a_target_counts_or_none():
    spec = Spec(inputs={"ids": Array((None,), "int32")}, target=Array((2,), "int32"))
    rows = Encoded(inputs={"ids": [np.arange(3)] * 5}, targets=[np.array([i, i + 1]) for i in range(5)])
    batch = Batches(rows, spec, batch_size=3, edges=[3])[1]
    assert batch.targets.shape == batch.weights.shape == (3, 2)
    assert batch.weights.tolist() == [[1, 1], [1, 1], [0, 0]]
