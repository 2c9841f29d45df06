"""What went wrong, as a message on standard error and an exit code."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

import typer

from suite.errors import InputError, RunError


@contextlib.contextmanager
def failing(*, debug: bool) -> Iterator[None]:
    """Turns what went wrong into a message on standard error and an exit code."""
    try:
        yield
    except InputError as error:
        _fail(error, 2, debug=debug)
    except RunError as error:
        _fail(error, 1, debug=debug)
    except KeyboardInterrupt:
        typer.echo("interrupted: what was reached is kept; the same command with --resume continues", err=True)
        raise typer.Exit(130) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if not debug:
            typer.echo("this is a fault of the program; --debug shows where it happened", err=True)
        _fail(error, 1, debug=debug)


def _fail(error: Exception, code: int, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    kind = "" if isinstance(error, InputError | RunError) else f"{type(error).__name__}: "
    typer.echo(f"error: {kind}{error}", err=True)
    raise typer.Exit(code) from None
