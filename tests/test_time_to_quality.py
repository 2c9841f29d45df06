"""Time to a loss: nanoGPT's recipe as published, and what a round of the benchmark says."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import time_to_quality
from suite.errors import InputError

torch = pytest.importorskip("torch", reason="nanoGPT's recipe runs on PyTorch, which the extra `backends` installs")

from benchmarks import nanogpt  # noqa: E402


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
        if name != "nanogpt":
            assert variables == {"KERAS_BACKEND": "here"}
            folder = Path(arguments[arguments.index("--output") + 1]) / "run"
            folder.mkdir()
            result = {"scores": {"loss": loss[name]}, "params": 3}
            (folder / "result.json").write_text(json.dumps(result), encoding="utf8")
        return json.dumps(found), {"seconds": seconds[name], "cpu_seconds": 1.0}

    (tmp_path / "tfds_manual").mkdir()
    (tmp_path / "tfds_manual" / "input.txt").write_text("text", encoding="utf8")
    monkeypatch.setenv("SUITE_DATA", str(tmp_path))
    monkeypatch.setattr(time_to_quality, "_timed", timed)
    rows = pd.DataFrame(time_to_quality.run(backend="here", repeats=3))
    assert rows["peer"].tolist() == ["nanogpt", "tiny_third", "tiny_equal"] * 3
    assert sorted(order[:3]) == sorted(order[3:6]) == sorted(loss)
    assert order[:3] != order[3:6] or order[3:6] != order[6:]
    first = rows.set_index("peer")[:3]
    assert first.loc["tiny_third", "ratio"] == pytest.approx(31 / 90)
    assert first["ok"].tolist() == [True, False, False]  # too late, and too high
    assert math.isinf(first.loc["nanogpt", "wanted_loss"])


def test_what_fails_says_so():
    with pytest.raises(RuntimeError, match="No module named"):
        time_to_quality._timed(["no_such_module_anywhere"], threads=1)


def test_without_the_text_it_says_where_it_looks(monkeypatch, tmp_path):
    monkeypatch.setenv("SUITE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match="SUITE_DATA"):
        time_to_quality.run(backend="tensorflow")
