"""A model that was trained: loaded from its run's directory, to answer new inputs and to be scored on other data."""

from __future__ import annotations

import dataclasses
import json
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from suite import backend as backends
from suite import config as configuration
from suite import find, flops, records
from suite.config import RunConfig, Table
from suite.data import splits as cutting
from suite.data.batching import Batches, bucket_lengths, example_lengths
from suite.data.lazy import light
from suite.errors import InputError, RunError
from suite.preparing import Prepared
from suite.records import Directory
from suite.task import Answer, Example, Prediction, Result, Spec, Splits, Task, Writing


class Predicted(NamedTuple):
    """What a model makes of some examples.

    Args:
        predictions: one an example.
        left_out: what reading the examples left out.
        flops: counts `Result.flops_per_example` of them.
    """

    predictions: Sequence[Prediction]
    left_out: Sequence[str]
    flops: Callable[[], float | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished run's model.

    Args:
        directory: the run's.
        task: its task.
        origin: the task's name or file.
        config: its configuration.
        labels: those that its training examples have.
        result: its result.
        predict: examples -> predictions, and what goes with them.
        write: examples, how -> the answers of each, the best first; `None` for a task that writes no texts.
        stream: one example, how -> the pieces of its first answer as they come; `None` where they come at once.
        backend: what computes; `None` for a model that is no neural network.
        quantized: to what; `None` for weights as they were trained.
    """

    directory: Directory
    task: Task
    origin: str
    config: RunConfig
    labels: frozenset[str]
    result: Result
    predict: Callable[[Sequence[Example]], Predicted]
    write: Callable[[Sequence[Example], Writing], list[list[Answer]]] | None
    stream: Callable[[Example, Writing], Iterator[str]] | None
    backend: backends.Backend | None
    quantized: str | None = None

    def answers(self, examples: Sequence[Example], writing: Writing) -> list[list[Answer]]:
        """For each example `writing.n_best` answers, the best first.

        Raises:
            InputError: it is said how to write, and the model writes no texts.
        """
        if self.write is not None:
            return self.write(examples, writing)
        plain = dataclasses.replace(writing, seed=0, n_best=1)
        if plain != Writing():
            name = next(key for key, value in dataclasses.asdict(plain).items() if value != getattr(Writing(), key))
            raise InputError(f"--{name.replace('_', '-')}: {self.result.model} of {self.task.name} writes no texts")
        predictions = zip(self.predict(examples).predictions, examples, strict=True)
        return [self.task.show(prediction, example, writing.n_best) for prediction, example in predictions]


def load(path: Path, *, device: str = "auto", quantize: str | None = None) -> Trained:
    """The model of a run's directory, ready to answer.

    The model of a classic baseline is a Python pickle, and loading a pickle runs whatever code it names: load no
    directory whose origin you do not trust.

    Args:
        path: the run's directory.
        device: `auto` takes a GPU where there is one.
        quantize: `int8` for weights and features of the products of a neural network.

    Raises:
        InputError: it is no directory of a finished run, what it holds is damaged, or there is nothing to quantize.
    """
    asked, result, directory = read_run(path)
    task = find.task(asked["task_origin"])
    if task.version != asked["task_version"]:
        raise InputError(
            f"{path}: made for version {asked['task_version']} of task {task.name}, which is now at {task.version}: "
            f"train it again"
        )
    config = saved_config(asked["config"], task, path)
    if config.model in task.baselines:
        if quantize:
            raise InputError(f"--quantize {quantize}: {config.model} is no neural network")
        backend = None
        fitted: Any = _load_baseline(path)
        write, stream = (getattr(fitted, name, None) if task.write else None for name in ("write", "stream"))

        def predict(examples: Sequence[Example]) -> Predicted:
            return Predicted(fitted(examples), (), lambda: None)

    else:
        backend = backends.prepare(device=device, precision=config.precision)
        backend = dataclasses.replace(backend, precision=quantize or backend.precision)
        # Imports whatever layers of the user's own the model is made of.
        configuration.architecture(task, config.model).encoder(config.architecture)
        predict, write, stream = _load_network(path, task, config, quantize)
    return Trained(
        directory=directory,
        task=task,
        origin=asked["task_origin"],
        config=config,
        labels=frozenset(asked["labels"]),
        result=result,
        predict=predict,
        write=write,
        stream=stream,
        backend=backend,
        quantized=quantize,
    )


def evaluate(trained: Trained, splits: Splits, *, output: Path) -> Result:
    """Scores a trained model on the test split of other data, and keeps the outcomes in a directory of its own.

    Args:
        trained: the model.
        splits: the data, of which test alone is read.
        output: the folder in which the evaluation gets a directory.
    """
    test = splits.test
    predicted = trained.predict(test)
    evaluation = trained.task.evaluate(predicted.predictions, light(test))
    prepared = Prepared(trained.task, splits, trained.config, trained.origin)
    name = f"{trained.directory.run_id}-on-{records.slug(splits.dataset)}-{prepared.fingerprint[:8]}"
    name += f"-{trained.quantized}" if trained.quantized else ""
    directory = Directory(output / name)
    if trained.task.slices is not None:
        words = trained.directory.words()  # those of the data that the model was trained on
        evaluation = evaluation.sliced(trained.task.slices(example, words) for example in test)
    result = dataclasses.replace(
        records.result(trained.config, trained.task, prepared, directory, trained.backend),
        params=trained.result.params,
        flops_per_example=predicted.flops(),
        scores=evaluation.scores,
        note="; ".join(
            filter(
                None,
                [
                    f"trained on {trained.result.dataset} as {trained.directory.run_id}",
                    f"weights and features in {trained.quantized}" if trained.quantized else "",
                    *predicted.left_out,
                    evaluation.note,
                ],
            )
        ),
    )
    directory.write_evaluation(evaluation)
    directory.finish(result)
    return result


def test_data(
    trained: Trained, *, dataset: str | None, test: Path | None, data_dir: Path | None, skip_bad: bool
) -> Splits:
    """What a model is to be scored on: the test split of a dataset, cut as in a run, or a file of the user's own."""
    if test is not None:
        if dataset is not None:
            raise InputError("--dataset and --test: give one of them")
        parts = cutting.read_files(trained.task.read, {"test": test}, skip_bad=skip_bad)
        name = cutting.name_of(test)
    elif dataset is not None:
        parts = find.load_dataset(dataset, schema=trained.task.schema, data_dir=data_dir)
        name = find.module_name(dataset)
    else:
        raise InputError("nothing to score on: give --dataset NAME or --test FILE")
    if "train" in parts:
        share, groups = trained.config.data.validation_share, trained.task.groups
        splits = cutting.make_splits(parts, name=name, validation_share=share, groups=groups)
    else:  # made to be tested on alone
        notes = tuple(parts.get("notes", ()))
        splits = Splits(dataset=name, train=[], validation=[], test=parts["test"], notes=notes)
    unknown = cutting.new_labels(trained.labels, light(splits.test), trained.task.labels)
    return dataclasses.replace(splits, notes=(*splits.notes, *unknown))


def read_run(path: Path) -> tuple[dict[str, Any], Result, Directory]:
    """What a finished run's directory says: what was asked for, and what came out.

    Raises:
        InputError: it is no directory of a finished run, or what it holds is damaged.
    """
    directory = Directory(path)
    if not (path / "run.json").is_file():
        what = "no such folder" if not path.exists() else "not a run's directory: it has no run.json"
        raise InputError(f"{path}: {what}; expected a directory below runs/ that `python -m suite run` made")
    try:
        asked = json.loads((path / "run.json").read_text("utf8"))
        result = directory.finished()
        asked["task_origin"], asked["task_version"], asked["config"]["model"], asked["labels"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged, or made by an older version: {type(error).__name__}: {error}") from error
    if result is None:
        raise InputError(f"{path}: this run has not finished; the command that began it continues it with --resume")
    if result.status != "ok":
        raise InputError(f"{path}: this run {result.status}: {result.note}")
    return asked, result, directory


def saved_config(values: dict[str, Any], task: Task, path: Path) -> RunConfig:
    """A run's configuration, from its `run.json`."""
    model = values["model"]
    kinds: dict[str, type[BaseModel]] = {
        "features": task.settings,
        "architecture": Table if model in task.baselines else configuration.architecture(task, model).Config,
    }
    try:
        parts = {name: kind.model_validate_json(json.dumps(values[name])) for name, kind in kinds.items()}
        rest = {key: value for key, value in values.items() if key not in kinds}
        data = configuration.DataConfig.model_validate_json(json.dumps(rest.pop("data")))
        train = configuration.TrainConfig.model_validate_json(json.dumps(rest.pop("train")))
        return RunConfig(**rest, **parts, data=data, train=train)  # type: ignore[arg-type]
    except (ValidationError, KeyError, TypeError) as error:
        raise InputError(f"{path / 'run.json'}: not a configuration of this version: {error}") from error


def _load_baseline(path: Path) -> Callable[[Sequence[Example]], Sequence[Prediction]]:
    try:
        return pickle.loads((path / "model.pickle").read_bytes())
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f"{path / 'model.pickle'}: cannot be loaded: {type(error).__name__}: {error}") from error


def _load_network(path: Path, task: Task, config: RunConfig, quantize: str | None) -> tuple[Any, Any, Any]:
    """What predicts, writes and streams; `None` for what the task does not do."""
    import keras

    from suite import layers, losses  # noqa: F401 - Keras finds layers by their registered names

    try:
        spec = Spec.from_json((path / "spec.json").read_text("utf8"))
        model = keras.saving.load_model(path / "model.keras", compile=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / 'model.keras'}: cannot be loaded: {error}") from error
    if quantize:
        with warnings.catch_warnings():  # of each layer that has nothing to quantize, such as dropout
            warnings.simplefilter("ignore")
            model.quantize(quantize)

    def predict(examples: Sequence[Example]) -> Predicted:
        encoded = task.encode(examples, spec)
        if not len(encoded):
            raise RunError("there is nothing to predict")
        batches = Batches(
            encoded,
            spec,
            batch_size=config.train.batch_size,
            edges=bucket_lengths(example_lengths(encoded, spec), config.data.buckets),
            full_length=config.data.full_length,
            batch_tokens=config.data.batch_tokens,
        )
        predictions = task.decode(task.infer(model, batches, spec), encoded, spec)
        return Predicted(predictions, encoded.notes, lambda: flops.per_example(model, encoded, spec))

    def write(examples: Sequence[Example], writing: Writing) -> list[list[Answer]]:
        return task.write(model, examples, spec, writing) if task.write else []

    def stream(example: Example, writing: Writing) -> Iterator[str]:
        return task.stream(model, example, spec, writing) if task.stream else iter(())

    return predict, write if task.write else None, stream if task.stream else None
