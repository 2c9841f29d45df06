"""Reading, encoding and batching a table of texts, in a process of its own."""

from __future__ import annotations

import csv
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import memory
from benchmarks.peer import Peer
from suite import config, fitting, preparing
from suite.data.datasets.reviews import SIZES, reviews


class DataPeer(Peer):
    """One part of what `python -m suite run --task sentiment --train FILE` does for an epoch, without the training.

    Args:
        part: ``"reading"``, ``"encoding"`` or ``"batching"``.
    """

    def __init__(self, part: str) -> None:
        memory.give_way()
        self.part = part
        self.folder = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, self.folder)

    def device(self) -> str:
        return "cpu"

    def wait(self, result: Any) -> None:
        """Return at once: nothing is left to be waited for."""

    def measure(self, times: int) -> int:
        """Do the part with so many times the embedded training reviews, all different. Its peak in bytes."""
        path = self.folder / "reviews.tsv"
        _write(path, SIZES["train"] * times)
        self.run, self.calls = self._part(path), 1
        return memory.peak_above(self.run)

    def _part(self, path: Path) -> Callable[[], Any]:
        wanted = config.wanted("sentiment")
        (chosen, *_) = config.resolve(wanted, seeds=range(1))

        def read() -> preparing.Prepared:
            return preparing.prepare(wanted, chosen, data_dir=None, files={"train": path}, named=False)

        if self.part == "reading":
            return read
        prepared = read()
        spec, train = prepared.spec, prepared.splits.train
        if self.part == "encoding":
            return lambda: prepared.task.encode(train, spec)
        batches = fitting.batches(chosen, prepared, prepared.train, seed=0)
        return lambda: _epoch(batches)


def _write(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t")
        table.writerow(["text", "label"])
        table.writerows([review.text, review.positive] for review in reviews({"train": count})["train"])


def _epoch(batches: Any) -> None:
    batches.start_epoch(1)
    for index in range(len(batches)):
        batches[index]
