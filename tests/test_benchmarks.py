"""The benchmarks on tiny shapes: all rows, their columns, and peers that compute the same."""

import importlib
import itertools

import numpy as np
import pandas as pd
import pytest

import leaderboard
from benchmarks import (
    beam,
    board,
    classifier,
    decoding,
    encoder_block,
    gpu_step,
    input_pipeline,
    large,
    long_attention,
    memory,
    steps,
    tokenizing,
    train_epoch,
    train_memory,
    train_step,
)
from benchmarks.case import Case
from benchmarks.measure import Worker, markdown, save, spread
from suite.errors import InputError

TINY = {"batch": 2, "length": 7, "width": 6, "heads": 2, "hidden": 11}


def test_a_case_counts_the_products_of_a_block():
    case = Case(masked=False, training=False, dropout=0.0, **TINY)
    tokens, width = 2 * 7, 6
    linear = 2 * tokens * width * width * 4 + 2 * tokens * width * 11 * 2
    attention = 2 * (2 * 2 * 7 * 7 * 3) * 2  # two products for each of two heads of three features, two rows
    assert case.flops() == linear + attention
    assert Case(masked=False, training=True, dropout=0.0, **TINY).flops() == 3 * case.flops()


def test_spread_compares_with_ours():
    found = spread(np.array([0.2, 0.4, 0.9]), np.array([0.1, 0.1, 0.3]))
    assert found["median_ms"] == pytest.approx(400)
    assert found["ratio"] == pytest.approx(4)
    assert found["paired_ratio"] == pytest.approx(3)


def test_markdown_shows_what_was_saved(tmp_path):
    frame = save([{"peer": "suite", "median_ms": 1.23456789}], tmp_path / "new" / "x.csv")
    assert pd.read_csv(tmp_path / "new" / "x.csv")["median_ms"][0] == 1.23457
    assert markdown(frame).splitlines() == ["| peer | median ms |", "| --- | --- |", "| suite | 1.23 |"]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", ["suite", "suite_fused", "keras", "keras_hub"])
def test_peers_compute_the_same_block(name, masked):
    peer = importlib.import_module("benchmarks.keras_peer").KerasPeer
    case = Case(masked=masked, training=False, dropout=0.0, **TINY)
    real = case.arrays()[2] if masked else ...
    parameters, output = peer(name).prepare(case)
    expected_parameters, expected = peer("suite").prepare(case)
    assert parameters == expected_parameters == 4 * (36 + 6) + (66 + 11) + (66 + 6) + 4 * 6
    np.testing.assert_allclose(output[real], expected[real], atol=1e-5)


class Here:
    """Stands in for a process of its own."""

    def __init__(self, peer, *, backend, threads, **arguments):
        module, name = peer.split(":")
        self.served = getattr(importlib.import_module(module), name)(**arguments)

    def call(self, method, *arguments):
        return getattr(self.served, method)(*arguments)

    def close(self):
        pass


def test_every_case_has_a_row_for_each_peer(monkeypatch):
    pytest.importorskip("torch", reason="a peer that the extra `backends` installs")
    monkeypatch.setattr(encoder_block, "Worker", Here)
    monkeypatch.setattr(encoder_block, "PASSES", ((True, 0.1),))
    rows = pd.DataFrame(encoder_block.run(backend="here", quick=True, repeats=1, peers=("suite", "torch")))
    assert len(rows) == 4
    assert list(rows["peer"][:2]) == ["suite", "torch"]
    assert set(rows["parameters"]) == {2224}
    assert rows["deviation"].max() < 1e-5
    assert (rows[["median_ms", "ratio", "paired_ratio", "utilization"]] > 0).all(axis=None)
    assert rows[["hardware", "keras_version", "torch_version"]].notna().all(axis=None)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_decoding_counts_the_same_weights_and_tokens(precision, monkeypatch):
    pytest.importorskip("torch", reason="a peer that the extra `backends` installs")
    pytest.importorskip("transformers", reason="a peer that the extra `parity` installs")
    monkeypatch.setattr(decoding, "Worker", Here)
    rows = pd.DataFrame(decoding.run(backend="here", precision=precision, quick=True, repeats=1))
    assert list(rows["peer"]) == ["suite", "keras_hub", "hugging_face"] * 2
    assert rows["parameters"].nunique() == 1
    measured = ["first_call_seconds", "median_ms", "ratio", "processor_ms", "processor_ratio", "tokens_per_second"]
    # A step's time is a difference, of which at this size noise may be all.
    assert np.isfinite(rows[[*measured, "floor_ratio"]]).all(axis=None)
    assert (rows[["first_call_seconds", "prompt_ms", "read_gb_per_second"]] > 0).all(axis=None)
    np.testing.assert_allclose(rows["floor_ratio"] * rows["median_ms"], rows["floor_ms"])


