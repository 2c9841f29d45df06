"""The data of a run: read, split and encoded, each once for all models that want the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from suite import find
from suite.config import RunConfig, Wanted
from suite.data import splits as cutting
from suite.data.batching import bucket_lengths, example_lengths
from suite.data.lazy import light
from suite.errors import InputError
from suite.task import Encoded, Spec, Splits, Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where data was read from, so that it can be read again; see `prepare`."""

    dataset: str
    data_dir: str | None = None
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    named: bool = False
    skip_bad: bool = False


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A task and its data, encoded once for all models that read the same features, and all seeds.

    Args:
        task: the task.
        splits: its data.
        config: of the models; they share `[features]` and `[data]`.
        origin: the task's name or file, as the command line has it.
        source: of the data, where it is known.
        compiled: the model that was trained last, for another seed, whatever was encoded for others; see
            `suite.fitting.compiled`.
    """

    task: Task
    splits: Splits
    config: RunConfig
    origin: str
    source: Source | None = None
    compiled: dict[tuple[str, int], Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def encoded_for(self, config: RunConfig) -> Prepared:
        """The same data, encoded as this configuration wants it."""
        if (config.features, config.data) == (self.config.features, self.config.data):
            return self
        other = Prepared(self.task, self.splits, config, self.origin, self.source, self.compiled)
        other.__dict__.update({name: self.__dict__[name] for name in _OF_DATA if name in self.__dict__})
        return other

    @cached_property
    def fingerprint(self) -> str:
        """The data's."""
        return self.splits.fingerprint()

    @cached_property
    def words(self) -> frozenset[str] | None:
        """All words of the training examples; `None` for a task that asks for none."""
        if self.task.words is None:
            return None
        return frozenset(word for example in light(self.splits.train) for word in self.task.words(example))

    @cached_property
    def slices(self) -> Sequence[Mapping[str, str]] | None:
        """For each test example the parts of the test set to which it belongs; `None` for a task without."""
        if self.task.slices is None:
            return None
        return [self.task.slices(example, self.words) for example in self.splits.test]

    @cached_property
    def spec(self) -> Spec:
        """Fitted on the training examples alone."""
        return self.task.spec(self.splits.train, self.config.features)

    @cached_property
    def train(self) -> Encoded:
        """The encoded training split."""
        return self.task.encode(self.splits.train, self.spec)

    @cached_property
    def validation(self) -> Encoded:
        """The encoded validation split."""
        return self.task.encode(self.splits.validation, self.spec)

    @cached_property
    def test(self) -> Encoded:
        """The encoded test split."""
        return self.task.encode(self.splits.test, self.spec)

    @cached_property
    def edges(self) -> list[int]:
        """Lengths to which examples are padded, chosen on the training split."""
        return bucket_lengths(example_lengths(self.train, self.spec), self.config.data.buckets)


_OF_DATA = ("fingerprint", "words", "slices")  # computed once: they do not hang on the configuration


def prepare(
    wanted: Wanted,
    config: RunConfig,
    *,
    data_dir: Path | None,
    files: dict[str, Path | None],
    named: bool,
    skip_bad: bool = False,
) -> Prepared:
    """Reads the data: the user's own files where given, a dataset for the other splits if the user named one.

    Args:
        wanted: the task and the dataset's name.
        config: any of the command's configurations; they differ in model and seed alone.
        data_dir: where the dataset's files are.
        files: split -> the user's own file, or `None`.
        named: whether the user named the dataset, rather than taking the default.
        skip_bad: leave out what cannot be used in the user's own files, instead of refusing it.
    """
    task = wanted.task
    own = {split: path for split, path in files.items() if path is not None}
    if own and not named:
        if "train" not in own:
            raise InputError(f"--{next(iter(own))} without --train: give the file to train on as well, or a --dataset")
        parts, name = cutting.read_files(task.read, own, skip_bad=skip_bad), cutting.name_of(own["train"])
    else:
        parts = find.load_dataset(wanted.dataset, schema=task.schema, data_dir=data_dir)
        name = find.module_name(wanted.dataset)
        if own:
            read = cutting.read_files(task.read, own, skip_bad=skip_bad)
            parts |= {**read, "notes": [*parts.get("notes", ()), *read.get("notes", ())]}
            name += f" with own {', '.join(own)}"
    made = cutting.make_splits(
        parts,
        name=name,
        validation_share=config.data.validation_share,
        limit=config.data.limit,
        labels=task.labels,
        groups=task.groups,
    )
    source = Source(
        dataset=_absolute(wanted.dataset) if find.is_path(wanted.dataset) else wanted.dataset,
        data_dir=None if data_dir is None else _absolute(data_dir),
        files={split: _absolute(path) for split, path in own.items()},
        named=named,
        skip_bad=skip_bad,
    )
    return Prepared(task, made, config, wanted.task_name, source)


def prepare_again(task: Task, origin: str, source: Source, config: RunConfig) -> Prepared:
    """What `prepare` gave to a run, read again.

    Args:
        task: the task.
        origin: its name or file.
        source: of the data.
        config: of the run.
    """
    return prepare(
        Wanted(origin, task, source.dataset, (config.model,), ()),
        config,
        data_dir=None if source.data_dir is None else Path(source.data_dir),
        files={split: Path(file) for split, file in source.files.items()},
        named=source.named,
        skip_bad=source.skip_bad,
    )


def _absolute(path: Path | str) -> str:
    """Paths, also several that belong together, as they are understood from any folder."""
    return ",".join(str(Path(part).absolute()) for part in str(path).split(","))
