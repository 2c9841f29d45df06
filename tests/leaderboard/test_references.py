import pytest

from leaderboard import references
from suite.errors import InputError

HEADER = "task,dataset,metric,system,value,source,year,protocol_match,reason\n"
ROW = "ner,wnut17,f1,a system,0.25,a paper,2017,partial,more data\n"


def write(tmp_path, text):
    path = tmp_path / "references.csv"
    path.write_text(text, "utf8")
    return path


def test_what_is_shipped_is_read_and_has_the_types_it_promises():
    table = references.load()
    assert len(table) > 90
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == references.DTYPES
    assert set(table.protocol_match) == set(references.MATCHES)


def test_what_is_shipped_agrees_with_itself():
    table = references.load().set_index(["dataset", "metric", "system"]).value
    wnut17 = table["wnut17"]
    precision, recall = (
        wnut17.filter(like="spaCy").xs(name, level="metric").iloc[0] for name in ("precision", "recall")
    )
    f1 = wnut17.filter(like="spaCy").xs("f1", level="metric").iloc[0]
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-4)
    babi = references.load().query("dataset == 'babi'")
    single = babi[babi.metric.str.startswith("accuracy/qa")]
    assert (single.groupby("system").size() == 20).all()
    assert single[single.system.str.startswith("LSTM")].value.mean() == pytest.approx(0.487, abs=0.006)


def test_a_reference_that_does_not_match_in_full_says_why():
    table = references.load()
    assert (table.reason.str.len()[table.protocol_match != "full"] > 10).all()


def test_an_empty_year_is_no_number(tmp_path):
    table = references.load(write(tmp_path, HEADER + ROW.replace("2017", "")))
    assert table.year.isna().all()
    assert table.value.tolist() == [0.25]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (ROW.replace("0.25", "25"), "line 2: f1 is a fraction"),
        (ROW.replace("f1", "accuracy/qa1").replace("0.25", "-0.1"), "accuracy/qa1 is a fraction"),
        (ROW.replace("0.25", "nan"), "finite value. Received: 'nan'"),
        (ROW.replace("0.25", "many"), "finite value. Received: 'many'"),
        (ROW.replace("a system", " "), "system must not be empty"),
        (ROW.replace("2017", "17"), "year of four digits"),
        (ROW.replace("partial", "maybe"), "protocol_match is full, partial, none. Received: 'maybe'"),
        (ROW.replace("more data", ""), "needs a reason"),
        (ROW.replace(",more data", ""), "expected 9 cells"),
        (ROW.replace("more data", "more data,and more"), "expected 9 cells"),
        (ROW + ROW.replace("0.25", "0.26"), "line 3: 'a system' has a value already"),
    ],
)
def test_a_faulty_row_is_refused_with_its_line(tmp_path, row, fault):
    with pytest.raises(InputError, match=fault):
        references.load(write(tmp_path, HEADER + row))


@pytest.mark.parametrize("text", ["", "run_id,value\n", ROW])
def test_another_header_is_refused(tmp_path, text):
    with pytest.raises(InputError, match="line 1: expected the columns task, dataset"):
        references.load(write(tmp_path, text))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.csv: cannot read"):
        references.load(tmp_path / "gone.csv")


def test_a_bleu_may_be_above_one(tmp_path):
    table = references.load(write(tmp_path, HEADER + ROW.replace("f1", "bleu").replace("0.25", "41.02")))
    assert table.value.tolist() == [41.02]
