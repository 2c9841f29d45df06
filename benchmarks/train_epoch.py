"""Training on texts of real lengths: batches of buckets here, peers padded to the longest of a batch or of all.

All train the classifier of `train_step`, whatever the texts were collected for: only their lengths matter here. The
sentences are those of some batches of an epoch of ours, the same for all, and every one of them counts once.

Shapes: B batch, T length.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.classifier import Size, TextBatch
from benchmarks.measure import Worker, compared, in_turn, machine, spread
from benchmarks.train_step import QUICK, SIZES, peer_class
from suite.data import subwords
from suite.data.batching import Batches, bucket_lengths
from suite.data.datasets import multi30k, sst2, wnut17
from suite.errors import InputError
from suite.task import Array, Encoded, Spec

PEERS = ("suite", "keras", "keras_hub", "torch", "hugging_face")
CORPORA = {"sst2": sst2, "wnut17": wnut17, "multi30k": multi30k}
BATCH, BUCKETS = 32, 6  # as most configurations have it
PIECES, LIMIT = 8000, 128  # that are known; that are read of a text
SHARE = 20  # batches of an epoch
_MULTIPLE = 8  # of which lengths are on JAX where peers pad to the longest, for it compiles each length


class Corpus(NamedTuple):
    """Texts as pieces, (T,) each, and how many pieces there are."""

    texts: Sequence[np.ndarray]
    vocabulary: int


class WeightedBatch(NamedTuple):
    """Tokens (B, T), classes (B,), and the classes' weights (B,), 0 of rows that only fill the batch."""

    tokens: np.ndarray
    classes: np.ndarray
    weights: np.ndarray


def run(
    *,
    backend: str,
    precision: str = "float32",
    repeats: int = 3,
    threads: int = 2,
    quick: bool = False,
    peers: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """A row for each corpus, peer and way of padding.

    Args:
        backend: of Keras.
        precision: ``"float32"``, or ``"bfloat16"`` of features, with weights of float32.
        repeats: of each peer and corpus.
        threads: processors for each peer.
        quick: whether texts are made up and the model is tiny.
        peers: some of `PEERS`, the first of them ours, whose buckets ratios compare with.

    Raises:
        InputError: a corpus is not there, or no such peer.
    """
    peers = peers or PEERS
    if unknown := set(peers) - set(PEERS):
        raise InputError(f"--peer of train_epoch: expected some of {', '.join(PEERS)}; got {', '.join(unknown)}")
    settings = QUICK[0] if quick else {**SIZES[0], "batch": BATCH}
    corpora = {"made": _made()} if quick else read()
    workers = {name: Worker(peer_class(name), backend=backend, threads=threads, name=name) for name in peers}
    try:
        device, alike = compared(workers)
        rows = [
            {"data": name, **row}
            for name, corpus in corpora.items()
            for row in _measure(corpus, alike, backend, repeats, {**settings, "precision": precision})
        ]
    finally:
        for worker in workers.values():
            worker.close()
    return [{"benchmark": "train_epoch", "backend": backend, **row, **machine(device, threads)} for row in rows]


def read() -> dict[str, Corpus]:
    """The training texts of each corpus in pieces that were learned on them.

    Raises:
        InputError: a corpus is not there.
    """
    if missing := [name for name, module in CORPORA.items() if not module.available()]:
        raise InputError(f"train_epoch needs {', '.join(missing)}: name a folder that has the data as SUITE_DATA")
    return {name: _pieces([_text(example) for example in CORPORA[name].load()["train"]]) for name in CORPORA}


def _text(example: dict[str, Any]) -> str:
    """Of a labelled text, of tagged words, or the source of a translation."""
    return " ".join(example["tokens"]) if "tokens" in example else example.get("text") or example["source"]


def _pieces(texts: Sequence[str]) -> Corpus:
    known = subwords.Subwords(subwords.train(texts, size=PIECES))
    cut = (pieces.ids[:LIMIT] for pieces in known.encode_many(texts))
    return Corpus([ids for ids in cut if len(ids)], known.size)


def _made() -> Corpus:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 17, 300)
    return Corpus([random.integers(1, 50, length, dtype="int32") for length in lengths], 50)


