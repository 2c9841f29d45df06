"""Histograms of gradients are what the field means by them, and both kinds of model cope with little data."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from suite.baselines import image
from suite.errors import InputError


def lines(count, labels=("across", "down"), *, seed=0, size=(12, 16)):
    """Stripes of two directions, at random places, in noise."""
    random = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        label = labels[number % len(labels)]
        place = np.arange(size[0])[:, None] if label == "across" else np.arange(size[1])[None]
        pixels = 127 + 60 * np.sin(place + random.uniform(0, 6)) + random.normal(0, 10, size)
        example = {"height": size[0], "width": size[1], "channels": 1, "label": label}
        examples.append({**example, "pixels": pixels.clip(0, 255).astype("uint8")[..., None]})
    return examples


def test_gradients_equal_a_plain_reference():
    picture = np.random.default_rng(5).integers(0, 256, (1, 6, 4, 3), dtype=np.uint8)  # 3 x 2 cells of 2 x 2 pixels
    root = np.pad(np.sqrt(picture[0].astype(float)), [(1, 1), (1, 1), (0, 0)], mode="edge")
    cells = np.zeros((3, 2, 9))
    for row, column in np.ndindex(6, 4):
        down = root[row + 2, column + 1] - root[row, column + 1]
        right = root[row + 1, column + 2] - root[row + 1, column]
        best = np.argmax(down**2 + right**2)
        angle, strength = np.degrees(np.arctan2(down[best], right[best])) % 180, np.hypot(down[best], right[best])
        for orientation in range(9):  # middles at 10, 30 ... 170 degrees
            away = abs((angle - 10 - 20 * orientation + 90) % 180 - 90)
            cells[row // 2, column // 2, orientation] += strength * max(0, 1 - away / 20)
    blocks = [np.concatenate([cells[r, 0], cells[r, 1], cells[r + 1, 0], cells[r + 1, 1]]) for r in range(2)]
    clipped = [np.minimum(block / np.sqrt((block**2).sum() + 1e-4), 0.2) for block in blocks]
    expected = np.concatenate([block / np.sqrt((block**2).sum() + 1e-4) for block in clipped])
    np.testing.assert_allclose(image.gradients(picture)[0], expected, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (8, 8), (33, 47)])
def test_every_size_has_gradients(size):
    table = image.gradients(np.random.default_rng(7).integers(0, 256, (3, *size, 1), dtype=np.uint8))
    assert len(table) == 3
    assert np.isfinite(table).all()


def test_it_tells_lines_apart_and_can_be_pickled():
    fitted = pickle.loads(pickle.dumps(image.classifier(lines(60), lines(10, seed=1), None, 0)))
    answers = fitted(lines(20, seed=2))
    assert [max(answer, key=answer.get) for answer in answers] == ["across", "down"] * 10
    assert all(sum(answer.values()) == pytest.approx(1) for answer in answers)
    assert fitted.note.endswith("chosen on validation accuracy")
    assert fitted.parameters > 20
    assert fitted([]) == []


def test_the_better_on_validation_is_taken(monkeypatch):
    notes = []
    for kind in ("_with_gradients", "_with_components"):
        monkeypatch.setattr(image, kind, lambda *args, **options: iter(()))
        notes.append(image.classifier(lines(60), lines(10, seed=1), None, 0).note)
        monkeypatch.undo()
    assert notes[0].startswith("support-vector machine of components")
    assert notes[1].startswith("logistic regression of gradients")


def test_of_many_examples_the_machine_has_a_sample(monkeypatch):
    monkeypatch.setattr(image, "MACHINE_LIMIT", 20)
    monkeypatch.setattr(image, "_with_gradients", lambda *args: iter(()))
    assert "20 of 60 examples" in image.classifier(lines(60), lines(10, seed=1), None, 0).note


def test_three_classes_and_a_label_that_training_had_not():
    train = lines(30) + [{**one, "label": "neither"} for one in lines(15, seed=9, size=(5, 5))]
    fitted = image.classifier(train, [*lines(4), {**lines(1)[0], "label": "new"}], None, 0)
    assert all(sorted(answer) == ["across", "down", "neither"] for answer in fitted(lines(3)))


def test_one_class_only():
    fitted = image.classifier(lines(4, labels=["down"]), lines(2), None, 0)
    assert fitted(lines(2)) == [{"down": 1.0}] * 2


def test_nothing_to_train_on():
    with pytest.raises(InputError, match="nothing to train on"):
        image.classifier([], [], None, 0)