def test_the_floor_of_decoding_counts_weights_and_cache():
    tiny = {**decoding.TINY, "prompt": 5, "written": 4}
    weights, cached = 9000 - 256 * 8, 2 * 2 * 3 * 8 * (5 + 2)  # positions are not read; depth 2, width 8, three rows
    assert decoding.Size(batch=3, **tiny).read(9000) == 4 * (weights + cached)
    assert decoding.Size(batch=3, precision="bfloat16", **tiny).read(9000) == 2 * (weights + cached)
    assert decoding.Size(batch=3, precision="int8", **tiny).read(9000) == weights + 4 * cached
    assert decoding.Size(batch=3, precision="int8", **tiny).read(9000, "float32") == 4 * (weights + cached)
    with pytest.raises(InputError, match="--precision of decoding"):
        decoding.run(backend="here", precision="int4")


def test_beam_search_translates_each_sentence_with_as_many_tokens(monkeypatch):
    pytest.importorskip("torch", reason="a peer that the extra `backends` installs")
    pytest.importorskip("transformers", reason="a peer that the extra `parity` installs")
    monkeypatch.setattr(beam, "Worker", Here)
    rows = pd.DataFrame(beam.run(backend="here", quick=True, repeats=1))
    assert list(rows["peer"]) == ["suite", "hugging_face"]
    assert rows["parameters"].nunique() == 1
    assert set(rows["sentences"]) == {3}
    assert set(rows["steps"]) == {(3 + 1) + (4 + 1)}  # batches of two: references of 2 and 3 words, then of 4
    measured = ["first_call_seconds", "median_ms", "ratio", "processor_ms", "sentences_per_second"]
    assert (rows[measured] > 0).all(axis=None)


def test_batches_hold_sentences_of_like_length_padded_at_their_end():
    first, last = beam.made_batches([(3, 9), (2, 2), (5, 3)], beam.Size(batch=2, vocabulary=7))
    assert [(batch.source > 0).sum(axis=1).tolist() for batch in (first, last)] == [[2, 5], [3]]
    assert (first.tokens, last.tokens) == (4, 10)
    assert first.source[0, 2:].tolist() == [0, 0, 0]
    assert first.source.max() < 7


def test_a_peer_on_another_device_is_left_out_aloud(monkeypatch):
    pytest.importorskip("torch", reason="a peer that the extra `backends` installs")
    monkeypatch.setattr(encoder_block, "Worker", Here)
    monkeypatch.setattr(encoder_block, "PASSES", ((False, 0.0),))
    monkeypatch.setattr(importlib.import_module("benchmarks.torch_peer").TorchPeer, "device", lambda self: "elsewhere")
    with pytest.warns(UserWarning, match=r"elsewhere.*torch"):
        rows = encoder_block.run(backend="here", quick=True, repeats=1, peers=("suite", "torch"))
    assert {row["peer"] for row in rows} == {"suite"}


def test_training_memory_has_a_row_for_each_peer(monkeypatch):
    pytest.importorskip("torch", reason="a peer that the extra `backends` installs")
    monkeypatch.setattr(train_memory, "Worker", Here)
    rows = pd.DataFrame(
        train_memory.run(backend="here", quick=True, repeats=1, peers=("suite", "suite_remat", "torch"))
    )
    assert list(rows["peer"]) == ["suite", "suite_remat", "torch"]
    assert rows["parameters"].nunique() == 1
    assert (rows[["peak_mib", "memory_ratio", "median_ms", "ratio"]] > 0).all(axis=None)


def test_long_attention_reports_memory_and_agrees(monkeypatch):
    monkeypatch.setattr(long_attention, "Worker", Here)
    rows = pd.DataFrame(long_attention.run(backend="here", quick=True, repeats=1))
    assert list(rows["peer"]) == ["plain", "chunked", "local"]
    assert rows["deviation"].max() < 1e-5
    assert (rows[["peak_mib", "kib_per_token", "microseconds_per_token"]] > 0).all(axis=None)


def test_what_the_board_costs_has_a_row_for_each_command(tmp_path):
    rows = pd.DataFrame(board.run(quick=True, repeats=2)).set_index("command")
    assert list(rows.index) == [*board.COMMANDS, *board.CALLS]
    assert set(rows["rows"]) == {2 * 3 * 2 * 2}
    assert rows["repeats"].tolist() == [2, 2, 2, 2, 1, 1, 1]
    assert (rows[["cpu_seconds", "seconds"]] > 0).all(axis=None)
    assert rows["peak_mib"].between(20, 1000).all()
    assert rows["pandas_version"].notna().all()


