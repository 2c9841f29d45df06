"""How long a training step waits for its data: epochs as training feeds them, beside the same batches at hand.

Both go through `Model.fit` with one compiled model and the same batches in the same order, and take turns epoch by
epoch. In one the batches are cut, padded and, where examples are media, varied when training asks for them; in the
other they lie in memory from before. What the first takes longer is what steps wait: on a processor, that is also the
work which making batches takes away from the model.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.measure import Worker, machine
from suite import config, preparing

SETS = (
    ("sentiment", "sst2", 12_000),
    ("ner", "wnut17", 1_600),
    ("audio", "spoken_digit", 480),
    ("image", "cifar10", 1_280),
)
QUICK = (("sentiment", "reviews", 60), ("image", "digits", 60))
KINDS = ("fed", "at_hand")


def run(
    *, backend: str, precision: str = "float32", repeats: int = 9, threads: int = 2, quick: bool = False
) -> list[dict[str, Any]]:
    """A row for each task, trained as its Transformer is by default on that data.

    Args:
        backend: of Keras.
        precision: of features.
        repeats: epochs of either kind.
        threads: processors for the process.
        quick: whether a little embedded data is enough.

    Raises:
        InputError: a data set is not there.
    """
    rows = []
    for task, dataset, limit in QUICK if quick else SETS:
        worker = Worker("benchmarks.input_pipeline:Pipeline", backend=backend, threads=threads)
        try:
            known = worker.call("prepare", task, dataset, limit, precision)
            order = np.random.default_rng(0)
            found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
            for _ in range(repeats):
                for kind in map(str, order.permutation(KINDS)):
                    found[kind].append(worker.call("epoch", kind))
            described = machine(worker.call("device"), threads)
        finally:
            worker.close()
        fed, at_hand = (np.array(found[kind]) / known["steps"] for kind in KINDS)  # (repeats, 2) seconds a step
        waiting = 100 * (1 - at_hand / fed)
        low, middle, high = np.percentile(waiting[:, 0], [25, 50, 75])
        rows.append(
            {
                "benchmark": "input_pipeline",
                "backend": backend,
                "precision": precision,
                "task": task,
                "dataset": dataset,
                **known,
                "repeats": repeats,
                "fed_ms": np.median(fed[:, 0]) * 1e3,
                "at_hand_ms": np.median(at_hand[:, 0]) * 1e3,
                "waiting_percent": middle,
                "waiting_q1": low,
                "waiting_q3": high,
                "processor_percent": np.median(waiting[:, 1]),
                **described,
            }
        )
    return rows


class Pipeline:
    """A model and its training data, in a process of its own."""

    def device(self) -> str:
        """The accelerator's name, or "cpu"."""
        from benchmarks import steps

        return steps.device()

    def prepare(self, task: str, dataset: str, limit: int, precision: str) -> dict[str, float]:
        """Compile the model and train on one epoch: how many steps that is, and how long making a batch takes alone."""
        wanted = config.wanted(
            task, dataset=dataset, models=["transformer"], flags={"data.limit": limit, "precision": precision}
        )
        (chosen,) = config.resolve(wanted, seeds=range(1))
        from suite import backend, fitting, training

        backend.prepare(device=chosen.device, precision=chosen.precision)
        prepared = preparing.prepare(wanted, chosen, data_dir=None, files={}, named=True)
        batches = fitting.batches(chosen, prepared, prepared.train, seed=0)
        self.model = fitting.compiled(chosen, prepared, batches)

        class AtHand(training.Feed):
            def __init__(self) -> None:
                super().__init__(batches, first=0)
                self.made = [training.Feed.__getitem__(self, index) for index in range(len(self))]

            def __getitem__(self, index: int) -> Any:
                return self.made[index]

        began = time.perf_counter()
        at_hand = AtHand()
        making = time.perf_counter() - began
        self.feeds = {"fed": training.Feed(batches, first=0), "at_hand": at_hand}
        self.epoch("at_hand")
        return {"examples": len(batches.encoded), "steps": len(batches), "making_ms": 1e3 * making / len(batches)}

    def epoch(self, kind: str) -> tuple[float, float]:
        """Seconds on the clock and of all threads."""
        from suite import backend

        began, used = time.perf_counter(), time.process_time()
        self.model.fit(backend.fed(self.feeds[kind]), shuffle=False, verbose=0)
        return time.perf_counter() - began, time.process_time() - used
