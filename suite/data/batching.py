"""From encoded examples to padded batches of a few fixed shapes. NumPy alone.

B examples in a batch, L length to which its examples are padded.

Each distinct shape costs a compilation, each padded place costs work; so lengths are gathered into a few buckets,
chosen to leave the least padding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from suite.data.lazy import Mapped
from suite.task import Encoded, Spec

BEYOND = 64  # examples longer than all buckets are padded to a multiple of it, or of a quarter of the longest bucket


class Batch(NamedTuple):
    """One padded batch.

    Args:
        inputs: name -> (B, ...) or (B, L, ...).
        targets: (B,) or (B, L, ...).
        weights: float32, as `targets` or (B, L): 1 where the loss counts, 0 on padding and on rows that only fill the
            batch.
        rows: (B,) the examples' places in the split; -1 for rows that only fill the batch.
        length: L, or 0 where nothing is padded.
    """

    inputs: dict[str, np.ndarray]
    targets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray
    length: int


def bucket_lengths(lengths: Sequence[int] | np.ndarray, count: int) -> list[int]:
    """At most `count` lengths to pad to that leave the least padding over all examples (dynamic programming).

    Example:

    >>> bucket_lengths([3, 3, 4, 9, 10], 2)
    [4, 10]
    """
    values, repeats = np.unique(np.asarray(lengths), return_counts=True)
    if len(values) <= count:
        return [int(value) for value in values]
    examples = np.concatenate([[0], np.cumsum(repeats)])
    # cost[j]: padded places when the first j distinct lengths share the buckets used so far
    cost = np.concatenate([[0.0], np.full(len(values), np.inf)])
    starts = []
    for _ in range(count):
        # bucket i..j-1 is padded to values[j-1]
        table = cost[:, None] + np.where(
            np.arange(len(values) + 1)[:, None] < np.arange(len(values) + 1)[None, :],
            (examples[None, :] - examples[:, None]) * np.concatenate([[0], values])[None, :],
            np.inf,
        )
        table[0, 0] = 0.0
        starts.append(table.argmin(axis=0))
        cost = table.min(axis=0)
    edges, end = [], len(values)
    for start in reversed(starts):
        if end == 0:
            break
        edges.append(int(values[end - 1]))
        end = int(start[end])
    return sorted(edges)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which examples go together, how long each batch is, and, where a batch may be empty, with which example it is
    filled. One epoch's order."""

    batches: Sequence[np.ndarray]
    lengths: Sequence[int]
    fillers: Sequence[np.ndarray] = ()


