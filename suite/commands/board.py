"""`board`: who is best, and which differences are real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from suite.commands.failing import failing
from suite.commands.uncollected import uncollected

if TYPE_CHECKING:
    from leaderboard.layout import Sheet
    from leaderboard.standings import Result, Study


def board(
    boards: Annotated[
        list[Path] | None, typer.Argument(metavar="[CSV]...", help="Leaderboards. Default: leaderboard/results.csv.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only this task; repeatable.")] = None,
    metric: Annotated[str | None, typer.Option(help="Another metric than each task's primary one.")] = None,
    by: Annotated[
        Literal["seed", "dataset", "backend"] | None,
        typer.Option(help="Each seed's score, a column for each dataset, or backends apart."),
    ] = None,
    slices: Annotated[
        bool, typer.Option("--slices", help="Scores on parts of the test set, where outcomes tell them apart.")
    ] = False,
    runs: Annotated[
        list[Path] | None, typer.Option(help="A folder with runs' directories; repeatable. Default: runs.")
    ] = None,
    format_: Annotated[
        Literal["table", "csv", "markdown", "latex", "json"],
        typer.Option("--format", help="How the tables are written."),
    ] = "table",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Show who is best on each task and dataset, with intervals, and which models no test separates."""
    with failing(debug=debug), uncollected():
        import leaderboard
        from leaderboard import layout
        from leaderboard.contests import records
        from suite.errors import InputError, did_you_mean

        table = leaderboard.merge([leaderboard.read_csv(path) for path in boards or [Path("leaderboard/results.csv")]])
        for conflict in table.attrs["conflicts"]:
            typer.echo(f"warning: {conflict}", err=True)
        tasks = set(table["task"])
        for name in task or ():
            if name not in tasks:
                raise InputError(f"no row of task {name!r}; {did_you_mean(name, tasks)}")
        if task:
            table = table[table["task"].isin(task)]
        if metric is not None and metric not in set(table["metric"]):
            raise InputError(f"no row of metric {metric!r}; {did_you_mean(metric, set(table['metric']))}")
        folders = runs or [Path("runs")]
        study = leaderboard.study(table, runs=folders, metric=metric, by=["backend"] if by == "backend" else [])
        for problem in study.problems:
            typer.echo(f"warning: {problem}", err=True)
        if not study.results:
            typer.echo("no scores yet", err=True)
        if format_ == "csv":
            rows = _seeds(study) if by == "seed" else records(study.summary)
            typer.echo(layout.as_csv(_slices(study, folders) if slices else rows), nl=False)
        elif format_ == "json":
            found: dict[str, Any] = {
                "summary": records(study.summary),
                "pairs": records(study.pairs),
                "overall": records(study.overall),
                "overall_note": study.overall_note,
                "problems": list(study.problems),
            }
            found |= {"seeds": _seeds(study)} if by == "seed" else {}
            found |= {"slices": _slices(study, folders)} if slices else {}
            typer.echo(layout.as_json(found))
        else:
            write = {"table": layout.table, "markdown": layout.markdown, "latex": layout.latex}[format_]
            sheets = _sheets(study, by, folders if slices else None)
            typer.echo("\n\n".join(write(sheet) for sheet in sheets))


def _sheets(study: Study, by: str | None, slices: list[Path] | None) -> list[Sheet]:
    from leaderboard import layout, references

    if by == "dataset":
        return _datasets(study)
    published = references.load()
    sheets = []
    for result in study.results:
        sheets.append(_by_seed(result) if by == "seed" else _contest(result))
        contest = result.contest
        known = published[
            (published["task"] == contest.task)
            & (published["dataset"] == contest.dataset)
            & (published["metric"] == contest.metric)
        ]
        if len(known):
            rows = [
                [row.system, layout.number(row.value), row.protocol_match, row.reason, row.source]
                for row in known.itertuples()
            ]
            title = f"Published, not ranked: {contest.task} on {contest.dataset}"
            sheets.append(layout.Sheet(title, ["system", contest.metric, "protocol", "reason", "source"], rows))
        if slices is not None:
            sheets += _slice_sheets(result, slices)
    if len(study.overall) and by is None:
        rows = [
            [str(row.place), row.model, f"{row.mean_rank:.2f}", layout.between(row.low, row.high, 2)]
            for row in study.overall.itertuples()
        ]
        headings = ["", "model", "mean rank", "95 % interval"]
        sheets.append(layout.Sheet("Overall", headings, rows, [study.overall_note], words=2))
    return sheets


def _contest(result: Result) -> Sheet:
    from leaderboard import layout

    rows = []
    floors = [each.mean for each in result.standings if each.entry.model == "majority" and each.mean is not None]
    for each in result.standings:
        entry = each.entry
        rows.append(
            [
                "" if each.rank is None else str(each.rank),
                each.ties,
                entry.label,
                layout.number(each.mean) or ", ".join(dict.fromkeys(row["status"] for row in entry.rows)),
                layout.between(each.low, each.high),
                str(len(entry.rows)) if entry.model != "ceiling" else "",
                "" if not floors or each.mean is None else f"{each.mean - floors[0]:+.4f}",
                layout.number(entry.cost("params"), 0),
                layout.number(entry.cost("train_seconds"), 1),
                layout.number(entry.cost("examples_per_second"), 0),
            ]
        )
    headings = ["rank", "ties", "model", result.contest.metric, "95 % interval", "seeds", "over floor"]
    headings += ["parameters", "train s", "examples/s"]
    examples = result.contest.entries[0].rows[0]["n_examples"]
    title = f"{result.contest.title} ({layout.number(examples, 0)} examples)"
    return layout.Sheet(title, headings, rows, _notes(result), words=3)


