"""The page: whole without network and scripts, nothing of the data becomes HTML, tables and plots say what is so."""

import html.parser
import math
import random
import re
from collections import Counter
from pathlib import Path

import pytest

import leaderboard
from leaderboard import references, report
from leaderboard.report import svg
from suite.cli import app
from suite.task import Result

HOSTILE = (
    """</script></style></title><script>window.hit = 1</script><img src=x onerror="window.hit = 2">'"&amp;{{ 7 * 7 }}"""
)
TAGS = set(
    "html head meta link title style body a header h1 h2 h3 p main div label input select option output section table "
    "caption thead tbody tr th td span svg path line text g details summary ul li figure figcaption footer "
    "script".split()
)
VOID = {"meta", "link", "input", "img", "br", "path", "circle", "line"}


class Page(html.parser.HTMLParser):
    """The page's elements, each with its attributes and the text in it."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.elements.append({"tag": tag, "text": "", **dict(attributes)})

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self._open[-1]["tag"] == tag, f"{tag} ends where {self._open[-1]} is open"
        self._open.pop()

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, tag, **attributes):
        return [e for e in self.elements if e["tag"] == tag and all(e.get(k) == v for k, v in attributes.items())]


def results():
    """Two tasks, three models, three seeds; a ceiling; one model that failed."""
    for task, metric, lower in (("ner", "f1", False), ("generation", "loss", True)):
        for place, model in enumerate(("transformer", "cnn", "majority")):
            for seed in range(3):
                value = 0.9 - 0.2 * place - 0.01 * seed
                yield result(
                    run_id=f"{task}-{model}-{seed}",
                    task=task,
                    dataset="wnut17" if task == "ner" else "poems",
                    model=model,
                    seed=seed,
                    metric=metric,
                    scores={metric: 1 - value if lower else value, "accuracy": 0.5},
                    lower_is_better=frozenset({metric} if lower else ()),
                    params=1000 * (place + 1),
                    train_seconds=10.0 * (3 - place),
                )
    yield result(run_id="ner-ceiling", model="ceiling", scores={"f1": 0.99}, device="")
    yield result(run_id="ner-rnn-0", model="rnn", status="failed", scores={}, note="probe: no leak from the future")


def result(**changes):
    base = {
        "timestamp": "2025-01-31T12:00:00+00:00",
        "suite_version": "0.1.0",
        "task": "ner",
        "task_version": 1,
        "dataset": "wnut17",
        "dataset_hash": "0a",
        "split": "test",
        "config_hash": "0b",
        "seed": 0,
        "metric": "f1",
        "n_examples": 1280,
        "device": "a processor",
    }
    return Result(**{**base, **changes})


def write(path, found):
    for one in found:
        leaderboard.append(path, leaderboard.rows(one))
    return path


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    return write(tmp_path_factory.mktemp("board") / "board.csv", results())


@pytest.fixture
def page(board, tmp_path):
    return Page(make(board, tmp_path))


def make(board, tmp_path, runs=None, **options):
    output = tmp_path / "page" / "report.html"
    return report.page(report.read([board]), references.load(), output=output, runs=runs, **options)


def column(page, caption, name):
    """The cells under a heading of the table with this caption."""
    (place,) = [i for i, e in enumerate(page.elements) if e["tag"] == "caption" and e["text"] == caption]
    rest = page.elements[place:]
    end = next((i for i, e in enumerate(rest[1:], 1) if e["tag"] == "table"), len(rest))
    headings = [e["text"] for e in rest[:end] if e["tag"] == "th" and e.get("scope") == "col"]
    cells = [e["text"] for e in rest[:end] if e["tag"] == "td" or e.get("scope") == "row"]
    return cells[headings.index(name) :: len(headings)]


def test_the_page_needs_nothing_else_and_names_itself(page, board, tmp_path):
    text = make(board, tmp_path, title="Ours & theirs")
    assert len(Page(text).all("title")) >= 1
    assert "<title>Ours &amp; theirs</title>" in text
    assert not [e for e in page.elements if "src" in e or (e["tag"] == "link" and e["href"] != "data:,")]
    assert not re.search(r"@import|url\(", text)
    assert page.elements[0]["lang"] == "en"


def test_ids_are_used_once_and_all_that_is_referred_to_is_there(page):
    ids = Counter(e["id"] for e in page.elements if "id" in e)
    assert max(ids.values()) == 1
    wanted = [e[key] for e in page.elements for key in ("aria-labelledby", "aria-describedby") if key in e]
    wanted += [e["href"][1:] for e in page.all("a") if e["href"].startswith("#")]
    assert set(wanted) <= set(ids)
    assert len(wanted) > 10


def test_every_plot_says_in_words_what_it_shows(page):
    words = {e["id"]: e["text"] for e in page.all("p") if "id" in e}
    drawings = page.all("svg", role="img")
    assert len(drawings) == 6  # two contests; parameters, seconds, seeds
    for drawing in drawings:
        assert "transformer" in words[drawing["aria-describedby"]]


def test_models_stand_in_the_order_of_their_scores_whatever_the_direction(page):
    assert column(page, "models on wnut17, the best first", "model") == ["transformer", "cnn", "ceiling", "majority"]
    assert column(page, "models on poems, the best first", "model") == ["transformer", "cnn", "majority"]
    assert column(page, "models on poems, the best first", "loss") == ["0.1100", "0.3100", "0.5100"]


def test_references_stand_beside_and_say_what_differs(page):
    caption = "published references on wnut17"
    assert column(page, caption, "protocol match") == ["full", "partial", "partial", "full", "full"]
    assert column(page, caption, "metric") == ["f1"] * 3 + ["precision", "recall"]
    assert column(page, caption, "score")[0] == "0.1735"
    assert [bool(cell) for cell in column(page, caption, "what differs")] == [False, True, True, False, False]
    assert "published references on poems" not in [e["text"] for e in page.all("caption")]


def test_a_failed_run_is_listed_with_its_reason_and_ranked_nowhere(page):
    caption = "every run, its configuration, data, code and hardware"
    place = column(page, caption, "run").index("ner-rnn-0")
    assert column(page, caption, "status")[place] == "failed"
    assert column(page, caption, "score")[place] == ""
    assert column(page, caption, "note")[place] == "probe: no leak from the future"
    assert len(column(page, caption, "run")) == 20


def test_a_mean_over_missing_seeds_and_over_different_hardware_is_not_shown(tmp_path):
    found = [
        result(run_id="a0", model="a", scores={"f1": 0.5, "accuracy": 0.5}, train_seconds=1.0, params=7),
        result(run_id="a1", model="a", seed=1, scores={"f1": 0.5}, train_seconds=3.0, device="another", params=7),
        result(run_id="b0", model="b", scores={"f1": 0.4, "accuracy": 0.25}, train_seconds=1.0),
    ]
    page = Page(make(write(tmp_path / "board.csv", found), tmp_path))
    assert column(page, "models on wnut17, the best first", "train s") == ["mixed", "1.0000"]
    assert column(page, "models on wnut17, the best first", "parameters") == ["7", ""]
    other = "other metrics on wnut17, means over seeds"
    assert column(page, other, "a") + column(page, other, "b") == ["", "0.2500"]


def test_scores_of_other_data_or_another_version_of_the_task_are_another_contest(tmp_path):
    found = [result(run_id="1", model="a", scores={"f1": 0.5})]
    found += [result(run_id="2", model="a", scores={"f1": 0.6}, dataset_hash="ff")]
    found += [result(run_id="3", model="a", scores={"f1": 0.7}, task_version=2)]
    page = Page(make(write(tmp_path / "board.csv", found), tmp_path))
    assert [e["id"] for e in page.all("section")] == [
        "contests", "ner-wnut17-f1", "ner-wnut17-f1-2", "ner-wnut17-f1-3", "runs",
    ]  # fmt: skip


def test_links_lead_from_the_page_to_the_runs_that_are_there(board, tmp_path):
    runs = tmp_path / "my runs"
    (runs / "ner-cnn-0").mkdir(parents=True)
    page = Page(make(board, tmp_path, runs=runs))
    links = {e["text"]: e["href"] for e in page.all("a")}
    assert links["ner-cnn-0"] == "./../my%20runs/ner-cnn-0/"
    assert "ner-cnn-1" not in links
    (tmp_path / "page").mkdir()
    assert (tmp_path / "page" / "../my runs/ner-cnn-0/").is_dir()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A board of another program's making: HTML in every text, and thousands of characters."""
    path = tmp_path_factory.mktemp("hostile") / "board.csv"
    names = dict.fromkeys(("model", "dataset", "device", "precision", "backend", "git_commit", "split"), HOSTILE)
    write(path, [result(run_id=f"r{i}", scores={"f1": 0.5 + i / 10}, **names, params=3 + i) for i in range(2)])
    write(path, [result(run_id="r2", scores={"f1": 0.5}, **{**names, "model": "LONG"}, params=5)])
    text = path.read_text("utf8").replace(",r0,", f",javascript:{'long' * 2000},").replace("LONG", "x" * 5000)
    path.write_text(text, "utf8")
    return path


