"""`compare`: did a change make models better or worse?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from suite.commands.failing import failing
from suite.commands.uncollected import uncollected

if TYPE_CHECKING:
    from leaderboard.comparing import Change, Comparison
    from leaderboard.pairs import Pair


def compare(
    before: Annotated[Path, typer.Argument(metavar="A.csv", help="The leaderboard before the change.")],
    after: Annotated[Path, typer.Argument(metavar="B.csv", help="The leaderboard after it.")],
    threshold: Annotated[
        float, typer.Option(help="The smallest loss that counts as worse, in the metric's unit.", min=0)
    ] = 0.0,
    runs: Annotated[
        list[Path] | None, typer.Option(help="A folder with runs' directories; repeatable. Default: runs.")
    ] = None,
    format_: Annotated[
        Literal["table", "markdown", "json"], typer.Option("--format", help="How the result is written.")
    ] = "table",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Compare two leaderboards: which differences are real, and what else is different.

    Exit code 0: nothing is really worse. 1: something is. 2: the files cannot be used, or nothing can be compared.
    """
    with failing(debug=debug), uncollected():
        import leaderboard
        from leaderboard import layout
        from leaderboard.contests import records

        boards = [leaderboard.read_csv(path) for path in (before, after)]
        found = leaderboard.compare(*boards, runs=runs or [Path("runs")], threshold=threshold)
        for problem in found.problems:
            typer.echo(f"warning: {problem}", err=True)
        if format_ == "json":
            typer.echo(layout.as_json(records(found.table())))
        else:
            typer.echo(_text(found, markdown=format_ == "markdown"))
        if not any(change.pair for change in found.changes):
            typer.echo("error: nothing can be compared", err=True)
            raise typer.Exit(2)
        if found.worse:
            raise typer.Exit(1)


def _text(found: Comparison, *, markdown: bool) -> str:
    from leaderboard import layout

    write = layout.markdown if markdown else layout.table
    compared = [_row(change, change.pair) for change in found.changes if change.pair is not None]
    headings = ["verdict", "task", "dataset", "model", "metric", "before", "after", "difference", "95 % interval", "p"]
    headings += ["seeds", "speed"]
    parts = [write(layout.Sheet(_headline(found), headings, compared, _remarks(found), words=5))]
    others = [
        [change.verdict, change.task, change.dataset, change.model, change.reason]
        for change in found.changes
        if change.pair is None
    ]
    if others:
        notes = [
            f"{change.verdict}, {change.task} on {change.dataset}, {change.model}: {change.reason}"
            for change in found.changes
            if change.pair is None and len(change.reason) > layout.WIDEST
        ]
        sheet = layout.Sheet("Not compared", ["verdict", "task", "dataset", "model", "reason"], others, notes, words=5)
        parts.append(write(sheet))
    return "\n\n".join(parts)


def _headline(found: Comparison) -> str:
    counts: dict[str, int] = {}
    for change in found.compared:
        counts[change.verdict] = counts.get(change.verdict, 0) + 1
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "nothing to compare"
    return f"After less before: {told}"


def _row(change: Change, pair: Pair) -> list[str]:
    from leaderboard import layout

    return [
        change.verdict,
        change.task,
        change.dataset,
        change.model,
        change.metric + ("" if change.higher_is_better else " ↓"),
        layout.number(change.before),
        layout.number(change.after),
        f"{pair.difference:+.4f}",
        layout.between(pair.low, pair.high),
        layout.number(change.p_holm, 3),
        str(len(change.seeds)) if change.seeds else "none shared",
        "" if change.speed is None else f"x {change.speed:.2f}",
    ]


def _remarks(found: Comparison) -> list[str]:
    """What weakens a verdict, and what else is different; said once for all models of which it is true."""
    said: dict[str, list[str]] = {}
    for change in found.compared:
        name = f"{change.model} ({change.task} on {change.dataset})"
        certainty = change.pair.certainty if change.pair else ""
        for text in (f"certain of {certainty}" if certainty else "", change.reason, *change.differs):
            if text:
                said.setdefault(text, []).append(name)
    total = len(found.compared)
    return [
        f"{text} [{'all' if len(names) == total else '; '.join(names[:4]) + (' ...' if len(names) > 4 else '')}]"
        for text, names in said.items()
    ]
