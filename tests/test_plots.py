"""What is measured of growth, and the pictures of it and of all ratios."""

import pandas as pd
import pytest

from benchmarks import growth, plots
from tests.test_benchmarks import Here


@pytest.fixture(scope="module")
def table():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "Worker", Here)
        return pd.DataFrame(growth.run(backend="here", repeats=1, threads=1, quick=True))


def test_every_point_has_a_row(table):
    points = [(curve.axis, curve.what, value) for curve in growth.QUICK for value in curve.values]
    assert list(table[["axis", "what", "value"]].itertuples(index=False, name=None)) == points
    assert (table[["seconds", "peak_mib"]] > 0).all(axis=None)
    assert table["hardware"].notna().all()
    slopes = table.groupby(["axis", "what"])[["time_exponent", "memory_exponent"]]
    assert (slopes.nunique() == 1).all(axis=None)


def test_a_picture_shows_each_curve(table):
    figure = plots.growth(table)
    shown = {text.get_text() for place in figure.axes for text in place.get_legend().get_texts()}
    assert shown == {*table["what"], "slope 1"}


def test_a_picture_compares_all_peers_with_ours_in_each_case():
    rows = [
        {"benchmark": "rnn_step", "cell": cell, "peer": peer, "ratio": ratio}
        for cell in ("LSTM", "GRU")
        for peer, ratio in (("suite", 1.0), ("keras", 1.5), ("torch", 0.5))
    ]
    (axes,) = plots.ratios({"rnn_step-here": pd.DataFrame(rows)}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "rnn_step-here: cell LSTM",
        "rnn_step-here: cell GRU",
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["keras", "torch", "wanted"]
