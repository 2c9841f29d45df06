import pytest

from leaderboard import plots


def row(model="transformer", seed=0, value=0.5, **changes):
    base = {"run_id": f"{model}-{seed}", "model": model, "params": 100, "train_seconds": 2.0, "device": "cpu"}
    return {**base, "seed": seed, "value": value, **changes}


def of(rows, **options):
    models = {}
    for one in rows:
        models.setdefault(one["model"], []).append(one)
    return plots.of(models, **{"metric": "f1", "higher_is_better": True, **options})


def plot(name, rows, **options):
    return next(found for found in of(rows, **options) if found.name == name)


@pytest.mark.parametrize(
    ("points", "higher", "front"),
    [
        ([(1, 1), (2, 2), (3, 1.5), (4, 2)], True, [(1, 1), (2, 2)]),
        ([(1, 1), (2, 2), (3, 0.5), (4, 0.5)], False, [(1, 1), (3, 0.5)]),
        ([(2, 5), (2, 7)], True, [(2, 7)]),
        ([(2, 5), (2, 7)], False, [(2, 5)]),
        ([], True, []),
    ],
)
def test_the_front_is_what_nothing_beats(points, higher, front):
    assert plots.front(points, higher_is_better=higher) == front


def test_a_cost_plot_shows_means_and_the_range_of_seeds():
    found = plot("params", [row(value=0.5), row(seed=1, value=0.7), row("cnn", value=0.4, params=300)])
    by_name = {series.name: series.points for series in found.series}
    assert by_name["transformer"] == (plots.Point(100, pytest.approx(0.6), 0.5, 0.7),)
    assert found.front == ((100, pytest.approx(0.6)),)
    assert found.log
    assert "cnn: 0.4000 at 300" in found.text
    assert "None is both better and cheaper than transformer." in found.text


@pytest.mark.parametrize("cost", [None, 0, float("nan"), float("inf")])
def test_a_model_without_a_cost_is_left_out_and_named(cost):
    found = plot("params", [row(), row("cnn", params=cost)])
    assert [series.name for series in found.series] == ["transformer"]
    assert "Without a figure: cnn." in found.text


def test_one_seed_without_a_cost_leaves_no_mean_over_the_others():
    assert [p.name for p in of([row(), row(seed=1, params=None)])] == ["seconds-cpu", "seeds"]


def test_times_of_different_hardware_never_share_a_plot():
    rows = [row(), row("cnn", train_seconds=9.0), row(seed=1, device="gpu", train_seconds=0.1)]
    names = {p.name: [s.name for s in p.series] for p in of(rows)}
    assert names["seconds-cpu"] == ["transformer", "cnn"]
    assert names["seconds-gpu"] == ["transformer"]
    assert plot("seconds-gpu", rows).series[0].points[0].x == 0.1


def test_ceiling_and_floor_are_drawn_only_near_the_points():
    levels = {"ceiling": 0.82, "majority": 0.1}
    found = plot("params", [row(value=0.8), row("cnn", value=0.7)], levels=levels)
    assert plots.levels_within(found) == {"ceiling": 0.82}
    assert "Majority: 0.1000" in found.text


def test_every_seed_is_a_point_beside_the_mean_with_its_interval():
    found = plot(
        "seeds", [row(value=v, seed=s) for s, v in enumerate((0.5, 0.6, 0.7))], intervals={"transformer": (0.4, 0.8)}
    )
    mean, *seeds = found.series[0].points
    assert (mean.y, mean.low, mean.high) == (pytest.approx(0.6), 0.4, 0.8)
    assert [point.y for point in seeds] == [0.5, 0.6, 0.7]
    assert len({point.x for point in seeds}) == 3
    assert "transformer: 3 seeds from 0.5000 to 0.7000, interval 0.4000 to 0.8000" in found.text


@pytest.mark.parametrize(("higher", "best"), [(True, "model39"), (False, "model0")])
def test_of_many_models_the_best_are_shown(higher, best):
    found = plot("seeds", [row(f"model{i}", value=i / 100) for i in range(40)], higher_is_better=higher)
    assert found.names[0] == best
    assert len(found.series) == plots.MODELS
    assert "12 more" in found.text


def test_learning_curves_come_from_the_histories_that_are_there(tmp_path):
    for name, text in {
        "transformer-0": "epoch,loss,score,seconds\n1,2.0,0.25,3\n2,1.0,0.5,3\n",
        "transformer-1": "epoch,loss,score,seconds\n1,2.0,0.3,3\n2,1.0,nan,3\n",
        "cnn-0": "another,file\n1,2\n",
        "rnn-0": "epoch,loss,score,seconds\n1,2.0\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "history.csv").write_text(text)
    rows = [row(), row(seed=1), row("cnn"), row("rnn"), row("classic")]
    found = plot("curves", rows, runs=tmp_path)
    assert [(s.name, s.points) for s in found.series] == [
        ("transformer", (plots.Point(1, 0.25), plots.Point(2, 0.5))),
        ("transformer", (plots.Point(1, 0.3),)),
    ]
    assert "transformer, seed 0: 0.2500 to 0.5000 after 2 epochs" in found.text


@pytest.mark.parametrize("run_id", ["", ".", "..", "../secret", "a/b", "a\\b", "a\0b", "x" * 5000])
def test_an_id_that_is_no_plain_name_has_no_directory(tmp_path, run_id):
    (tmp_path / "secret").mkdir()
    (tmp_path / "runs" / "a" / "b").mkdir(parents=True)
    assert plots.run_directory(tmp_path / "runs", run_id) is None


def test_without_models_there_is_nothing_to_draw():
    assert of([]) == []


@pytest.mark.parametrize("value", [1e308, -1e308, None])
def test_a_score_that_cannot_be_is_not_drawn(value):
    assert [[s.name for s in p.series] for p in of([row(), row("cnn", value=value)])] == [["transformer"]] * 3
