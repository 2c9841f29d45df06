"""What a person reads at the end of a command: one table of results, or the plan of a dry run."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from suite import find, fitting, flops
from suite.config import RunConfig
from suite.preparing import Prepared
from suite.profile import PARTS
from suite.task import Result

FLOOR = "majority"


def show_json(results: Sequence[Result], *, files: Sequence[str]) -> None:
    """Prints the results to standard output as JSON, with the files that were written."""
    print_json({"results": [_plain(result) for result in results], "files": list(files)})


def show(results: Sequence[Result], ceiling: Result | None, *, files: Sequence[str]) -> None:
    """Prints the results to standard output: one line a model.

    Args:
        results: one a model and seed.
        ceiling: the best possible result, where it is known.
        files: what was written, to be listed below the table.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # a file has no width; the table's own is about this
    console.print(_table(results, ceiling))
    for result in results:
        if result.status != "ok":
            console.print(f"{result.model} seed {result.seed} {result.status}: {result.note}", markup=False)
    for file in files:
        console.print(file, markup=False, highlight=False, soft_wrap=True)


def show_profiles(profiles: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Prints to standard output where each model's seconds went, one line a part, the mean over seeds.

    Args:
        profiles: model -> what the `profile.json` of its runs holds; also what came before all models.
    """
    table = Table("part", title="seconds", title_justify="left")
    for model in profiles:
        table.add_column(model, justify="right")
    for part in PARTS:
        means = [statistics.fmean(one["parts"].get(part, 0.0) for one in runs) for runs in profiles.values()]
        if any(means):
            table.add_row(part, *[f"{seconds:,.2f}" if seconds else "" for seconds in means])
    table.add_section()
    totals = [statistics.fmean(one["seconds"] for one in runs) for runs in profiles.values()]
    table.add_row("all", *[f"{seconds:,.2f}" for seconds in totals])
    Console().print(table)


def show_plan(configs: Sequence[RunConfig], prepared: Prepared, *, as_json: bool) -> None:
    """Prints each model's resolved configuration, layers, number of parameters, and operations of a forward pass.

    Args:
        configs: what would be run; each model is shown for its first seed.
        prepared: the data, which decides the sizes of vocabularies.
        as_json: as JSON.
    """
    plans: list[dict[str, Any]] = []
    for config in {config.model: config for config in reversed(configs)}.values():
        plan: dict[str, Any] = {"model": find.module_name(config.model), "config": config.model_dump(mode="json")}
        if config.model not in prepared.task.baselines:
            model = fitting.build(config, prepared)
            plan["layers"] = [
                {"name": layer.name, "type": type(layer).__name__, "params": layer.count_params()}
                for layer in model.layers
            ]
            plan["params"] = model.count_params()
            plan["flops_per_example"] = flops.per_example(model, prepared.test, prepared.spec)
        plans.insert(0, plan)
    if as_json:
        print_json(plans)
        return
    console = Console()
    for plan in plans:
        console.rule(plan["model"])
        console.print_json(json.dumps(plan["config"]))
        if "layers" not in plan:
            console.print("no neural network: its parameters are counted when it has been fitted")
            continue
        table = Table("layer", "type")
        table.add_column("parameters", justify="right")
        for layer in plan["layers"]:
            table.add_row(layer["name"], layer["type"], f"{layer['params']:,}")
        table.add_section()
        table.add_row("all", "", f"{plan['params']:,}")
        console.print(table)
        if plan["flops_per_example"] is not None:
            console.print(f"{plan['flops_per_example']:,.0f} FLOPs forward, for a test example of mean length")


def print_json(value: Any) -> None:
    """Prints JSON to standard output, plain, so that other programs can read it."""
    Console(soft_wrap=True, highlight=False, markup=False).print(json.dumps(value, indent=2, ensure_ascii=False))


def _plain(result: Result) -> dict[str, Any]:
    return {**dataclasses.asdict(result), "lower_is_better": sorted(result.lower_is_better)}


def _table(results: Sequence[Result], ceiling: Result | None) -> Table:
    metric = results[0].metric
    higher = metric not in results[0].lower_is_better
    first = results[0]
    table = Table(title=f"{first.task} on {first.dataset}, test, {first.n_examples:,} examples", title_justify="left")
    table.add_column("model")
    for heading in (f"{metric} {'↑' if higher else '↓'}", "over floor", "parameters", "train s", "examples/s"):
        table.add_column(heading, justify="right")
    groups = {model: [r for r in results if r.model == model] for model in dict.fromkeys(r.model for r in results)}
    floor = _mean([result.scores.get(metric) for result in groups.get(FLOOR, [])])
    for model, group in groups.items():
        scores = [result.scores.get(metric) for result in group]
        score = _mean(scores)
        table.add_row(
            model,
            _score(scores) if score is not None else group[0].status,
            "" if floor is None or score is None or model == FLOOR else f"{score - floor:+.4f}",
            _number(_mean([result.params for result in group])),
            _number(_mean([result.train_seconds for result in group]), digits=1),
            _number(_mean([result.examples_per_second for result in group])),
        )
    if ceiling is not None:
        table.add_section()
        best = ceiling.scores[metric]
        table.add_row("ceiling", f"{best:.4f}", "" if floor is None else f"{best - floor:+.4f}", "", "", "")
    return table


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; nothing where any value is missing, for a mean over holes compares unlike things."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def _score(scores: Sequence[float | None]) -> str:
    known = [score for score in scores if score is not None]
    spread = f" ± {statistics.stdev(known):.4f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.4f}{spread}"


def _number(value: float | None, *, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
