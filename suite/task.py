"""The vocabulary: what flows from a dataset to a row of the leaderboard.

    examples -> Splits -> Spec, Encoded -> keras.Model -> predictions -> Evaluation -> Result

A task is a handful of plain functions over these nouns; the runner calls them in this order and knows nothing else
about the task. Nothing here imports a deep-learning framework.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from suite.faults import Faults

if TYPE_CHECKING:
    import keras
    from pydantic import BaseModel

    from suite.data.batching import Batches

Example = Mapping[str, Any]
"""One example as plain Python values, such as ``{"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]}``.

A dataset that knows the best possible answer to an example puts it under ``"oracle"``, in the form in which the task's
predictions come; the runner scores these answers as the dataset's ceiling.
"""

Prediction = Any
"""The answer to one example, in the task's own form: a list of tags, one for each token, or a mapping of classes to
their probabilities."""

Answer = Mapping[str, Any]
"""An answer as a person or a program reads it: JSON-able, with ``"answer"``, ``"probability"`` (`None` where the model
gives none), and whatever else the task has to say."""

Status = Literal["ok", "failed", "diverged", "n/a"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Splits:
    """A dataset, ready to use: three sequences of examples that share no selection.

    Args:
        dataset: its name, as the leaderboard shows it.
        train, validation, test: the examples, in a fixed order.
        notes: what happened on the way and a reader of the scores should know (how validation was cut, repeated
            examples, tags that only test has).
    """

    dataset: str
    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
    notes: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change when any example of any split changes.

        Media that are loaded on access count by what their light examples say of them (see `suite.data.lazy`), paths
        left out.
        """
        digest = hashlib.sha256()
        for split in ("train", "validation", "test"):
            examples = getattr(self, split)
            for example in getattr(examples, "light", examples):
                told = {key: value for key, value in example.items() if key != "path"}
                text = json.dumps(told, sort_keys=True, ensure_ascii=False, default=_identify)
                digest.update(text.encode("utf-8", "surrogatepass"))
                digest.update(b"\n")
            digest.update(b"\f")
        return digest.hexdigest()[:16]


def _identify(value: Any) -> str:
    """What JSON cannot hold, as text that tells one from another; the text of a large array leaves out its middle."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    return str(value)


@dataclasses.dataclass(frozen=True)
class Array:
    """The shape and type of one model input or target, without the batch axis. `None` marks the axis that is padded."""

    shape: tuple[int | None, ...]
    dtype: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
    """What follows from the training data and not from the configuration. JSON all through, saved with the model.

    Args:
        inputs: the model's inputs by name.
        target: what the loss compares the model's output with.
        sizes: numbers that the model's layers need, such as the number of words known.
        classes: the names of the classes, in the order of the logits.
        preprocessing: whatever `Task.encode` needs to treat new text as it treated the training text.
    """

    inputs: Mapping[str, Array]
    target: Array
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] = ()
    preprocessing: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        """The whole specification as JSON text."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """The specification that `to_json` wrote."""
        value = json.loads(text)
        value["inputs"] = {k: Array(tuple(v["shape"]), v["dtype"]) for k, v in value["inputs"].items()}
        value["target"] = Array(tuple(value["target"]["shape"]), value["target"]["dtype"])
        value["classes"] = tuple(value["classes"])
        return cls(**value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoded:
    """One split as arrays, one per example and not yet padded; batching pads them.

    Args:
        inputs: for each input name, one array an example, shaped as `Spec.inputs` says.
        targets: one array an example; anything of the right shape for examples without an answer.
        lengths: of each example's padded axis, where it is known without loading the example; `None`: it is looked up.
        origins: one an example, whatever `Task.decode` has to know to read the model's output for it, such as the place
            in the text from which it was cut. A task that cuts a long example in several has one entry for each piece.
        recut: for training, the same content cut elsewhere, such as a text in windows that begin at other places: as
            many entries of the same lengths. Called with a random generator before each epoch; `None`: epochs differ in
            order alone.
        notes: what encoding had to leave out, counted ("3 words longer than 20 characters lose their middle").
    """

    inputs: Mapping[str, Sequence[np.ndarray]]
    targets: Sequence[np.ndarray]
    lengths: Sequence[int] | None = None
    origins: Sequence[Any] = ()
    recut: Callable[[np.random.Generator], Encoded] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores of a split, and what happened on each of its examples.

    Args:
        scores: metric name to value. Fractions lie between 0 and 1.
        outcomes: one JSON-able mapping an example, in the order of the split: enough to score any subset again.
        note: what a reader of the scores should know, such as a metric's signature.
        files: further files for the run's directory, name to text.
    """

    scores: Mapping[str, float]
    outcomes: Sequence[Mapping[str, Any]]
    note: str = ""
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def sliced(self, slices: Iterable[Mapping[str, str]]) -> Evaluation:
        """The same, with what `Task.slices` says of each example under ``"slices"`` in its outcome.

        Example:

        >>> Evaluation({}, [{"right": True}]).sliced([{"negation": "no"}]).outcomes
        [{'right': True, 'slices': {'negation': 'no'}}]
        """
        both = zip(self.outcomes, slices, strict=True)
        return dataclasses.replace(self, outcomes=[{**one, "slices": dict(parts)} for one, parts in both])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Writing:
    """How a person wants a text to be written; `None` leaves it to the task. See `suite.decoding.strategies`.

    Args:
        max_tokens: the most tokens of an answer.
        beam: the size of a beam search; without one tokens are drawn, or taken greedily, as the task does by itself.
        length_penalty, coverage_penalty: of the beam search.
        temperature: what logits are divided by before a token is drawn; 0 takes the best one.
        top_k, top_p, min_p: which tokens may be drawn.
        repetition_penalty: against tokens that are there already.
        stop: texts that end an answer.
        seed: of what is drawn.
        n_best: how many answers of each input are wanted.
    """

    max_tokens: int | None = None
    beam: int | None = None
    length_penalty: float | None = None
    coverage_penalty: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    stop: tuple[str, ...] = ()
    seed: int = 0
    n_best: int = 1


Baseline = Callable[[Sequence[Example], Sequence[Example], "BaseModel", int], Callable[[Sequence[Example]], list]]
"""A model that is no neural network: ``baseline(train, validation, settings, seed)`` fits it and returns an object that
is called with examples and returns their predictions. It can be pickled, and has attributes ``parameters``, the number
of fitted numbers, and ``note``, what a reader of its scores should know."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """An architecture with its sizes, as tasks meet it.

    Args:
        width: the last axis of what it takes and gives.
        reads: ``"sequence"``: `encode` takes x (B, T, width) and a mask (B, T), True at real positions, and gives
            (B, T, width). ``"image"``: it takes pixels (B, height, width, channels), in about -1 to 1, and `None`, and
            gives (B, T, width), one vector for each place of the picture.
        encode: on Keras's symbolic tensors.
        decode: whether there is a memory -> a causal decoder, a layer that is called as `suite.layers.Decoder`, which
            reads the memory if there is one; `None` where the architecture has no decoder.
    """

    width: int
    reads: Literal["sequence", "image"]
    encode: Callable[[Any, Any], Any]
    decode: Callable[[bool], keras.layers.Layer] | None = None


def forward(model: keras.Model, batches: Batches, spec: Spec) -> Sequence[Any]:
    """The `infer` of a task whose `decode` reads the model's own output."""
    from suite import training

    return training.predict(model, batches)


def as_it_is(
    outputs: Sequence[np.ndarray], encoded: Encoded, examples: Sequence[Example], spec: Spec
) -> tuple[Spec, str]:
    """The `calibrate` of a task whose `decode` has nothing to choose."""
    return spec, ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A task, as plain functions.

    Args:
        name: as on the command line.
        schema: what an example maps to what; datasets with the same schema serve the task.
        fields: what a person gives for one example without its answer, such as ``("context", "question")``.
        metric: the primary score, which also selects the best epoch on validation, if `selects` names no other.
        lower_is_better: names of the scores of which less is better.
        version: raised whenever any score could change.
        settings: the typed `[features]` table of the task's configuration.
        read: a file or folder of the user's own, what to do with faults in it -> examples.
        example: the texts of `fields` -> an example without its answer; an InputError says what is wrong with it.
        labels: an example -> the labels of its answer, to find those that training never had.
        spec: training examples, settings -> Spec. Sees training examples alone.
        encode: examples, Spec -> Encoded. Examples may come without an answer.
        build: Spec, settings, Architecture -> an uncompiled `keras.Model`.
        loss: settings -> a Keras loss.
        infer: model, batches of a split, Spec -> for each encoded example what `decode` reads.
        watch: model, batches of the validation split, its examples, Spec -> scores for the history of the training,
            `selects` among them; `None`: those of `evaluate`.
        causal: the name of the input of which the model's outputs may read only what came before, if there is one.
        selects: the score on validation that chooses the best epoch, where it is not `metric`.
        groups: examples in their order -> for each what it shares with others, such as its text, where a cut between
            those would let training see what is scored; `None`: each stands alone.
        calibrate: outputs for the validation examples, how they were encoded, those examples, Spec -> the Spec with
            which `decode` does best on them, and a remark that says what was chosen.
        decode: what `infer` gave for each encoded example, without padding, how they were encoded, Spec ->
            predictions, one for each example.
        evaluate: predictions, examples -> Evaluation. Reads no media of the examples (see `suite.data.lazy`).
        words: an example -> the words of its input, for `slices`. Reads no media.
        slices: an example, the words of all training examples -> the parts of the test set to which the example
            belongs, such as ``{"negation": "yes"}``: the same keys for each. They are kept with the outcomes and show
            on which examples models differ. Where the training words are not known they are `None`, and what hangs on
            them is left out.
        show: a prediction, its example, how many -> the likeliest answers, the best first.
        write: model, examples, Spec, how -> for each example its answers, the best first. For a task that writes texts,
            where a person has a say in how; `None` for others.
        stream: model, one example, Spec, how -> the pieces of the first answer of `write`, as they come.
        baselines: the models that are no neural networks, by name.
        families: for the name of a family, the architecture that it has for this task, where it is not that of the
            same name; ``{"cnn": "resnet"}``.
        reads: what `build` can give to an architecture; see `Architecture.reads`.
    """

    name: str
    schema: str
    fields: tuple[str, ...]
    metric: str
    version: int
    settings: type[BaseModel]
    read: Callable[[Path, Faults], Sequence[Any]]
    example: Callable[[Mapping[str, str]], Example]
    labels: Callable[[Example], Sequence[str]]
    spec: Callable[[Sequence[Example], Any], Spec]
    encode: Callable[[Sequence[Example], Spec], Encoded]
    build: Callable[[Spec, Any, Architecture], keras.Model]
    loss: Callable[[Any], keras.Loss]
    decode: Callable[[Sequence[Any], Encoded, Spec], Sequence[Prediction]]
    evaluate: Callable[[Sequence[Prediction], Sequence[Example]], Evaluation]
    show: Callable[[Prediction, Example, int], list[Answer]]
    words: Callable[[Example], Iterable[str]] | None = None
    slices: Callable[[Example, Container[str] | None], Mapping[str, str]] | None = None
    groups: Callable[[Sequence[Example]], Sequence[Hashable]] | None = None
    infer: Callable[[keras.Model, Batches, Spec], Sequence[Any]] = forward
    watch: Callable[[keras.Model, Batches, Sequence[Example], Spec], Mapping[str, float]] | None = None
    selects: str = ""
    causal: str = ""
    calibrate: Callable[[Sequence[np.ndarray], Encoded, Sequence[Example], Spec], tuple[Spec, str]] = as_it_is
    write: Callable[[keras.Model, Sequence[Example], Spec, Writing], list[list[Answer]]] | None = None
    stream: Callable[[keras.Model, Example, Spec, Writing], Iterator[str]] | None = None
    baselines: Mapping[str, Baseline] = dataclasses.field(default_factory=dict)
    families: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reads: tuple[str, ...] = ("sequence",)
    lower_is_better: frozenset[str] = frozenset()

    @property
    def higher_is_better(self) -> bool:
        """The direction of the primary metric."""
        return self.metric not in self.lower_is_better

    @property
    def selected_by(self) -> str:
        """The score on validation that chooses the best epoch."""
        return self.selects or self.metric


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What happened in one run: one model, one seed, one dataset. It becomes rows of the leaderboard, whose schema
    says what each field means.

    Sizes are counts, times are seconds, memory is MiB (2**20 bytes); `None` where a figure does not apply.
    """

    run_id: str
    timestamp: str
    suite_version: str
    task: str
    task_version: int
    dataset: str
    dataset_hash: str
    split: str
    model: str
    config_hash: str
    seed: int
    metric: str
    scores: Mapping[str, float]
    lower_is_better: frozenset[str] = frozenset()
    n_examples: int
    params: int | None = None
    epochs: int | None = None
    train_seconds: float | None = None
    compile_seconds: float | None = None
    examples_per_second: float | None = None
    peak_memory_mb: float | None = None
    flops_per_example: float | None = None
    tokens_per_second: float | None = None
    backend: str = ""
    device: str = ""
    precision: str = ""
    libraries: str = ""
    git_commit: str = ""
    certificate: str = ""
    selected_on: str = ""
    trials: int | None = None
    test_scored: int | None = None
    status: Status = "ok"
    note: str = ""
