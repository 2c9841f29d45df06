from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from suite.layers import LearnedGrid, RotaryGrid, SinusoidalGrid

B, H, W, D = 2, 3, 20, 20
ROWS, COLUMNS, PREFIX = 3, 5, 2
T = PREFIX + ROWS * COLUMNS
ROW, COLUMN = np.divmod(np.arange(ROWS * COLUMNS), COLUMNS)


def numpy(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


def normal(*shape) -> np.ndarray:
    return np.random.default_rng(5).normal(size=shape).astype("float32")


def sincos(places, omega) -> np.ndarray:
    angles = np.outer(places, omega)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


@pytest.mark.parametrize("endpoint", [False, True])
def test_sinusoidal_grid_is_the_table_of_mae(endpoint):
    """As `get_2d_sincos_pos_embed` of its code, in which the column comes first; class tokens get zeros."""
    omega = 99.0 ** (-np.arange(D // 4) / (D // 4 - endpoint))
    table = np.concatenate([sincos(COLUMN, omega), sincos(ROW, omega)], axis=1)
    x = normal(B, T, D)
    output = numpy(SinusoidalGrid((ROWS, COLUMNS), prefix=PREFIX, wavelength=99.0, endpoint=endpoint)(x))
    np.testing.assert_allclose(output[:, PREFIX:], x[:, PREFIX:] + table, atol=1e-5)
    np.testing.assert_array_equal(output[:, :PREFIX], x[:, :PREFIX])


def test_a_finer_grid_has_its_places_between_those_of_the_trained_one():
    layer = SinusoidalGrid((6, 5), trained_grid=(ROWS, COLUMNS))
    rows, columns, placed = (numpy(part)[0] for part in layer.coordinates(np.arange(30), "float32"))
    np.testing.assert_allclose(rows.reshape(6, 5)[:, 0], [-0.25, 0.25, 0.75, 1.25, 1.75, 2.25])
    np.testing.assert_allclose(columns.reshape(6, 5)[0], np.arange(5))
    assert placed.all()
    omega = 10_000.0 ** (-np.arange(D // 4) / (D // 4))
    table = np.concatenate([sincos(columns, omega), sincos(rows, omega)], axis=1)
    np.testing.assert_allclose(numpy(layer(np.zeros((1, 30, D), "float32")))[0], table, atol=1e-5)


def test_rotary_grid_turns_by_row_and_by_column():
    x = normal(B, H, T, W)
    omega = 100.0 ** (-np.arange(W // 4) / (W // 4))
    angles = np.concatenate([np.outer(ROW, omega), np.outer(COLUMN, omega)], axis=1)
    z = (x[..., : W // 2] + 1j * x[..., W // 2 :])[:, :, PREFIX:] * np.exp(1j * angles)
    output = numpy(RotaryGrid((ROWS, COLUMNS), prefix=PREFIX).rotate(x, np.arange(T)))
    np.testing.assert_allclose(output[:, :, PREFIX:], np.concatenate([z.real, z.imag], axis=-1), atol=1e-5)
    np.testing.assert_array_equal(output[:, :, :PREFIX], x[:, :, :PREFIX])


@pytest.mark.parametrize("trained", [None, (7, 4)])
def test_rotary_grid_scores_know_the_distance_in_rows_and_in_columns(trained):
    layer = RotaryGrid((ROWS, COLUMNS), trained_grid=trained)
    query, key = (np.repeat(y, ROWS * COLUMNS, axis=2) for y in normal(2, 1, 1, 1, W))
    query, key = (numpy(layer.rotate(y, np.arange(ROWS * COLUMNS)))[0, 0] for y in (query, key))
    seen: dict[tuple[int, int], list[float]] = {}
    for i, j in np.ndindex(ROWS * COLUMNS, ROWS * COLUMNS):
        seen.setdefault((ROW[i] - ROW[j], COLUMN[i] - COLUMN[j]), []).append(query[i] @ key[j])
    assert len(seen) == (2 * ROWS - 1) * (2 * COLUMNS - 1)
    assert max(np.ptp(scores) for scores in seen.values()) < 1e-4
    means = np.sort([np.mean(scores) for scores in seen.values()])
    assert np.diff(means).min() > 1e-4  # and tell every such distance from the others


def bilinear(picture, rows, columns) -> np.ndarray:
    """(R, C, D) -> (rows, columns, D), between the centres of what it has, and no further than the outermost."""

    def between(x, size):
        place = np.clip((np.arange(size) + 0.5) * len(x) / size - 0.5, 0, len(x) - 1)
        low = np.minimum(place.astype(int), max(len(x) - 2, 0))
        share = (place - low)[:, None, None]
        return x[low] * (1 - share) + x[np.minimum(low + 1, len(x) - 1)] * share

    return between(between(picture, rows).swapaxes(0, 1), columns).swapaxes(0, 1)


@pytest.mark.parametrize("grid", [(ROWS, COLUMNS), (7, 11), (6, 3), (1, 5), (2, 2)])
def test_learned_grid_resizes_its_table_as_a_picture(grid):
    layer = LearnedGrid(grid, trained_grid=(ROWS, COLUMNS), prefix=PREFIX)
    layer.build((None, None, D))
    assert tuple(layer.table.shape) == (T, D)
    table = normal(T, D)
    layer.table.assign(table)
    places = bilinear(table[PREFIX:].reshape(ROWS, COLUMNS, D), *grid).reshape(-1, D)
    expected = np.concatenate([table[:PREFIX], places])
    output = numpy(layer(np.zeros((B, len(expected), D), "float32")))
    np.testing.assert_allclose(output, np.broadcast_to(expected, output.shape), atol=1e-5)


def test_weights_of_one_resolution_train_on_at_another():
    layer = LearnedGrid((4, 6), trained_grid=(2, 3), prefix=1)
    model = keras.Sequential([keras.Input((25, D)), layer])
    before = numpy(layer.table)
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(np.zeros((B, 25, D), "float32"), np.ones((B, 25, D), "float32"))
    assert (np.abs(numpy(layer.table) - before) > 1e-4).all()


@pytest.mark.parametrize("cls", [SinusoidalGrid, LearnedGrid])
def test_more_tokens_than_the_grid_has_places_are_refused(cls):
    with pytest.raises(ValueError, match=r"Grid expects positions from 0 to 16. Received: positions from 0 to 17"):
        cls((ROWS, COLUMNS), prefix=PREFIX)(normal(B, T + 1, D))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RotaryGrid((0, 5)), r"grid=\(0, 5\), trained_grid=None, prefix=0"),
        (lambda: RotaryGrid((3, 5), trained_grid=(3,)), r"trained_grid=\(3,\)"),
        (lambda: RotaryGrid((3, 5), prefix=-1), "prefix=-1"),
        (lambda: RotaryGrid((3, 5)).rotate(normal(B, H, 5, 6), np.arange(5)), "that 4 divides. Received: head width 6"),
        (lambda: RotaryGrid((3, 5)).rotate(normal(B, H, 1, W), np.array([15])), "from 0 to 14. Received: .* 15 to 15"),
        (lambda: SinusoidalGrid((3, 5))(normal(B, 5, 6)), r"that 4 divides. Received: inputs of shape \(2, 5, 6\)"),
    ],
)
def test_impossible_use_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
