"""Time to a loss: nanoGPT's recipe as published, and what a round of the benchmark says."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import time_to_quality
from suite import config
from suite.errors import InputError

torch = pytest.importorskip("torch", reason="nanoGPT's recipe runs on PyTorch, which the extra `backends` installs")

from benchmarks import keras_io_text, m5, nanogpt, spacy_tagger  # noqa: E402


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nanogpt.Model(11)


def test_the_recipe_has_the_published_size():
    blocks = 4 * (12 * 128 * 128 + 2 * 128)
    assert sum(weight.numel() for weight in nanogpt.Model(65).parameters()) == (65 + 64) * 128 + blocks + 128


def test_the_recipe_does_not_see_the_future(model):
    tokens = torch.randint(11, (2, 7))
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 11
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_the_learning_rate_rises_and_falls():
    rates = [nanogpt.learning_rate(step, 2000) for step in range(2001)]
    assert np.argmax(rates) == 100
    assert max(rates) == pytest.approx(1e-3)
    assert rates[1050] == pytest.approx(5.5e-4)  # halfway between 1e-3 and 1e-4
    assert rates[2000] == pytest.approx(1e-4)


@pytest.mark.parametrize("length", [2, 64, 65, 131])  # a window is 64 tokens
def test_the_loss_is_of_every_token_once(model, length):
    tokens = torch.randint(11, (length,), generator=torch.Generator().manual_seed(1))
    total = 0.0
    for start in range(0, length - 1, 64):
        window = tokens[start : start + 65]
        logs = torch.log_softmax(model(window[None, :-1])[0], dim=-1)
        total -= sum(logs[i, target].item() for i, target in enumerate(window[1:]))
    assert nanogpt.nats(model, tokens) == pytest.approx(total / (length - 1), rel=1e-5)


def test_the_recipe_learns(model):
    tokens = torch.arange(500) % 5
    before = nanogpt.nats(model, tokens)
    nanogpt.fit(model, tokens, steps=20)
    assert nanogpt.nats(model, tokens) < before - 0.3


def test_a_round_compares_with_the_recipe(monkeypatch, tmp_path):
    seconds = {"nanogpt": 90.0, "tiny_third": 31.0, "tiny_equal": 80.0}
    loss = {"nanogpt": 1.89, "tiny_third": 1.85, "tiny_equal": 1.61}
    order = []

    def timed(arguments, *, threads, **variables):
        name = "nanogpt" if "benchmarks.nanogpt" in arguments else arguments[arguments.index("--overlay") + 1]
        order.append(name)
        found = {"loss": loss[name], "parameters": 3}
        assert variables == {"KERAS_BACKEND": "here"}
        if name != "nanogpt":
            folder = Path(arguments[arguments.index("--output") + 1]) / "run"
            folder.mkdir()
            result = {"scores": {"loss": loss[name]}, "params": 3}
            (folder / "result.json").write_text(json.dumps(result), encoding="utf8")
        return json.dumps(found), {"seconds": seconds[name], "cpu_seconds": 1.0}

    (tmp_path / "tfds_manual").mkdir()
    (tmp_path / "tfds_manual" / "input.txt").write_text("text", encoding="utf8")
    monkeypatch.setenv("SUITE_DATA", str(tmp_path))
    monkeypatch.setattr(time_to_quality, "_timed", timed)
    rows = pd.DataFrame(time_to_quality.run("time_to_quality", backend="here", repeats=3))
    assert rows["peer"].tolist() == ["nanogpt", "tiny_third", "tiny_equal"] * 3
    assert sorted(order[:3]) == sorted(order[3:6]) == sorted(loss)
    assert order[:3] != order[3:6] or order[3:6] != order[6:]
    first = rows.set_index("peer")[:3]
    assert first.loc["tiny_third", "ratio"] == pytest.approx(31 / 90)
    assert first["ok"].tolist() == [True, False, False]  # too late, and too high
    assert math.isinf(first.loc["nanogpt", "wanted_score"])


def test_what_fails_says_so():
    with pytest.raises(RuntimeError, match="No module named"):
        time_to_quality._timed(["no_such_module_anywhere"], threads=1)


def test_without_the_text_it_says_where_it_looks(monkeypatch, tmp_path):
    monkeypatch.setenv("SUITE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"tfds_manual/input\.txt as SUITE_DATA"):
        time_to_quality.run("time_to_quality", backend="tensorflow")


def test_without_a_package_it_says_which(monkeypatch):
    race = dataclasses.replace(time_to_quality.RACES["time_to_wnut17"], available=lambda: True, needs="no_such_package")
    monkeypatch.setitem(time_to_quality.RACES, "time_to_wnut17", race)
    with pytest.raises(InputError, match=r"no_such_package.*parity"):
        time_to_quality.run("time_to_wnut17", backend="tensorflow")


def test_where_more_is_better_a_goal_is_a_least_score(monkeypatch):
    race = dataclasses.replace(time_to_quality.RACES["time_to_spoken_digit"], available=lambda: True)
    monkeypatch.setitem(time_to_quality.RACES, "time_to_spoken_digit", race)
    cost = {"seconds": 20.0, "cpu_seconds": 1.0, "parameters": 3}
    monkeypatch.setattr(time_to_quality, "recipe", lambda *_, **__: {"score": 0.5, **cost})
    scores = {"spoken_digit_fast": 0.98, "classic": 0.96}
    monkeypatch.setattr(
        time_to_quality, "ours", lambda race, goal, **_: {**cost, "score": scores[goal.name], "seconds": 9.0}
    )
    rows = pd.DataFrame(time_to_quality.run("time_to_spoken_digit", backend="here", repeats=1)).set_index("peer")
    assert rows["ok"].to_dict() == {"m5": True, "m5_batch_32": True, "spoken_digit_fast": True, "classic": False}
    assert rows["wanted_score"].tolist() == [-math.inf, -math.inf, 0.97, 0.97]


def test_every_configuration_of_a_race_is_one():
    for race in time_to_quality.RACES.values():
        for goal in race.goals:
            given = iter([*race.arguments, *goal.arguments])
            options = dict(zip(given, given, strict=True))
            wanted = config.wanted(
                options["--task"],
                dataset=options["--dataset"],
                models=[options["--model"]],
                overlays=[options["--overlay"]] if "--overlay" in options else [],
            )
            assert len(config.resolve(wanted, seeds=range(1))) == 1


def test_the_network_of_raw_sounds_gives_each_a_digit():
    model = m5.build()
    x, y = m5.arrays([{"waveform": np.ones(9000), "label": "3"}, {"waveform": np.ones(20), "label": "0"}])
    assert (x.shape, y.tolist()) == ((2, 1, 8000), [3, 0])
    assert x[1, 0].sum() == 20
    assert model(x).shape == (2, 10)
    assert sum(weight.numel() for weight in model.parameters()) == 25_290  # with convolutions' biases and norms


def test_the_classifier_of_keras_io_has_the_published_size():
    known = {"good": 2, "film": 3}
    assert keras_io_text.encode(["a good film", ""], known, 2).tolist() == [[2, 3], [0, 0]]
    model = keras_io_text.build(200)
    attention = 4 * 32 * 64 + 3 * 64 + 32
    block = attention + 2 * (32 * 32 + 32) + 2 * 64
    assert model.count_params() == (20_000 + 200) * 32 + block + (32 * 20 + 20) + (20 * 2 + 2)


def test_spacy_reads_what_we_read_and_answers_in_our_tags(tmp_path):
    spacy = pytest.importorskip("spacy", reason="a peer that the extra `parity` installs")
    tokens, tags = ["Ada", "Lovelace", "in", "London"], ["B-person", "I-person", "O", "B-location"]
    path = spacy_tagger._convert([{"tokens": tokens, "tags": tags}], tmp_path / "one.spacy")
    (doc,) = spacy.tokens.DocBin().from_disk(path).get_docs(spacy.blank("en").vocab)
    assert [token.text for token in doc] == tokens
    assert spacy_tagger._tags(doc) == tags
