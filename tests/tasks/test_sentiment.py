"""Sentiment and topics: encoding with counted truncation, odd data from file to score, and a model that learns."""

from __future__ import annotations

import dataclasses
import json

import keras
import numpy as np
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from suite import config
from suite.cli import app
from suite.data.datasets import reviews
from suite.data.splits import make_splits
from suite.data.subwords import Subwords
from suite.errors import InputError
from suite.faults import Faults
from suite.models import textcnn
from suite.task import Architecture, Spec
from tasks.sentiment import TASK, Features

TRAIN = [{"text": f"A {word} film , really .", "label": label} for word, label in (("good", "yes"), ("bad", "no"))] * 3


def features(**options) -> Features:
    return Features(**{"vocabulary": 60, "embedding": 8, **options})


def model(spec, settings, *, width=12):
    keras.utils.set_random_seed(97)
    encode = textcnn.encoder(textcnn.Config(width=width))
    return TASK.build(spec, settings, Architecture(width=width, reads="sequence", encode=encode))


def outputs(built, encoded):
    return [built.predict_on_batch({"tokens": ids[None]})[0] for ids in encoded.inputs["tokens"]]


def test_texts_become_the_numbers_of_their_pieces():
    spec = TASK.spec(TRAIN, features())
    assert spec.classes == ("no", "yes")
    encoded = TASK.encode([*TRAIN[:2], {"text": "Unknown"}], spec)
    tokenizer = Subwords(spec.preprocessing["tokenizer"])
    assert [tokenizer.piece(number) for number in encoded.inputs["tokens"][0]] == "a good film , really .".split()
    assert [int(target) for target in encoded.targets] == [1, 0, 0]
    assert encoded.notes == ()
    assert tokenizer.size == spec.sizes["tokens"] <= 60
    assert TASK.encode(TRAIN, Spec.from_json(spec.to_json())).inputs["tokens"][0].tolist() == (
        encoded.inputs["tokens"][0].tolist()
    )


@pytest.mark.parametrize(("limit", "kept"), [(4, [0, 1, 4, 5]), (5, [0, 1, 2, 4, 5]), (6, [0, 1, 2, 3, 4, 5])])
def test_long_texts_lose_their_middle_and_are_counted(limit, kept):
    spec = TASK.spec(TRAIN, features(max_length=limit))
    whole = TASK.encode(TRAIN[:1], TASK.spec(TRAIN, features())).inputs["tokens"][0]
    encoded = TASK.encode([*TRAIN[:2], {"text": "good"}], spec)
    assert encoded.inputs["tokens"][0].tolist() == whole[kept].tolist()
    left_out = 2 * (6 - limit)
    assert encoded.notes == (
        (f"texts of more than {limit} tokens, read without their middle: 2 of 3, {left_out} of 13 tokens left out",)
        if left_out
        else ()
    )


def test_a_text_in_which_nothing_can_be_read_is_one_unknown_piece():
    spec = TASK.spec(TRAIN, features())
    assert [ids.tolist() for ids in TASK.encode([{"text": "\N{LINE SEPARATOR}"}], spec).inputs["tokens"]] == [[1]]


def test_any_script_is_read():
    texts = ["очень хорошо", "とても 良い", "ดีมาก", "😀👍🏽", "e\u0301te\u0301", "\x07"]
    spec = TASK.spec([{"text": text, "label": "x"} for text in texts], features())
    encoded = TASK.encode([{"text": text} for text in texts], spec)
    assert all(len(ids) and ids.dtype == np.int32 and ids.all() for ids in encoded.inputs["tokens"])


def test_what_somebody_types():
    assert TASK.fields == ("text",)
    assert TASK.example({"text": "fine"}) == {"text": "fine"}
    with pytest.raises(InputError, match="text: empty"):
        TASK.example({"text": " \n"})


def test_settings_that_make_no_sense():
    with pytest.raises(ValidationError, match="expected each way once"):
        features(pooling=["mean", "mean"])
    for wrong in ({"pooling": ["median"]}, {"pooling": []}, {"max_length": 1}, {"vocabulary": 2}, {"dropout": 1.0}):
        with pytest.raises(ValidationError):
            features(**wrong)


@pytest.mark.parametrize("labels", [("yes", "no"), ("World", "Sports", "Business"), ("only",)])
def test_from_a_file_to_scores(tmp_path, labels):
    def file(name, labels):
        path = tmp_path / name
        path.write_text("review,sentiment\n" + "".join(f'"It is {each}, I say",{each}\n' for each in labels), "utf8")
        return TASK.read(path, Faults())

    train = file("train.csv", labels * 4)
    splits = make_splits(
        {"train": train, "validation": train, "test": file("test.csv", [*labels, "new"])},
        name="own",
        labels=TASK.labels,
    )
    assert "test has labels that train has not, all of them counted as wrong: new (1)" in splits.notes
    settings = features(dropout=0.0, embedding_dropout=0.0, token_dropout=0.0)
    spec = TASK.spec(splits.train, settings)
    built = model(spec, settings)
    built.compile(keras.optimizers.Adam(0.02), TASK.loss(settings))
    encoded = TASK.encode(splits.train, spec)
    inputs = {"tokens": np.stack(encoded.inputs["tokens"])}
    for _ in range(30):
        built.train_on_batch(inputs, np.stack(encoded.targets), sample_weight=np.ones(len(train), "float32"))
    spec, _ = TASK.calibrate(outputs(built, encoded), encoded, splits.validation, spec)
    encoded = TASK.encode(splits.test, spec)
    predictions = TASK.decode(outputs(built, encoded), encoded, spec)
    evaluation = TASK.evaluate(predictions, splits.test)
    assert evaluation.scores["accuracy"] == pytest.approx(len(labels) / (len(labels) + 1))
    assert [outcome["right"] for outcome in evaluation.outcomes] == [True] * len(labels) + [False]
    assert TASK.show(predictions[0], splits.test[0], 3)[0]["answer"] == labels[0]
    for name in TASK.baselines:
        fitted = TASK.baselines[name](splits.train, splits.validation, settings, 0)
        assert set(TASK.evaluate(fitted(splits.test), splits.test).scores) >= {"accuracy", "macro_f1"}