def _notes(result: Result) -> list[str]:
    """What a reader should know: neighbours that nothing separates and why, missing seeds, slow comparisons."""
    from leaderboard.layout import short

    notes = []
    names = [short(each.entry.label) for each in result.standings]
    for (one, two), (pair, real, raised) in result.pairs.items():
        if two != one + 1 or real:
            continue
        if real is None:
            why = "one seed and no outcomes" if pair.single else "no outcomes, and seeds change nothing"
            notes.append(f"{names[one]} and {names[two]}: cannot tell ({why})")
        else:
            told = [f"{pair.difference:+.4f}, p {raised:.2f}", pair.certainty]
            if len(result.standings) <= 10:
                told.append(pair.needed(result.contest.entries[0].rows[0]["n_examples"]))
            notes.append(f"{names[one]} and {names[two]}: not separated ({'; '.join(filter(None, told))})")
    single = [each.entry.label for each in result.standings if each.rank is not None and each.entry.runs.seeds == 1]
    if single:
        notes.append(f"one seed ({_some(single)}): tests say that these runs differ, not that other seeds would")
    if blind := [each.entry.label for each in result.standings if each.rank is not None and not each.entry.parts]:
        notes.append(f"seeds only ({_some(blind)}): no outcomes found, so other test examples are not reckoned with")
    for each in result.standings:
        if missing := [f"seed {row['seed']} {row['status']}" for row in each.entry.rows if row["status"] != "ok"]:
            notes.append(f"{short(each.entry.label)}: {', '.join(missing)}; no mean over holes")
    if len({row["device"] for each in result.standings for row in each.entry.rows if row["device"]}) > 1:
        notes.append("several devices: seconds and speeds do not compare")
    return notes


def _some(names: list[str]) -> str:
    from leaderboard.layout import short

    return ", ".join(map(short, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _seeds(study: Study) -> list[dict[str, Any]]:
    from leaderboard.contests import SAME

    return [
        {**dict(zip(SAME, result.contest.key, strict=True)), "label": each.entry.label}
        | {name: row[name] for name in ("seed", "status", "value", "train_seconds", "device", "run_id")}
        for result in study.results
        for each in result.standings
        for row in each.entry.rows
    ]


def _by_seed(result: Result) -> Sheet:
    from leaderboard import layout

    seeds = sorted({row["seed"] for each in result.standings for row in each.entry.rows}, key=str)
    rows = []
    for each in result.standings:
        mine = {row["seed"]: layout.number(row["value"]) or row["status"] for row in each.entry.rows}
        rows.append([each.entry.label, *(mine.get(seed, "") for seed in seeds), layout.number(each.mean)])
    return layout.Sheet(result.contest.title, ["model", *(f"seed {seed}" for seed in seeds), "mean"], rows)


def _datasets(study: Study) -> list[Sheet]:
    """One table a task; nothing is averaged over datasets."""
    from leaderboard import layout

    tasks: dict[tuple[str, str], list[Result]] = {}
    for result in study.results:
        tasks.setdefault((result.contest.task, result.contest.metric), []).append(result)
    sheets = []
    for (task, metric), results in tasks.items():
        labels = dict.fromkeys(each.entry.label for result in results for each in result.standings)
        cells = [
            {
                each.entry.label: f"{layout.number(each.mean)} {each.ties}".strip() or each.entry.rows[0]["status"]
                for each in result.standings
            }
            for result in results
        ]
        rows = [[label, *(some.get(label, "") for some in cells)] for label in labels]
        sheets.append(
            layout.Sheet(f"{task}: {metric}", ["model", *(result.contest.dataset for result in results)], rows)
        )
    return sheets


def _slices(study: Study, folders: list[Path]) -> list[dict[str, Any]]:
    from leaderboard import slices
    from leaderboard.contests import SAME

    return [
        {**dict(zip(SAME, result.contest.key, strict=True)), "feature": part.feature, "part": part.part}
        | {"examples": part.examples, "label": label, "score": gap.score, "best": part.best}
        | {"behind": gap.behind, "low": gap.low, "high": gap.high}
        for result in study.results
        for part in slices.of(result.contest, folders)
        for label, gap in part.gaps.items()
    ]


def _slice_sheets(result: Result, folders: list[Path]) -> list[Sheet]:
    from leaderboard import layout, slices

    found = slices.of(result.contest, folders)
    if not found:
        return []
    labels = list(dict.fromkeys(label for part in found for label in part.gaps))
    rows = []
    for part in found:
        cells = []
        for label in labels:
            gap = part.gaps.get(label)
            clear = gap is not None and (gap.low > 0 or gap.high < 0)
            cells.append("" if gap is None else layout.number(gap.score) + ("*" if clear else ""))
        rows.append([part.feature, part.part, str(part.examples), *cells])
    notes = [
        f"* differs from {layout.short(found[0].best)}, the best on the whole; not corrected for the number of parts"
    ]
    return [layout.Sheet(f"Parts of {result.contest.title}", ["by", "part", "examples", *labels], rows, notes, words=2)]
