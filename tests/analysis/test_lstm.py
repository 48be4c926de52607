"""The LSTM by itself: its Jacobian against differences, and layers whose fixed points and eigenvalues are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from vrodent.analysis import AnalysisError
from vrodent.analysis.lstm import (
    SearchConfig,
    cells_at_rest,
    fixed_points,
    jacobian,
    modes,
    rotation_frequency,
    run,
    slowest,
    step,
    time_constant,
)

RATE = 50.0


def random_layer(units: int, seed: int = 0, gain: float = 1.5) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, gain / np.sqrt(units), (units, 4 * units))
    return weight, rng.normal(0, 1, 4 * units), rng.uniform(-0.9, 0.9, units), rng.normal(0, 1.5, units)


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_one_unit_by_hand() -> None:
    """All gates half open, the cell gate at tanh(1): c = 0.5 * 2 + 0.5 tanh(1)."""
    h, c = step(np.zeros((1, 4)), np.array([0.0, 0.0, 1.0, 0.0]), np.array([0.3]), np.array([2.0]))
    assert c[0] == pytest.approx(1.0 + 0.5 * np.tanh(1.0), abs=1e-15)
    assert h[0] == pytest.approx(0.5 * np.tanh(c[0]), abs=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_the_jacobian_is_the_slope(seed: int) -> None:
    weight, drive, h, c = random_layer(7, seed)
    at = np.concatenate([h, c])

    def moved(x: np.ndarray) -> np.ndarray:
        return np.concatenate(step(weight, drive, x[:7], x[7:]))

    small = 1e-6
    differences = np.stack([(moved(at + small * e) - moved(at - small * e)) / (2 * small) for e in np.eye(14)], axis=1)
    assert np.allclose(jacobian(weight, drive, h, c), differences, atol=1e-8)


def test_a_layer_without_recurrence_rests_where_arithmetic_says() -> None:
    """c = i g / (1 - f), and deviations of c fade by f a step: the eigenvalues are the forget gates, and zeros for h."""
    forget = np.array([0.5, 0.9, 0.98])
    drive = np.concatenate([np.zeros(3), [logit(f) for f in forget], np.full(3, np.arctanh(0.1)), np.zeros(3)])
    rng = np.random.default_rng(0)
    points, speeds = fixed_points(np.zeros((3, 12)), drive, rng.normal(size=(5, 3)), rng.normal(size=(5, 3)))
    assert len(points.h) == 1 and points.stable.all() and (speeds <= 1e-9).all()
    assert points.c[0] == pytest.approx(0.5 * 0.1 / (1 - forget), abs=1e-6)
    assert points.h[0] == pytest.approx(0.5 * np.tanh(points.c[0]), abs=1e-6)
    assert np.abs(points.eigenvalues[0]) == pytest.approx([0.98, 0.9, 0.5, 0, 0, 0], abs=1e-9)
    assert time_constant(points.eigenvalues[0][0], RATE) == pytest.approx(-0.02 / np.log(0.98))


def latch(strength: float) -> tuple[np.ndarray, np.ndarray]:
    """One unit, input and output gates open, forget gate shut, that feeds itself: h = tanh(tanh(strength h))."""
    return np.array([[0.0, 0.0, strength, 0.0]]), np.array([60.0, -60.0, 0.0, 60.0])


def test_a_latch_has_three_points_of_which_the_middle_one_is_unstable() -> None:
    weight, drive = latch(2.0)
    starts = np.linspace(-0.9, 0.9, 9)[:, None]
    points, _ = fixed_points(weight, drive, starts, np.arctanh(starts))
    order = points.h[:, 0].argsort()
    h = points.h[order, 0]
    assert len(h) == 3 and h[1] == pytest.approx(0, abs=1e-8) and h[2] == pytest.approx(-h[0])
    assert h[2] == pytest.approx(np.tanh(np.tanh(2.0 * h[2])), abs=1e-8)
    assert points.stable[order].tolist() == [True, False, True]
    assert points.eigenvalues[order[1], 0] == pytest.approx(2.0)  # the slope of tanh(tanh(2 h)) at 0
    ends, _, speed = run(weight, drive, np.array([[0.01], [-0.01]]), np.array([[0.01], [-0.01]]), 200)
    assert ends[:, 0] == pytest.approx([h[2], h[0]]) and speed.max() < 1e-12


def test_a_weak_latch_has_one_stable_point() -> None:
    points, _ = fixed_points(*latch(0.5), np.array([[0.8], [-0.5]]), np.array([[1.0], [0.2]]))
    assert points.h == pytest.approx(np.zeros((1, 1)), abs=1e-8) and points.stable.all()
    assert points.eigenvalues[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("frequency", [1.0, 3.0, 7.0])
def test_a_planted_rotation_turns_and_fades_as_planted(frequency: float) -> None:
    """Two units whose cells get the other's output: around rest the state turns by 2 pi f / 50 a step and shrinks by 0.95."""
    angle, shrink = 2 * np.pi * frequency / RATE, 0.95
    weight = np.zeros((2, 8))
    # With input and output gates open and the forget gate shut, c after = tanh(W h) and h = tanh(c): the slope at rest is W.
    weight[:, 4:6] = shrink * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    drive = np.array([60.0, 60, -60, -60, 0, 0, 60, 60])
    points, _ = fixed_points(weight, drive, np.full((1, 2), 0.2), np.full((1, 2), 0.2))
    leading = points.eigenvalues[0, 0]
    assert leading.imag > 0
    assert rotation_frequency(leading, RATE) == pytest.approx(frequency)
    assert time_constant(leading, RATE) == pytest.approx(-0.02 / np.log(shrink))