def test_classes_of_very_different_size():
    train = [{"text": f"an ordinary day {n}", "label": "common"} for n in range(300)]
    train.append({"text": "a strange night", "label": "rare"})
    test = [{"text": "an ordinary day", "label": "common"}, {"text": "a strange night", "label": "rare"}]
    assert TASK.spec(train, features()).classes == ("common", "rare")
    for name, f1 in (("classic", 1.0), ("majority", 1 / 3)):
        predictions = TASK.baselines[name](train, test, features(), 0)(test)
        assert all(set(prediction) == {"common", "rare"} for prediction in predictions)
        assert TASK.evaluate(predictions, test).scores["macro_f1"] == pytest.approx(f1)


def test_from_the_command_line(tmp_path):
    def invoke(*arguments, stdin=None):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        assert result.exit_code == 0, result.output
        return result

    rows = [(f"it is {label} , I say", label) for label in ("fine", "dull") for _ in range(24)]
    (tmp_path / "train.jsonl").write_text(
        "".join(json.dumps({"Review": text, "class": label}) + "\n" for text, label in rows), "utf8"
    )
    (tmp_path / "test.tsv").write_text("text\tlabel\nfine , I say\tfine\nso so\tnew\n\tfine\n", "utf8")
    board = ["--leaderboard", tmp_path / "board.csv", "--output", tmp_path / "runs", "--json"]
    settings = ["model.width=8", "model.depth=1", "features.embedding=8", "features.max_length=5", "train.batch_size=8"]
    settings += ["train.learning_rate=0.05", "features.token_dropout=0.0", "features.embedding_dropout=0.0"]
    settings += ["features.dropout=0.0", "model.dropout=0.0"]  # learning so little text is not to hang on what is drawn
    flags = [part for setting in settings for part in ("--set", setting)]
    models = ["--model", "cnn", "--model", "classic"]
    done = invoke("run", "--task", "sentiment", "--train", tmp_path / "train.jsonl", *models, *flags, *board)
    assert "texts of more than 5 tokens, read without their middle" in done.stderr
    for run in json.loads(done.stdout)["results"]:
        folder = tmp_path / "runs" / run["run_id"]
        lines = invoke("predict", folder, "--top", 3, stdin="how fine\ndull, dull\n").stdout.splitlines()
        assert [line.split("\t")[::2] for line in lines] == [["fine", "dull"], ["dull", "fine"]]
        scored = invoke("evaluate", folder, "--test", tmp_path / "test.tsv", "--skip-bad", *board)
        assert "test: 1 left out that could not be used" in scored.stderr
        (result,) = json.loads(scored.stdout)["results"]
        assert result["scores"]["accuracy"] == 0.5


def test_label_smoothing_reaches_the_loss():
    targets, logits = np.array([1]), np.array([[-9.0, 9.0]], "float32")
    plain, smooth = (float(TASK.loss(features(label_smoothing=share))(targets, logits)) for share in (0.0, 0.2))
    assert plain < 1e-3
    assert smooth == pytest.approx(0.1 * 18, rel=1e-3)


def test_the_reviews_have_a_ceiling_that_the_task_can_score():
    test = reviews.load()["test"]
    scores = TASK.evaluate([example["oracle"] for example in test], test).scores
    assert 0.97 < scores["accuracy"] < 0.985
    assert scores["calibration_error"] < 0.03


def sizes(dataset: str) -> dict[str, int]:
    """Parameters of each neural family without the table of embeddings, whose size is the same for all."""
    wanted = config.wanted("sentiment", dataset=dataset, models=["transformer", "rnn", "cnn"])
    found = {}
    for each in config.resolve(wanted):
        spec = TASK.spec(TRAIN, each.features)
        module = config.architecture(wanted.task, each.model)
        built = TASK.build(
            spec,
            each.features,
            Architecture(width=each.architecture.width, reads="sequence", encode=module.encoder(each.architecture)),
        )
        found[each.model] = built.count_params() - spec.sizes["tokens"] * each.features.embedding
    return found


@pytest.mark.parametrize("dataset", ["reviews", "sst2"])
def test_families_have_as_many_parameters_within_a_tenth(dataset):
    found = sizes(dataset)
    for family in ("rnn", "cnn"):
        assert found[family] / found["transformer"] == pytest.approx(1, abs=0.1), found


def test_the_families_share_what_they_read():
    for dataset in ("reviews", "sst2", "imdb_reviews", "ag_news_subset"):
        wanted = config.wanted("sentiment", dataset=dataset, models=["transformer", "rnn", "cnn"])
        read = {
            tuple(getattr(each.features, name) for name in ("vocabulary", "lowercase", "max_length", "embedding"))
            for each in config.resolve(wanted)
        }
        assert len(read) == 1


def test_the_task_is_complete():
    assert {field.name for field in dataclasses.fields(TASK)} >= {"show", "example", "families"}
    assert TASK.higher_is_better