def test_nothing_from_the_data_becomes_html(hostile, tmp_path):
    text = make(hostile, tmp_path, title=HOSTILE, sources=[HOSTILE])
    page = Page(text)
    assert {e["tag"] for e in page.elements} <= TAGS
    assert len(page.all("script")) == 1
    assert not [e for e in page.elements if any(key.startswith("on") for key in e)]
    assert not [e["href"] for e in page.all("a") if not re.match(r"#|\./|https://", e["href"])]
    assert page.all("h1")[0]["text"] == HOSTILE
    assert HOSTILE in column(page, f"models on {HOSTILE}, the best first", "model")[0]
    assert "49" not in page.all("h1")[0]["text"]


def test_nothing_runs_but_the_pages_own_script(hostile, tmp_path):
    page = Page(make(hostile, tmp_path))
    (policy,) = [e["content"] for e in page.all("meta") if e.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("text", ["", "no rows"])
def test_an_empty_board_is_a_page_all_the_same(tmp_path, text):
    path = tmp_path / "empty.csv"
    path.write_text(",".join(leaderboard.COLUMNS) + "\n" if text else "")
    page = Page(make(path, tmp_path))
    assert "0 rows of 0 runs" in [e["text"] for e in page.all("p")]


def test_the_example_is_a_page_like_these():
    text = (Path(__file__).parents[2] / "docs" / "example_report.html").read_text("utf8")
    page = Page(text)
    assert len(text) < 1_500_000
    assert {"contests", "overall", "runs", "ner-news-f1"} <= {e["id"] for e in page.all("section")}
    assert not [e for e in page.elements if "src" in e]


ODD = {
    "Float64": [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e70, -1e70, 5e-324, None],
    "Int64": [None, 0, -1, 2**62, -(2**62)],
    "boolean": [None, True, False],
    "string": [None, "", "<b>&\"'", "x" * 9000, "\x01\x1b", "\u202e", "😀", "..", "{{ 7 * 7 }}", "ceiling", "majority"],
}


@pytest.mark.parametrize("seed", range(40))
def test_whatever_stands_in_the_cells_the_page_is_whole(board, tmp_path, seed):
    table, dice = report.read([board]), random.Random(seed)
    for _ in range(dice.randint(1, 60)):
        column = dice.choice(list(table.columns))
        table.loc[dice.randrange(len(table)), column] = dice.choice(ODD[str(table[column].dtype)])
    page = Page(report.page(table, references.load(), output=tmp_path / "report.html", runs=tmp_path))
    places = " ".join(e[key] for e in page.elements for key in ("d", "x", "y", "x1", "y1", "y2", "data-v") if key in e)
    assert not re.search("nan|inf|None", places)
    assert {e["tag"] for e in page.elements} <= TAGS


def test_a_row_that_stands_in_two_boards_counts_once(board):
    assert len(report.read([board, board])) == len(report.read([board]))


def test_boards_that_contradict_each_other_are_told_and_the_run_is_left_out(board, tmp_path):
    text = board.read_text("utf8")
    assert ",f1,0.9," in text
    (tmp_path / "other.csv").write_text(text.replace(",f1,0.9,", ",f1,0.8,", 1), "utf8")
    both = report.read([board, tmp_path / "other.csv"])
    assert len(both) == len(report.read([board])) + 1
    page = Page(report.page(both, references.load(), output=tmp_path / "report.html"))
    assert any(
        "ner-transformer-0" in e["text"] and "left out" in e["text"] for e in page.all("p", **{"class": "quiet"})
    )
    assert column(page, "models on wnut17, the best first", "seeds")[0] == "2"


def test_of_very_many_runs_the_newest_are_listed_and_it_says_so(board, tmp_path, monkeypatch):
    monkeypatch.setattr(report.view.provenance, "RUNS", 5)
    page = Page(make(board, tmp_path))
    assert len(column(page, "every run, its configuration, data, code and hardware", "run")) == 5
    assert any("The newest 5 of 20 are shown." in e["text"] for e in page.all("p"))


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        (0.5, 3e6, ["1", "10", "100", "1k", "10k", "100k", "1M"]),
        (90, 1200, ["100", "200", "500", "1k"]),
        (230, 290, ["240", "260", "280"]),
        (1e-9, 1e9, ["1e-09", "1e-06", "0.001", "1", "1k", "1M", "1G"]),
    ],
)
def test_an_axis_that_grows_by_factors_has_a_few_round_ticks(low, high, names):
    assert svg.powers(low, high).names == names


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e-12, 1e12])
def test_a_single_score_can_be_drawn(tmp_path, value):
    found = [result(run_id="r", model="a", metric="loss", scores={"loss": value}, params=1, train_seconds=1e-9)]
    page = Page(make(write(tmp_path / "board.csv", found), tmp_path))
    numbers = re.findall(r"-?\d+\.?\d*", " ".join(e["d"] for e in page.all("path", **{"class": "mark"})))
    assert len(numbers) > 6
    assert "nan" not in " ".join(e.get("d", "") for e in page.elements)


def test_plots_are_written_as_png_and_svg(board, hostile, tmp_path):
    written = report.plots(report.read([board, hostile]), tmp_path / "plots")
    assert len(written) == len(set(written)) == 2 * (6 + 2)
    assert {path.parent for path in written} == {tmp_path / "plots"}
    for path in written:
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG" if path.suffix == ".png" else b"<?xml")
    drawn = (tmp_path / "plots" / "ner-wnut17-f1-params.svg").read_text("utf8")
    assert "transformer" in drawn
    assert "mathdefault" not in drawn


def test_the_command_writes_page_and_plots(board, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("report", str(board), "--output", "out/report.html", "--title", "Mine") == 0
    assert "<h1>Mine</h1>" in (tmp_path / "out" / "report.html").read_text("utf8")


@pytest.mark.parametrize("arguments", [["gone.csv"], ["."], []])
def test_the_command_refuses_what_is_no_board(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    assert run("report", *arguments) == 2
    assert "cannot read the leaderboard" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_the_command_refuses_a_folder_as_a_page(board, tmp_path, capsys):
    assert run("report", str(board), "--output", str(tmp_path)) == 2
    assert "is a folder" in capsys.readouterr().err


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        app(list(arguments))
    return end.value.code or 0