def test_a_layer_that_only_counts_has_no_fixed_point_and_says_how_slow_it_gets() -> None:
    """With the forget gate wide open and a steady input, c grows by the same amount for ever."""
    drive = np.array([0.0, 60.0, np.arctanh(0.2), 0.0])
    points, speeds = fixed_points(np.zeros((1, 4)), drive, np.array([[0.0], [0.4]]), np.array([[0.0], [5.0]]))
    assert len(points.h) == 0 and points.eigenvalues.shape == (0, 2) and points.stable.shape == (0,)
    assert speeds == pytest.approx([0.1, 0.1])


def test_searches_in_a_layer_of_many_units_end_at_true_fixed_points() -> None:
    weight, drive, _, _ = random_layer(24, seed=4, gain=2.5)
    rng = np.random.default_rng(1)
    points, _ = fixed_points(weight, drive, rng.uniform(-0.5, 0.5, (6, 24)), rng.normal(size=(6, 24)))
    assert len(points.h) >= 1
    for h, c, found, _ in zip(*points, strict=True):
        again = step(weight, drive, h, c)
        assert np.abs(again[0] - h).max() < 1e-9 and np.abs(again[1] - c).max() < 1e-9
        assert (np.diff(np.abs(found)) <= 1e-9).all()
        assert np.allclose(np.sort_complex(found), np.sort_complex(np.linalg.eigvals(jacobian(weight, drive, h, c))), atol=1e-6)


def test_a_search_never_goes_faster_than_it_began() -> None:
    weight, drive, h, c = random_layer(12, seed=9, gain=4.0)
    began = np.abs(np.concatenate(step(weight, drive, h, c)) - np.concatenate([h, c]))
    for most in (1, 3, 10):
        end = slowest(weight, drive, h, c, SearchConfig(most_steps=most))
        after = np.concatenate(step(weight, drive, end.h, end.c)) - np.concatenate([end.h, end.c])
        assert np.linalg.norm(after) <= np.linalg.norm(began) and end.steps <= most
        assert end.speed == pytest.approx(np.abs(after).max())


def test_growth_and_neutrality_have_their_signs() -> None:
    assert time_constant(np.array([0.5, 2.0]), RATE) == pytest.approx([0.02 / np.log(2), -0.02 / np.log(2)])
    assert np.isinf(time_constant(np.array(1.0 + 0j), RATE))
    assert rotation_frequency(np.array([1j, -0.5, 0.7]), RATE) == pytest.approx([12.5, 25.0, 0.0])


def test_a_mode_of_a_full_cell_does_not_show_in_the_outputs() -> None:
    """Two units without recurrence that forget alike; the one whose cell rests at 50 is full, the other's rests at 0.5."""
    drive = np.array([0.0, 0, logit(0.99), logit(0.99), np.arctanh(0.999), np.arctanh(0.01), 0, 0])
    h, c = cells_at_rest(np.zeros((2, 8)), drive, np.zeros(2))
    assert c == pytest.approx([49.95, 0.5], rel=1e-6) and h == pytest.approx(0.5 * np.tanh(c))
    found, shown = modes(np.zeros((2, 8)), drive, h, c)
    assert np.abs(found) == pytest.approx([0.99, 0.99, 0, 0])
    slope = 0.5 * (1 - np.tanh(0.5) ** 2)  # of the output in the cell
    assert sorted(shown[:2]) == pytest.approx([0.0, slope / np.hypot(1, slope)], abs=1e-3)


def test_searches_that_cannot_be_are_refused() -> None:
    with pytest.raises(AnalysisError, match="most_steps must be positive, got 0"):
        SearchConfig(most_steps=0)