def _measure(
    corpus: Corpus, workers: dict[str, Worker], backend: str, repeats: int, settings: dict[str, Any]
) -> list[dict[str, Any]]:
    size = Size(**{**settings, "length": max(map(len, corpus.texts)), "vocabulary": corpus.vocabulary})
    chosen = list(bucketed(corpus.texts, size.batch, SHARE))
    sentences = [row for _, members in chosen for row in members]
    tokens = sum(len(corpus.texts[row]) for row in sentences)
    fed = _feeds(corpus.texts, size, chosen, list(workers), backend)
    parameters = {name: worker.call("prepare", size, timed(fed[name])) for name, worker in workers.items()}
    ends = in_turn(workers, repeats=repeats, method="ends")  # (repeats, batches) each
    ours = next(iter(ends.values()))
    ours = ours[:, len(chosen)] - ours[:, 0]
    found = []
    for name, ways in fed.items():
        begin = 0  # the batch before the first that counts
        for way, batches in ways.items():
            seconds = ends[name][:, begin + len(batches)] - ends[name][:, begin]
            begin += len(batches)
            places = sum(batch.tokens.size for batch in batches)
            found.append(
                {
                    **dataclasses.asdict(size),
                    "peer": name,
                    "padded_to": way,
                    "parameters": parameters[name],
                    "sentences": len(sentences),
                    "batches": len(batches),
                    "tokens": tokens,
                    "padding": 1 - tokens / places,
                    "repeats": repeats,
                    **spread(seconds, ours),
                    "tokens_per_second": tokens / np.median(seconds),
                }
            )
    return found


def _feeds(
    texts: Sequence[np.ndarray],
    size: Size,
    chosen: Sequence[tuple[WeightedBatch, np.ndarray]],
    peers: Sequence[str],
    backend: str,
) -> dict[str, dict[str, Sequence[TextBatch | WeightedBatch]]]:
    """For each peer and way of padding the batches. Ours come with weights, as in a run."""
    sentences = np.concatenate([members for _, members in chosen])

    def make(multiple: int) -> list[TextBatch]:
        return list(padded(texts, sentences, size, multiple=multiple))

    maximum, longest, rounded = make(size.length), make(1), make(_MULTIPLE)
    fed: dict[str, dict[str, Sequence[TextBatch | WeightedBatch]]] = {}
    for name in peers:
        compiles = backend == "jax" and not peer_class(name).startswith("benchmarks.torch")
        fed[name] = {"longest": rounded if compiles else longest, "maximum": maximum}
    weighted = [
        WeightedBatch(batch.tokens, batch.classes, np.ones(len(batch.classes), "float32"))
        for batch in fed[peers[0]]["longest"]
    ]
    fed[peers[0]] = {"buckets": [batch for batch, _ in chosen], "longest": weighted}
    return fed


def bucketed(texts: Sequence[np.ndarray], rows: int, count: int) -> Iterator[tuple[WeightedBatch, np.ndarray]]:
    """So many of the batches of an epoch of ours, each with its sentences' places among the texts.

    They are spread evenly over the epoch's batches in the order of their lengths, so that a few stand for all.
    """
    classes = [np.array(row % 2, "int32") for row in range(len(texts))]
    encoded = Encoded(inputs={"tokens": texts}, targets=classes)
    spec = Spec(inputs={"tokens": Array((None,), "int32")}, target=Array((), "int32"))
    edges = bucket_lengths([len(text) for text in texts], BUCKETS)
    epoch = Batches(encoded, spec, batch_size=rows, edges=edges, seed=0)
    count = min(count, len(epoch))
    by_length = np.argsort(epoch.plan.lengths, kind="stable")
    spaced = by_length[((np.arange(count) + 0.5) * len(epoch) / count).astype(int)]
    for index in np.sort(spaced):  # in the epoch's own order
        batch = epoch[int(index)]
        weighted = WeightedBatch(batch.inputs["tokens"], batch.targets, batch.weights)
        yield weighted, batch.rows[batch.rows >= 0]


def padded(texts: Sequence[np.ndarray], sentences: np.ndarray, size: Size, *, multiple: int) -> Iterator[TextBatch]:
    """These sentences in any order, padded to the longest of their batch; the last batch has those that are left.

    Args:
        texts: of which some are taken.
        sentences: their places.
        size: how many are in a batch, and the greatest length.
        multiple: of which each length is, up to the greatest.
    """
    order = np.random.default_rng(0).permutation(sentences)
    for start in range(0, len(order), size.batch):
        members = order[start : start + size.batch]
        length = min(size.length, -(-max(len(texts[row]) for row in members) // multiple) * multiple)
        tokens = np.zeros((len(members), length), "int32")
        for place, row in zip(tokens, members, strict=True):
            place[: len(texts[row])] = texts[row]
        yield TextBatch(tokens, (members % 2).astype("int32"))


def timed(ways: Mapping[str, Sequence[TextBatch | WeightedBatch]]) -> list[TextBatch | WeightedBatch]:
    """All batches, and before them the one after whose end the clock starts.

    It differs from the next in length where any do: Keras reads off the first two which axes vary.
    """
    batches = [batch for each in ways.values() for batch in each]
    length = batches[0].tokens.shape[1]
    return [next((batch for batch in batches if batch.tokens.shape[1] != length), batches[0]), *batches]
