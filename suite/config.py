"""What is wanted: a task's TOML file, its overlays and the flags become one typed, frozen `RunConfig` for each run.

Later layers win: the file's tables, then `[overlay.<dataset>]`, then the overlays asked for by name, then flags, then
`--set key=value`. Every value remembers where it came from, so that an error can name the file or the flag.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from suite import find
from suite.errors import InputError, did_you_mean
from suite.task import Task

Precision = Literal["float32", "bfloat16", "float16", "auto"]
Device = Literal["auto", "cpu", "gpu"]


class Table(BaseModel):
    """A frozen table of settings. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataConfig(Table):
    """`[data]`: how examples are chosen and batched."""

    limit: int | None = Field(None, gt=0, description="at most so many examples of each split, drawn by a fixed seed")
    validation_share: float = Field(
        0.1, gt=0, lt=1, description="share of train that becomes validation where there is none"
    )
    buckets: int = Field(4, gt=0, description="lengths to which examples are padded")
    full_length: int = Field(128, gt=0, description="the greatest length of which a batch holds batch_size examples")
    batch_tokens: int | None = Field(
        None, gt=0, description="places of a batch, padding included, which then hold as many examples as fit"
    )


class TrainConfig(Table):
    """`[train]`: how a neural model is trained."""

    epochs: int = Field(10, gt=0)
    steps: int | None = Field(None, gt=0, description="training steps at most, wherever in an epoch they end")
    batch_size: int = Field(32, gt=0, description="examples in a batch; fewer where they are very long")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: Muon for matrices between embedding and output, AdamW for all else"
    )
    learning_rate: float = Field(1e-3, gt=0, description="the highest, reached after warm-up")
    adam_ratio: float = Field(1.0, gt=0, description="with muon: AdamW's share of the learning rate")
    adam_for: list[str] = Field(
        ["output"],
        description="with muon: patterns of paths of matrices that AdamW trains, beside embeddings; the default is for "
        "an output matrix, and finds those of attention, too",
    )
    beta_2: float = Field(0.98, gt=0, lt=1, description="AdamW's decay of the mean of squared gradients")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of all steps in which the learning rate rises from 0")
    final_learning_rate: float = Field(0.05, ge=0, le=1, description="share of the highest that is left at the end")
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: float = Field(1.0, gt=0, description="largest global norm of the gradient")
    average: float = Field(
        0.0, ge=0, lt=1, description="decay of a running average of the weights that is kept instead of them; 0: none"
    )
    average_last: int = Field(
        0, ge=0, description="epochs whose last weights are averaged at the end, and kept where that is better; 0: none"
    )
    patience: int = Field(5, gt=0, description="epochs without a better validation score before training stops")
    max_minutes: float | None = Field(None, gt=0, description="training of one model stops after so many minutes")
    jit: bool | Literal["auto"] = Field("auto", description="compile with XLA; auto: on JAX alone")


class RunConfig(Table):
    """Everything that decides what one run does: one model, one seed, one dataset."""

    task: str
    dataset: str
    model: str
    seed: int = Field(0, ge=0)
    precision: Precision = "auto"
    device: Device = "auto"
    trials: int | None = Field(None, ge=1, description="settings of this model that were tried on validation")
    data: DataConfig = DataConfig()
    features: SerializeAsAny[BaseModel]
    architecture: SerializeAsAny[BaseModel]
    train: TrainConfig = TrainConfig()

    def hash(self) -> str:
        """Twelve hexadecimal digits of what decides the score; seed, device and files' folders are left out."""
        left_out = {"seed", "device", "trials"}
        values = self.model_dump(mode="json", exclude=left_out) | {"model": find.module_name(self.model)}
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Value(NamedTuple):
    """A setting and where it was set."""

    value: Any
    origin: str


Flat = dict[str, Value]  # "train.epochs" -> Value(12, "configs/ner.toml")


