"""Training on texts of real lengths: batches of buckets here, peers padded to the longest of a batch or of all.

All train the classifier of `train_step`, whatever the texts were collected for: only their lengths matter here. The
sentences are those of some batches of an epoch of ours, the same for all, and every one of them counts once.

Shapes: B batch, T length.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.classifier import Size, TextBatch
from benchmarks.measure import Worker, in_turn, machine, spread
from benchmarks.train_step import QUICK, SIZES, compared, peer_class
from suite.data import subwords
from suite.data.batching import Batches, bucket_lengths
from suite.data.datasets import multi30k, sst2, wnut17
from suite.errors import InputError
from suite.task import Array, Encoded, Spec

PEERS = (
    "suite",
    "suite_longest",
    *(f"{name}_{padding}" for padding in ("longest", "maximum") for name in ("keras", "keras_hub", "torch")),
    "hugging_face_longest",
    "hugging_face_maximum",
)
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
    """A row for each corpus and peer.

    Args:
        backend: of Keras.
        precision: ``"float32"``, or ``"bfloat16"`` of features, with weights of float32.
        repeats: of each peer and corpus.
        threads: processors for each peer.
        quick: whether texts are made up and the model is tiny.
        peers: ``"suite"`` and others of `PEERS`; the ratios compare with the first.

    Raises:
        InputError: a corpus is not there, or no such peer.
    """
    peers = peers or PEERS
    if unknown := set(peers) - set(PEERS):
        raise InputError(f"--peer of train_epoch: expected some of {', '.join(PEERS)}; got {', '.join(unknown)}")
    settings = QUICK[0] if quick else {**SIZES[0], "batch": BATCH}
    corpora = {"made": _made()} if quick else read()
    workers = {name: Worker(peer_class(name), backend=backend, threads=threads, name=_split(name)[0]) for name in peers}
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
    longest = max(map(len, corpus.texts))
    rows = settings["batch"]
    size = Size(**{**settings, "length": longest, "vocabulary": corpus.vocabulary})
    chosen = list(bucketed(corpus.texts, rows, SHARE))
    sentences = np.concatenate([members for _, members in chosen])
    real = int(sum(len(corpus.texts[row]) for row in sentences))
    batches: dict[str, Sequence[Any]] = {}
    for name in workers:
        of_torch = peer_class(name).startswith("benchmarks.torch")
        multiple = _MULTIPLE if backend == "jax" and not of_torch else 1
        ways: dict[str, Sequence[Any]] = {
            "buckets": [batch for batch, _ in chosen],
            "longest": list(padded(corpus.texts, sentences, rows, multiple=multiple, limit=longest)),
            "maximum": list(padded(corpus.texts, sentences, rows, multiple=longest, limit=longest)),
        }
        batches[name] = ways[_split(name)[1]]
    parameters = {name: worker.call("prepare", size, timed(batches[name])) for name, worker in workers.items()}
    seconds = in_turn(workers, repeats=repeats, method="epoch")
    ours = next(iter(workers))
    found = []
    for name in workers:
        places = sum(batch.tokens.size for batch in batches[name])
        row = {"peer": name, "parameters": parameters[name], "sentences": len(sentences), "batches": len(batches[name])}
        row |= {"tokens": real, "places": places, "padding": 1 - real / places, "repeats": repeats}
        timing = {**spread(seconds[name], seconds[ours]), "tokens_per_second": real / np.median(seconds[name])}
        found.append({**dataclasses.asdict(size), **row, **timing})
    return found


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


def padded(
    texts: Sequence[np.ndarray], sentences: np.ndarray, rows: int, *, multiple: int, limit: int
) -> Iterator[TextBatch]:
    """These sentences in any order, so many in a batch, padded to its longest.

    Args:
        texts: of which some are taken.
        sentences: their places.
        rows: sentences in a batch; the last batch has those that are left.
        multiple: of which each length is, but for the limit.
        limit: the greatest length.
    """
    order = np.random.default_rng(0).permutation(sentences)
    for start in range(0, len(order), rows):
        members = order[start : start + rows]
        length = min(limit, -(-max(len(texts[row]) for row in members) // multiple) * multiple)
        tokens = np.zeros((len(members), length), "int32")
        for place, row in zip(tokens, members, strict=True):
            place[: len(texts[row])] = texts[row]
        yield TextBatch(tokens, (members % 2).astype("int32"))


def timed(batches: Sequence[Any]) -> list[Any]:
    """The batches, and before them the one after whose end the clock starts.

    It differs from the next in length where any do, and in rows where that is all: Keras reads off the first two which
    axes vary.
    """
    other = next((batch for batch in batches if batch.tokens.shape[1] != batches[0].tokens.shape[1]), batches[-1])
    return [other, *batches]


def _split(peer: str) -> tuple[str, str]:
    """What trains, and how its batches are padded."""
    name, _, padding = peer.rpartition("_")
    return (name, padding) if padding in ("longest", "maximum") else (peer, "buckets")
