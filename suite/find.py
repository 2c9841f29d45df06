"""From a name or a file's path to a task, an architecture or a dataset.

A task is a file in `tasks/`, an architecture a file in `suite/models/`, a dataset a file in `suite/data/datasets/`; a
new one is a new file there, or any file elsewhere that is named by its path (`--task ./my_task.py`). Files are imported
when they are asked for, and none of them imports a deep-learning framework at its top.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from suite.errors import InputError, did_you_mean
from suite.task import Task

SUITE = Path(__file__).parent
TASKS = SUITE.parent / "tasks"
ARCHITECTURES = SUITE / "models"
DATASETS = SUITE / "data" / "datasets"
CONFIGS = (SUITE / "configs", SUITE.parent / "configs")  # in an installed package; in a checkout


def task(name: str) -> Task:
    """The task of this name or file."""
    module = _load(name, TASKS, "task")
    found = getattr(module, "TASK", None)
    if not isinstance(found, Task):
        raise InputError(f"{module.__file__}: a task's file ends in TASK = Task(...). Received: TASK = {found!r}")
    return found


def tasks() -> list[str]:
    """The names of all tasks."""
    return _names(TASKS)


def config_file(task_name: str) -> Path:
    """The configuration that belongs to a task: `configs/<name>.toml`, or the TOML file beside a task's own file."""
    if is_path(task_name):
        candidates = [Path(task_name).with_suffix(".toml")]
    else:
        candidates = [folder / f"{task_name}.toml" for folder in CONFIGS]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError(f"no configuration for task {task_name!r}: expected a file {candidates[-1]}")


def architecture(name: str, *, others: Iterable[str] = ()) -> ModuleType:
    """The architecture of this name or file: a module with `Config` and `encoder(config)`.

    Args:
        name: a name or a path.
        others: further names to suggest when there is none, such as the task's baselines.
    """
    module = _load(name, ARCHITECTURES, "model", architectures() + list(others))
    for wanted in ("Config", "encoder"):
        if not hasattr(module, wanted):
            raise InputError(f"{module.__file__}: an architecture's file defines {wanted}; this one does not")
    return module


def architectures() -> list[str]:
    """The names of all architectures. Found without importing them."""
    return [name for name in _names(ARCHITECTURES) if "\ndef encoder(" in _source(name)]


def models(task: Task) -> list[str]:
    """The names of all models that a task can have: families, other architectures that it can feed, baselines."""
    fed = [
        name
        for name in architectures()
        if ("image" in task.reads or '\nREADS = "image"' not in _source(name))
        and (task.write is None or "\ndef decoder(" in _source(name))
        and name not in task.families.values()
    ]
    return [*dict.fromkeys([*task.families, *fed]), *task.baselines]


def _source(architecture: str) -> str:
    return (ARCHITECTURES / f"{architecture}.py").read_text("utf8")


def dataset(name: str, *, schema: str) -> ModuleType:
    """The dataset of this name or file. Its schema must be the one that the task needs.

    Args:
        name: a name or a path; what follows a colon is a variant, for `variant` to read.
        schema: what the task maps to what.
    """
    name, variant = base_name(name), name[len(base_name(name)) + 1 :]
    module = _load(name, DATASETS, "dataset", [] if is_path(name) else datasets(schema))
    if getattr(module, "SCHEMA", None) != schema:
        raise InputError(
            f"dataset {name!r} maps {getattr(module, 'SCHEMA', 'nothing known')}, the task needs {schema}: "
            f"choose one of {', '.join(datasets(schema))}"
        )
    if variant and not hasattr(module, "VARIANTS"):
        raise InputError(f"dataset {name!r} has no variants; expected nothing after it. Received: {variant!r}")
    return module


def load_dataset(name: str, *, schema: str, data_dir: Path | None) -> dict[str, Any]:
    """The splits of a dataset, of its variant where the name has one, such as `babi:3`."""
    module = dataset(name, schema=schema)
    variant = name[len(base_name(name)) + 1 :]
    return {**(module.load(data_dir, variant) if variant else module.load(data_dir))}


def base_name(dataset: str) -> str:
    """A dataset's name or path without its variant: `babi:3` is a variant of `babi`.

    Example:

    >>> base_name("babi:1,2"), base_name("./my_data.py:small"), base_name("news")
    ('babi', './my_data.py', 'news')
    """
    if is_path(dataset):
        place = dataset.rfind(".py:")
        return dataset[: place + 3] if place >= 0 else dataset
    return dataset.partition(":")[0]


def datasets(schema: str) -> list[str]:
    """The names of the datasets that map what the task maps."""
    return [name for name in _names(DATASETS) if load_file(DATASETS / f"{name}.py").SCHEMA == schema]


def module_name(name: str) -> str:
    """The short name of something found by name or by path: `./ideas/my_model.py` is `my_model`; a variant stays."""
    base = base_name(name)
    return Path(base).stem + name[len(base) :] if is_path(name) else name


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def is_path(name: str) -> bool:
    """Whether it is a file's path and no name of ours."""
    return name.endswith(".py") or ".py:" in name or "/" in name or "\\" in name


def _load(name: str, folder: Path, kind: str, known: Iterable[str] | None = None) -> ModuleType:
    if is_path(name):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"no {kind} at {name}: no such file")
        return load_file(path)
    path = folder / f"{name}.py"
    if name not in _names(folder):
        raise InputError(f"unknown {kind} {name!r}; {did_you_mean(name, _names(folder) if known is None else known)}")
    return load_file(path)


def load_file(path: Path) -> ModuleType:
    """Imports a file by its path, so that one of the same name where the user stands is never taken for it."""
    path = path.resolve()
    inside = path.is_relative_to(SUITE.parent) and path.parent in (TASKS, ARCHITECTURES, DATASETS)
    name = ".".join(path.relative_to(SUITE.parent).with_suffix("").parts) if inside else f"suite_file_{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    return module