class Wanted(NamedTuple):
    """A task's configuration file with everything that the command line lays over it, before it is typed."""

    task_name: str
    task: Task
    dataset: str
    models: tuple[str, ...]
    layers: tuple[Flat, ...]


OVERRIDES = ("train.", "features.")  # tables that a model's own table may hold, for it alone
OF_THEIR_OWN = ("task", "dataset", "model", "models", "seed")  # keys for which there are flags, and no --set


def parse_set(text: str) -> tuple[str, Any]:
    """Reads `key=value`, the value in TOML's notation or as plain text.

    Example:

    >>> parse_set("train.learning_rate=1e-3"), parse_set("model.position=rotary")
    (('train.learning_rate', 0.001), ('model.position', 'rotary'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text}: expected key=value, such as --set train.epochs=3")
    if key.strip() in OF_THEIR_OWN:
        raise InputError(f"--set {text}: there is a flag for it; use --{key.strip().removesuffix('s')}")
    try:
        return key.strip(), tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def wanted(
    task_name: str,
    *,
    dataset: str | None = None,
    models: Sequence[str] = (),
    overlays: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    sets: Sequence[str] = (),
) -> Wanted:
    """Reads the task's file and lays overlays, flags and `--set` values over it.

    Args:
        task_name: a task's name or its file.
        dataset: a dataset's name; default: the file's.
        models: names; default: the file's.
        overlays: names of `[overlay.<name>]` tables to lay over the file, in this order.
        flags: dotted key -> value, from flags of their own such as `--epochs`; `None` values are left out.
        sets: `key=value` texts.
    """
    task = find.task(task_name)
    path = find.config_file(task_name)
    file = _read_toml(path)
    tables = file.pop("overlay", {})
    name = dataset or file.get("dataset") or ""
    if not name:
        raise InputError(f"{path}: no dataset is named, neither here nor by --dataset")
    for overlay in overlays:
        if overlay not in tables:
            raise InputError(f"--overlay {overlay}: {path} has no such overlay; {did_you_mean(overlay, tables)}")
    chosen = tuple(models) or tuple(file.get("models", ()))
    known = [*find.architectures(), *task.families, *task.baselines]
    layers = [_flatten(file, str(path))]
    layers += [
        _flatten(tables[overlay], f"{path} [overlay.{overlay}]")
        for overlay in dict.fromkeys([find.base_name(name), name, *overlays])
        if overlay in tables
    ]
    for layer in layers:
        _check_model_tables(layer, known)
    layers.append(
        {
            key: Value(value, f"--{key.split('.')[-1].replace('_', '-')}")
            for key, value in (flags or {}).items()
            if value is not None
        }
    )
    layers += [{key: Value(value, f"--set {text}")} for text in sets for key, value in [parse_set(text)]]
    for model in chosen:
        if model not in task.baselines:
            architecture(task, model)
    return Wanted(task_name, task, name, chosen, tuple(layers))


def architecture(task: Task, model: str) -> ModuleType:
    """The architecture that a model is for a task: that of its family, or the one of its own name or file."""
    name = task.families.get(model, model)
    found = find.architecture(name, others=[*task.families, *task.baselines])
    reads = getattr(found, "READS", "sequence")
    if reads not in task.reads:
        raise InputError(
            f"model {model!r} reads an {reads}, and {task.name} gives a {task.reads[0]}: "
            f"choose one of {', '.join(find.models(task))}"
        )
    if task.write is not None and not hasattr(found, "decoder"):
        raise InputError(
            f"model {model!r} has no decoder, and {task.name} writes texts: "
            f"choose one of {', '.join(find.models(task))}"
        )
    return found


def resolve(wanted: Wanted, *, seeds: Iterable[int] = (0,)) -> list[RunConfig]:
    """One `RunConfig` for each model and seed."""
    used: set[str] = set()
    resolved = [_resolve(wanted, model, used) for model in wanted.models]
    for layer in wanted.layers:
        for key, (_, origin) in layer.items():
            if key.startswith("model.") and origin.startswith("--set") and key not in used:
                models = ", ".join(wanted.models)
                keys = {f"model.{name}" for config in resolved for name in type(config.architecture).model_fields}
                raise InputError(f"{origin}: no selected model ({models}) has this key; {did_you_mean(key, keys)}")
    return [config.model_copy(update={"seed": seed}) for config in resolved for seed in seeds]


def _resolve(wanted: Wanted, model: str, used: set[str]) -> RunConfig:
    task = wanted.task
    if model in task.baselines:
        architecture_type: type[BaseModel] = Table
    else:
        architecture_type = architecture(task, model).Config
    short = find.module_name(model)
    merged: Flat = {}
    for layer in wanted.layers:
        specific: Flat = {}
        for key, value in layer.items():
            head, _, rest = key.partition(".")
            if head != "model":
                merged[key] = value
                continue
            name, _, own = rest.partition(".")
            if name == short and own:
                used.add(key)
                specific[own if own.startswith(OVERRIDES) or own == "trials" else f"architecture.{own}"] = value
            elif name in architecture_type.model_fields:
                used.add(key)
                specific[f"architecture.{rest}"] = value
        merged.update(specific)
    merged.pop("models", None)
    merged["task"] = Value(task.name, "--task")
    merged["dataset"] = Value(wanted.dataset, "--dataset")
    merged["model"] = Value(model, "--model")
    types: dict[str, type[BaseModel]] = {
        "data": DataConfig,
        "train": TrainConfig,
        "features": task.settings,
        "architecture": architecture_type,
    }
    for section, kind in types.items():
        if section in merged:
            keys = ", ".join(kind.model_fields)
            raise InputError(f"{merged[section].origin}: {section} is a table; set one of its keys: {keys}")
    parts = {section: _section(merged, section, kind, short) for section, kind in types.items()}
    top = {key: value for key, value in merged.items() if key.split(".")[0] not in types}
    return _typed(RunConfig, {**{k: v.value for k, v in top.items()}, **parts}, merged, "", short)


def _section(merged: Flat, section: str, kind: type[BaseModel], model: str) -> BaseModel:
    prefix = f"{section}."
    values: dict[str, Any] = {}
    for key, value in merged.items():
        name, dot, inside = key.removeprefix(prefix).partition(".")
        if not key.startswith(prefix):
            continue
        if dot and name in kind.model_fields:  # a setting that is a table itself
            values[name] = {**values.get(name, {}), inside: value.value}
        else:
            values[key.removeprefix(prefix)] = value.value
    return _typed(kind, values, merged, prefix, model)


def _typed(kind: type[BaseModel], values: Mapping[str, Any], merged: Flat, prefix: str, model: str) -> Any:
    """Builds a typed table; the first thing wrong with it becomes an error that names the key and where it was set."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:1])
        shown = f"{prefix}{key}".replace("architecture.", f"model.{model}.").rstrip(".")
        origin = merged[f"{prefix}{key}"].origin if f"{prefix}{key}" in merged else ""
        where = f"{origin}: " if origin else ""
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(key.split(".")[0], kind.model_fields)
            raise InputError(f"{where}unknown key {shown!r}; {hint}") from None
        message = first["msg"].removeprefix("Value error, ")
        received = "" if first["type"] in ("missing", "value_error") else f". Received: {first['input']!r}"
        raise InputError(f"{where}{shown}: {message}{received}") from None


def _check_model_tables(layer: Flat, known: Sequence[str]) -> None:
    for key, (_, origin) in layer.items():
        head, _, rest = key.partition(".")
        name = rest.partition(".")[0]
        if head == "model" and name not in known:
            raise InputError(f"{origin}: [model.{name}] is the table of no model; {did_you_mean(name, known)}")


def _flatten(table: Mapping[str, Any], origin: str, prefix: str = "") -> Flat:
    flat: Flat = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, origin, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = Value(value, origin)
    return flat


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
