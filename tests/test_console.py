"""What a person sees while a model trains: one line that says how fast it goes, whatever the terminal's width."""

import io
import re

import pytest
from rich.console import Console

from suite.console import LiveReporter, PlainReporter


def train(reporter):
    """The last step of a long run, and its end."""
    with reporter:
        reporter.start("transformer seed 0", "accuracy")
        for epoch in (11, 12):
            reporter.epoch(epoch, 12, 250)
            reporter.speed(1144.6, 0.02796)
            reporter.step(200, 0.1234)
            if epoch == 11:
                reporter.epoch_end(11, 0.1234, 0.8123, best=True)
                reporter.shown = -1.0


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_live_line_has_speed_and_score_and_fits(width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    train(LiveReporter(console))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    last = re.split(r"[\r\n]+", shown.strip())[-1]
    assert "accuracy 0.8123* 1,145 ex/s 28 ms" in last
    assert "12/12" in last
    assert "200/250" in last
    assert "…" not in last
    assert len(last) <= width


def test_a_plain_line_says_the_speed_of_its_epoch():
    console = Console(file=io.StringIO())
    reporter = PlainReporter(console)
    train(reporter)
    (line,) = [line for line in console.file.getvalue().splitlines() if "epoch" in line]
    assert "validation accuracy 0.8123 (best)  1,145 ex/s 28 ms  " in line
    assert len(line) <= 120
    reporter.start("cnn seed 0", "accuracy")
    reporter.epoch(1, 12, 1)
    reporter.epoch_end(1, 0.1, 0.8, best=False)  # its only step compiled: there is no speed to tell
    assert "ex/s" not in console.file.getvalue().splitlines()[-1]
