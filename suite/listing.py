"""What there is: tasks, models, datasets. Imports no deep-learning framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite import find


def collect(data_dir: Path | None = None) -> dict[str, Any]:
    """Tasks with their models and datasets, as plain values.

    Args:
        data_dir: where to look for datasets' files.
    """
    return {
        "tasks": [
            {
                "name": name,
                "maps": task.schema,
                "metric": task.metric,
                "higher_is_better": task.higher_is_better,
                "models": find.models(task),
                "datasets": [_dataset(dataset, task.schema, data_dir) for dataset in find.datasets(task.schema)],
            }
            for name in find.tasks()
            for task in [find.task(name)]
        ]
    }


def _dataset(name: str, schema: str, data_dir: Path | None) -> dict[str, Any]:
    module = find.dataset(name, schema=schema)
    return {
        "name": name,
        "description": module.DESCRIPTION,
        "examples": dict(module.SIZES),
        "licence": module.LICENCE,
        "origin": module.ORIGIN,
        "variants": getattr(module, "VARIANTS", ""),
        "available_offline": bool(module.available(data_dir)),
    }


def as_text(found: dict[str, Any]) -> str:
    """The same for people to read."""
    lines = []
    for task in found["tasks"]:
        arrow = "higher is better" if task["higher_is_better"] else "lower is better"
        lines += [
            f"{task['name']}  ({task['maps']}; {task['metric']}, {arrow})",
            f"  models    {', '.join(task['models'])}",
        ]
        for position, dataset in enumerate(task["datasets"]):
            sizes = ", ".join(f"{split} {size:,}" for split, size in dataset["examples"].items())
            offline = "available offline" if dataset["available_offline"] else "to be fetched"
            lines += [
                f"  {'datasets' if position == 0 else '':9} {dataset['name']}: {dataset['description']}",
                f"            {sizes}; {dataset['licence']}; {offline}",
                *([f"            {dataset['name']}:... {dataset['variants']}"] if dataset["variants"] else []),
            ]
    return "\n".join(lines)