def test_the_board_that_is_measured_is_one(tmp_path):
    board.write(tmp_path / "a.csv", board.QUICK, name="a")
    table = leaderboard.read_csv(tmp_path / "a.csv")
    assert len(table) == board.QUICK.rows
    found = leaderboard.study(table)
    assert len(found.results) == 2
    assert found.problems == []
    with pytest.raises(RuntimeError, match="no such"):
        board._cost("raise SystemExit('no such')", tmp_path, 1)


def test_memory_that_is_not_there_is_said_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(long_attention.memory, "available", lambda: 2**30)
    with pytest.raises(MemoryError, match=r"16 GiB of free memory\. Received: 1 GiB"):
        long_attention.run(backend="here", repeats=1)


def test_a_call_allocates_what_it_allocates():
    peak = memory.peak_above(lambda: np.ones(2**24, "uint8"))  # 16 MiB of main memory
    assert steps.device() != "cpu" or 2**23 < peak < 2**26


def test_a_process_answers_fails_and_ends():
    worker = Worker("collections:Counter", backend="none", threads=1, a=2)
    assert worker.call("most_common") == [("a", 2)]
    with pytest.raises(RuntimeError, match="TypeError"):
        worker.call("most_common", "many")
    worker.process.kill()
    with pytest.raises(MemoryError, match="exit code -9"):
        worker.call("total")
    worker.close()


def test_tokenizing_gives_the_same_pieces_in_each_way(monkeypatch):
    phrases = [{"text": "a fine film"}, {"text": "neither funny nor fine"}]
    monkeypatch.setattr(tokenizing.sst2, "load", lambda: {"train": phrases})
    monkeypatch.setattr(tokenizing.sst2, "available", lambda: True)
    monkeypatch.setattr(tokenizing, "Worker", Here)
    monkeypatch.setattr(tokenizing.cache, "LEAST", 0)
    monkeypatch.setenv("SUITE_CACHE", "")
    rows = pd.DataFrame(tokenizing.run(backend="here", quick=True, repeats=2))
    assert list(rows["peer"]) == ["suite", "suite_cached", "hugging_face"] * 2
    assert rows["same"].all()
    assert (rows[["learning_seconds", "median_ms", "processor_ms", "texts_per_second"]] > 0).all(axis=None)


def test_tokenizing_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(tokenizing.sst2, "available", lambda: False)
    with pytest.raises(InputError, match="SUITE_DATA"):
        tokenizing.run(backend="here")


def test_waiting_for_data_is_measured_for_each_task(monkeypatch):
    class Counted(Here):
        def call(self, method, *arguments):
            if method != "epoch":
                return super().call(method, *arguments)
            super().call(method, *arguments)
            return {"fed": (6.0, 12.0), "at_hand": (4.5, 3.0)}[arguments[0]]

    monkeypatch.setattr(input_pipeline, "Worker", Counted)
    monkeypatch.setattr(input_pipeline, "QUICK", input_pipeline.QUICK[:1])
    (row,) = input_pipeline.run(backend="here", quick=True, repeats=2)
    assert (row["task"], row["examples"], row["steps"]) == ("sentiment", 60, 6)
    assert (row["fed_ms"], row["at_hand_ms"]) == (1000, 750)
    assert (row["waiting_percent"], row["processor_percent"]) == (25, 75)
    assert row["making_ms"] > 0


def test_training_steps_have_a_row_for_each_peer(monkeypatch):
    pytest.importorskip("torch", reason="a peer that the extra `backends` installs")
    monkeypatch.setattr(train_step, "Worker", Here)
    rows = pd.DataFrame(train_step.run(backend="here", quick=True, repeats=1, peers=("suite", "keras", "torch")))
    assert list(rows["peer"]) == ["suite", "keras", "torch"]
    assert rows["parameters"].nunique() == 1
    assert (rows[["median_ms", "ratio", "paired_ratio", "steps_per_second", "utilization"]] > 0).all(axis=None)


def test_an_epoch_trains_on_the_same_sentences_whatever_the_padding(monkeypatch):
    pytest.importorskip("torch", reason="a peer that the extra `backends` installs")
    monkeypatch.setattr(train_epoch, "Worker", Here)
    rows = pd.DataFrame(train_epoch.run(backend="here", quick=True, repeats=1, peers=("suite", "keras", "torch")))
    assert list(rows["peer"]) == ["suite", "suite", "keras", "keras", "torch", "torch"]
    assert list(rows["padded_to"]) == ["buckets", "longest", *("longest", "maximum") * 2]
    assert (rows[["parameters", "sentences", "tokens"]].nunique() == 1).all()
    buckets, longest, *_, maximum = rows["padding"]
    assert 0 < buckets < longest < maximum < 1
    assert (rows[["median_ms", "ratio", "paired_ratio"]] > 0).all(axis=None)
    np.testing.assert_allclose(rows["tokens_per_second"] * rows["median_ms"] / 1e3, rows["tokens"])


def test_texts_are_padded_to_buckets_to_the_longest_or_to_the_maximum():
    texts = [np.full(length, length, "int32") for length in (1, 2, 3, 9, 1, 2, 3, 8, 3, 2)]
    chosen = list(train_epoch.bucketed(texts, rows=2, count=6))
    sentences = np.concatenate([members for _, members in chosen])
    assert len(set(sentences)) == len(sentences)
    assert {batch.tokens.shape[1] for batch, _ in chosen} == {1, 2, 3, 8, 9}
    assert sum((batch.tokens > 0).any(axis=1)[batch.weights > 0].sum() for batch, _ in chosen) == len(sentences)
    expected = sorted(len(texts[row]) for row in sentences)
    size = classifier.Size(batch=2, length=9, width=4, depth=1)
    for multiple, lengths in ((1, {*expected}), (4, {4, 8, 9}), (9, {9})):
        batches = list(train_epoch.padded(texts, sentences, size, multiple=multiple))
        assert sorted(length for batch in batches for length in (batch.tokens > 0).sum(axis=1)) == expected
        assert {batch.tokens.shape[1] for batch in batches} <= lengths


def test_the_first_two_batches_differ_in_length_where_any_do():
    one, same, longer = (classifier.TextBatch(np.ones((2, length)), np.zeros(2)) for length in (3, 3, 4))
    assert [batch.tokens.shape[1] for batch in train_epoch.timed({"buckets": [one, same], "longest": [longer]})] == [
        4,
        3,
        3,
        4,
    ]
    assert len(train_epoch.timed({"maximum": [one, same]})) == 3


def test_an_epoch_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(train_epoch.wnut17, "available", lambda: False)
    with pytest.raises(InputError, match=r"wnut17.*SUITE_DATA"):
        train_epoch.run(backend="here")
    with pytest.raises(InputError, match=r"--peer of train_epoch.*keras_hub.*got flax"):
        train_epoch.run(backend="here", peers=("suite", "flax"))


def test_recurrent_steps_have_a_row_for_each_cell_and_peer(monkeypatch):
    pytest.importorskip("torch", reason="a peer that the extra `backends` installs")
    monkeypatch.setattr(train_step, "Worker", Here)
    rows = pd.DataFrame(train_step.recurrent(backend="here", quick=True, repeats=1, peers=("suite", "torch")))
    expected = list(itertools.product(("LSTM", "GRU"), ("suite", "torch")))
    assert list(zip(rows["cell"], rows["peer"], strict=True)) == expected
    assert (rows[["median_ms", "utilization"]] > 0).all(axis=None)


def test_large_models_have_the_same_weights_here_and_in_pytorch(monkeypatch):
    pytest.importorskip("torch", reason="a peer that the extra `backends` installs")
    monkeypatch.setattr(gpu_step, "Worker", Here)
    rows = pd.DataFrame(gpu_step.run(backend="here", precision="float32", quick=True, repeats=1))
    assert list(rows["peer"]) == ["suite", "torch"] * 3
    assert (rows.groupby("model")["parameters"].nunique() == 1).all()
    assert (rows[["median_ms", "utilization"]] > 0).all(axis=None)


def test_a_training_step_counts_its_products():
    size = classifier.Size(batch=2, length=7, width=6, depth=3, heads=2, hidden=11)
    assert size.flops() == 3 * Case(masked=False, training=True, dropout=0.0, **TINY).flops()
    lstm = classifier.Size(batch=2, length=7, width=6, depth=1, cell="LSTM")
    assert lstm.flops() == 3 * 2 * 7 * 2 * (2 * 4 * 3 * (6 + 3))  # both directions, four gates of three units
    gpt2 = large.Large(model="gpt2", batch=2, length=7, width=6, depth=1, heads=2, hidden=11, outputs=13)
    scores = 2 * 7 * 7 * 6 * 2 * 2
    block = Case(masked=False, training=False, dropout=0.0, **TINY).flops()
    assert gpt2.flops() == 3 * (block - scores / 2 + 2 * 2 * 7 * 6 * 13)