class Batches:
    """A split cut into batches.

    Args:
        encoded: the split.
        spec: which axes are padded.
        batch_size: examples in a batch of usual length.
        edges: lengths to pad to, from `bucket_lengths` of the training split; longer examples are padded to the next
            multiple of `BEYOND` or of a quarter of the longest.
        full_length: the greatest length of which a batch holds `batch_size` examples; of longer ones it holds fewer, so
            that they do not exhaust memory.
        batch_tokens: places of a batch, padding included: a batch of length L holds as many examples as fit, whatever
            `batch_size` says.
        seed: orders the examples anew for every epoch; `None` leaves them as they are, for prediction.
        pieces: into so many pieces each batch is cut, which come one after another, all of them, even empty ones. The
            weights of a batch's pieces then sum to `pieces`, so that the mean over pieces of their weighted sums is the
            batch's weighted mean.
    """

    def __init__(
        self,
        encoded: Encoded,
        spec: Spec,
        *,
        batch_size: int,
        edges: Sequence[int],
        full_length: int = 128,
        batch_tokens: int | None = None,
        seed: int | None = None,
        pieces: int = 1,
    ):
        self.encoded = self.whole = encoded
        self.spec = spec
        self.batch_size = batch_size
        self.full_length = full_length
        self.batch_tokens = batch_tokens
        self.seed = seed
        self.pieces = pieces
        self.lengths = example_lengths(encoded, spec)
        self.buckets = np.array([_bucket(length, edges) for length in self.lengths], dtype=int)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Cuts and orders the examples for this epoch (from 0), as the seed and the epoch alone say.

        The first two batches differ in length where any do: Keras reads off them which axes vary.
        """
        random = None if self.seed is None else np.random.default_rng([self.seed, epoch])
        if random is not None and self.whole.recut is not None:
            self.encoded = self.whole.recut(random)
        batches, lengths = [], []
        for length in np.unique(self.buckets):
            members = np.flatnonzero(self.buckets == length)
            if random is not None:
                random.shuffle(members)
            rows = self._rows(int(length))
            for start in range(0, len(members), rows):
                batches.append(members[start : start + rows])
                lengths.append(int(length))
        order = np.arange(len(batches)) if random is None else random.permutation(len(batches))
        other = next((i for i, batch in enumerate(order) if lengths[batch] != lengths[order[0]]), 0)
        if other:
            order[[1, other]] = order[[other, 1]]
        self.plan = self._cut([batches[i] for i in order], [lengths[i] for i in order])

    def _cut(self, batches: Sequence[np.ndarray], lengths: Sequence[int]) -> Plan:
        """The batches in pieces. The first two pieces differ in length, too: two batches exchange one for it."""
        if self.pieces == 1:
            return Plan(batches, lengths)
        cut = []
        for batch, length in zip(batches, lengths, strict=True):
            size = self._rows_of_piece(length)
            cut += [(batch[i * size : (i + 1) * size], length, batch[:1]) for i in range(self.pieces)]
        if len(set(lengths[:2])) == 2:
            cut[1], cut[self.pieces] = cut[self.pieces], cut[1]
        return Plan(*zip(*cut, strict=True))

    def __len__(self) -> int:
        return len(self.plan.batches)

    def __getitem__(self, index: int) -> Batch:
        members, length = self.plan.batches[index], self.plan.lengths[index]
        filler = self._rows_of_piece(length) - len(members)
        # A row that only fills the batch repeats a real one, so that no layer ever meets an empty sequence.
        like = self.plan.fillers[index] if self.plan.fillers else members[:1]
        rows = np.concatenate([members, np.repeat(like, filler)])
        inputs = {
            name: _stack([self.encoded.inputs[name][i] for i in rows], array.shape, array.dtype, length)
            for name, array in self.spec.inputs.items()
        }
        target = self.spec.target
        targets = _stack([self.encoded.targets[i] for i in rows], target.shape, target.dtype, length)
        padded = target.shape[:1] == (None,)
        weights = np.ones(targets.shape if not padded else len(rows), dtype="float32")
        weights[len(members) :] = 0.0
        if padded:
            real = np.array([len(self.encoded.targets[i]) for i in rows])
            weights = weights[:, None] * (np.arange(length)[None, :] < real[:, None]).astype("float32")
        if self.pieces > 1:
            whole = self._whole(index)
            places = sum(len(self.encoded.targets[i]) for i in whole) if padded else len(whole) * weights[0].size
            weights *= np.float32(self.pieces / max(1, places))
        return Batch(inputs, targets, weights, np.where(np.arange(len(rows)) < len(members), rows, -1), length)

    def _rows(self, length: int) -> int:
        if self.batch_tokens is not None:
            return max(1, self.batch_tokens // max(1, length))
        if length <= self.full_length:
            return self.batch_size
        return max(1, self.batch_size * self.full_length // length)

    def _rows_of_piece(self, length: int) -> int:
        return -(-self._rows(length) // self.pieces)

    def _whole(self, index: int) -> np.ndarray:
        """The examples of all pieces of the batch to which a piece belongs."""
        first = index - index % self.pieces
        return np.concatenate(self.plan.batches[first : first + self.pieces])

    @property
    def lazy(self) -> bool:
        """Whether examples are loaded when a batch asks for them, which other threads can do ahead of time."""
        return any(isinstance(values, Mapped) for values in self.encoded.inputs.values())

    def padding_share(self) -> float:
        """Share of all places in the padded batches that holds no real content, from 0 to 1."""
        real = float(np.sum(self.lengths))
        padded = sum(self._rows_of_piece(length) * length for length in self.plan.lengths)
        return 1.0 - real / padded if padded else 0.0


def example_lengths(encoded: Encoded, spec: Spec) -> np.ndarray:
    """For each example the longest of its padded axes; 0 where nothing is padded."""
    if encoded.lengths is not None:
        return np.asarray(encoded.lengths, dtype=int)
    lengths = np.zeros(len(encoded), dtype=int)
    arrays: Mapping[str, Sequence[np.ndarray]] = {**encoded.inputs, "\0target": encoded.targets}
    shapes = {**{name: array.shape for name, array in spec.inputs.items()}, "\0target": spec.target.shape}
    for name, shape in shapes.items():
        if shape[:1] == (None,) and len(arrays[name]):
            lengths = np.maximum(lengths, [len(array) for array in arrays[name]])
    return lengths


def one_batch(encoded: Encoded, spec: Spec, rows: Sequence[int], *, length: int | None = None) -> dict[str, np.ndarray]:
    """The inputs of these examples, name -> (B, ...) or (B, L, ...).

    Args:
        encoded: a split.
        spec: which axes are padded.
        rows: the examples' places in the split.
        length: L, to which they are padded; by default the longest one's.
    """
    part = dataclasses.replace(
        encoded,
        inputs={name: [values[i] for i in rows] for name, values in encoded.inputs.items()},
        targets=[encoded.targets[i] for i in rows],
        lengths=None if encoded.lengths is None else [encoded.lengths[i] for i in rows],
        recut=None,
    )
    if length is None:
        length = int(example_lengths(part, spec).max())
    return Batches(part, spec, batch_size=len(rows), edges=[length], full_length=length)[0].inputs


def _bucket(length: int, edges: Sequence[int]) -> int:
    for edge in edges:
        if length <= edge:
            return edge
    step = max(BEYOND, max(edges, default=0) // 4)
    return -(-length // step) * step


def _stack(arrays: Sequence[np.ndarray], shape: tuple[int | None, ...], dtype: str, length: int) -> np.ndarray:
    if shape[:1] != (None,):
        return np.stack(arrays).astype(dtype, copy=False)
    stacked = np.zeros((len(arrays), length, *arrays[0].shape[1:]), dtype=dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked
