"""The parts of a test set that a task tells apart, in the outcomes of a run on hand-made examples."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from suite.cli import app
from suite.data import audio
from suite.data.datasets import formants, spoken_digit
from tasks.audio import TASK as AUDIO
from tasks.ner import TASK as NER
from tasks.sentiment import NEGATORS
from tasks.sentiment import TASK as SENTIMENT


def outcomes(tmp_path, task, train, test, model="majority"):
    """The slices in the outcomes of a run, by example."""
    result = CliRunner().invoke(
        app,
        [
            *("run", "--task", task, "--model", model, "--train", str(train), "--validation", str(test)),
            *("--test", str(test), "--output", str(tmp_path / "runs"), "--leaderboard", str(tmp_path / "board.csv")),
            *("--device", "cpu", "--json"),
        ],
    )
    assert result.exit_code == 0, result.output
    (directory,) = (tmp_path / "runs").iterdir()
    return [json.loads(line)["slices"] for line in (directory / "outcomes.jsonl").read_text("utf8").splitlines()]


def csv(path, texts):
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in texts), "utf8")
    return path


def test_sentiment_tells_negation_and_unknown_words(tmp_path):
    train = csv(tmp_path / "train.csv", [("The plot is good.", "yes"), ("The cast isn't bad!", "no")] * 3)
    texts = ["The PLOT is bad", "It is good", "Never good, the plot", "The cast Isn’t good", "Nothing bad about it"]
    found = outcomes(tmp_path, "sentiment", train, csv(tmp_path / "test.csv", [(text, "yes") for text in texts]))
    assert found == [
        {"negation": "no", "unknown words": "none"},
        {"negation": "no", "unknown words": "one"},  # it
        {"negation": "yes", "unknown words": "one"},  # never
        {"negation": "yes", "unknown words": "one"},  # another apostrophe
        {"negation": "yes", "unknown words": "several"},
    ]


@pytest.mark.parametrize("word", [*sorted(NEGATORS), "don't", "n't", "WON'T"])
def test_each_negator_denies(word):
    assert SENTIMENT.slices({"text": f"A film ({word})."}, None) == {"negation": "yes"}
    assert SENTIMENT.slices({"text": f"A film {word}x."}, None) == {"negation": "no"}


def test_ner_tells_entities_of_words_that_training_never_had(tmp_path):
    (tmp_path / "train.conll").write_text("Anna B-PER\nin O\nBerg O\n\nRome B-LOC\n. O\n\n" * 3, "utf8")
    (tmp_path / "test.conll").write_text(
        "ANNA B-PER\nBerg I-PER\nsings O\n\nAnna B-PER\nin O\nOslo B-LOC\n\nBerg O\nsings O\n\n", "utf8"
    )
    found = outcomes(tmp_path, "ner", tmp_path / "train.conll", tmp_path / "test.conll", "classic")
    assert found == [{"entity words": "seen"}, {"entity words": "unseen"}, {"entity words": "no entity"}]
    assert NER.slices({"tokens": ["Anna"], "tags": ["B-PER"]}, None) == {}


def test_qa_tells_where_the_answer_stands(tmp_path):
    context = "abcd efgh ijkl mnop qrst"  # thirds end at 8 and 16
    questions = [("efgh", 5), ("ijkl", 10), ("mnop", 15), ("qrst", 20), ("abcd", 0), (context, 0), ("", None)]
    asked = [
        {
            "id": str(number), "question": "Which word is it?", "is_impossible": not text,
            "answers": [{"text": text, "answer_start": start}] if text else [],
        }
        for number, (text, start) in enumerate(questions)
    ]  # fmt: skip
    told = {"version": "v2.0", "data": [{"title": "", "paragraphs": [{"context": context, "qas": asked}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(told), "utf8")
    found = outcomes(tmp_path, "qa", tmp_path / "squad.json", tmp_path / "squad.json")
    thirds = ["first third", "middle third", "last third", "last third", "first third", "middle third", "none"]
    assert found == [{"answer position": third} for third in thirds]


def test_translation_tells_words_of_the_source_that_training_never_had(tmp_path):
    (tmp_path / "train.tsv").write_text("source\ttarget\n" + "A dog runs.\tEin Hund läuft.\n" * 4, "utf8")
    (tmp_path / "test.tsv").write_text("source\ttarget\nRuns a dog?\tx\nA Hund runs.\tx\nTwo cats run.\tx\n", "utf8")
    found = outcomes(tmp_path, "translation", tmp_path / "train.tsv", tmp_path / "test.tsv", "classic")
    assert found == [{"unknown words": "none"}, {"unknown words": "one"}, {"unknown words": "several"}]


def test_audio_tells_the_dynamic_range_where_the_noise_is_not_known(tmp_path):
    tone = 0.5 * np.sin(np.arange(4000))
    for split, factors in (("train", (1, 1)), ("test", (1, 0.05, 0.0))):
        for number, factor in enumerate(factors):  # half of each is quieter by 0, 26 and, down to rounding, 89 dB
            path = tmp_path / split / "ab"[number % 2] / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.concatenate([tone, factor * tone]), 8000, subtype="FLOAT")
    found = outcomes(tmp_path, "audio", tmp_path / "train", tmp_path / "test")
    assert found == [{"dynamic range": f"{low} to {low + 20} dB"} for low in (0, 80, 20)]  # 0 and 2 are in folder a


def test_audio_tells_the_ratio_to_noise_and_the_speaker_where_the_data_does():
    light = [{"snr": 4.9}, {"snr": 5.0}, {"snr": -0.1}]
    assert [AUDIO.slices(each, None) for each in light] == [
        {"signal to noise": "0 to 5 dB"},
        {"signal to noise": "5 to 10 dB"},
        {"signal to noise": "-5 to 0 dB"},
    ]
    said = {**spoken_digit._example("7_theo_32"), "waveform": np.ones(100, "float32"), "rate": 8000}
    assert AUDIO.slices(said, None) == {"dynamic range": "0 to 20 dB", "speaker": "theo"}
    parts = [AUDIO.slices(each, None)["signal to noise"] for each in formants.utterances("test", 40)]
    assert set(parts) == {"0 to 5 dB", "5 to 10 dB", "10 to 15 dB", "15 to 20 dB"}


@pytest.mark.parametrize("waveform", [np.zeros(1), np.zeros(8000), np.ones(3), np.full(900, 2.0**-15)])
def test_any_sound_has_a_dynamic_range(waveform):
    assert audio.dynamic_range(waveform.astype("float32"), rate=8000) == 0
