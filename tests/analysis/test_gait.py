"""Strides of a planted walker are found with its frequency, duty factor and phases; nobody who stands, turns or lies strides."""

import numpy as np
import pytest

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.gait import (
    RAT_FREQUENCY,
    RAT_SPEED,
    Course,
    GaitConfig,
    circular_mean,
    fastest_run,
    landings,
    rat_frequency,
    stance,
    strides,
)

RATE = 50.0
TROT = (0.0, 0.5, 0.5, 0.0)
"""Phase at which each paw lands in the stride of the left hind paw: diagonal pairs together."""


def sawtooth(time: np.ndarray, frequency: float, landing: float, duty: float, reach: float = 0.03) -> np.ndarray:
    """(time,) m, a paw that lands in front at phase `landing`, goes back for `duty` of the stride, and swings forward for the rest."""
    phase = (time * frequency - landing) % 1
    return reach * np.where(phase < duty, 1 - 2 * phase / duty, -1 + 2 * (phase - duty) / (1 - duty))


def walker(frequency: float, speed: float, *, seconds: float = 8.0, duty: float = 0.6, turn: float = 0.0, upright: float = 1.0) -> Course:
    time = np.arange(round(seconds * RATE)) / RATE
    paws = np.column_stack([sawtooth(time, frequency, landing, duty) for landing in TROT])
    return Course(
        paws=paws + np.array([-0.06, -0.06, 0.06, 0.06]),
        forward=np.full(len(time), speed),
        turning=np.full(len(time), turn),
        upright=np.full(len(time), upright),
    )


@pytest.mark.parametrize("frequency", [1.7, 4.0, 6.3])
def test_a_planted_frequency_is_found(frequency: float) -> None:
    found = strides([walker(frequency, 0.4)], RATE, GaitConfig())
    assert len(found) >= 4 * (8 * frequency - 3)
    assert found.frequency.mean() == pytest.approx(frequency, rel=0.02)
    assert found.speed == pytest.approx(0.4)
    # A frame is 20 ms, so a single stride is off by a frame at most.
    assert np.abs(found.duration - 1 / frequency).max() < 0.021


def test_a_smooth_paw_is_timed_between_frames() -> None:
    time = np.arange(400) / RATE
    landed, lifted = landings(0.03 * np.cos(2 * np.pi * 4.1 * (time - 0.013)), RATE, GaitConfig())
    expected = 0.013 + np.arange(1, 33) / 4.1
    assert np.abs(landed[:, None] - expected).min(axis=1).max() < 0.002
    assert np.abs(np.diff(landed) - 1 / 4.1).max() < 0.003
    assert lifted - landed[:-1] == pytest.approx(0.5 / 4.1, abs=0.003)


def test_duty_and_phases_are_those_planted() -> None:
    found = strides([walker(2.5, 0.3, duty=0.7)], RATE, GaitConfig())
    assert found.duty.mean() == pytest.approx(0.7, abs=0.04)
    left_hind = found.phase[found.paw == 0]
    for paw, expected in ((1, 0.5), (2, 0.5), (3, 0.0)):
        mean, concentration = circular_mean(left_hind[:, paw])
        assert abs((mean - expected + 0.5) % 1 - 0.5) < 0.04 and concentration > 0.95
    assert found.excursion == pytest.approx(0.06, abs=0.008)
    down = stance(walker(2.5, 0.3, duty=0.7).paws[:, 0], RATE, GaitConfig())
    assert down[40:-40].mean() == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize(
    "course",
    [walker(4.0, 0.0), walker(4.0, -0.4), walker(4.0, 0.4, turn=2.0), walker(4.0, 0.4, upright=0.2), walker(0.5, 0.4)],
    ids=["on the spot", "backward", "turning", "on its side", "too slow"],
)
def test_what_is_not_walking_straight_forward_is_no_stride(course: Course) -> None:
    assert len(strides([course], RATE, GaitConfig())) == 0
    assert fastest_run([course], RATE, GaitConfig()) is None


def test_jitter_is_no_stride() -> None:
    rng = np.random.default_rng(0)
    still = walker(4.0, 0.4)
    shaking = Course(paws=0.001 * rng.normal(size=still.paws.shape), forward=still.forward, turning=still.turning, upright=still.upright)
    assert len(strides([shaking], RATE, GaitConfig())) == 0


def test_the_fastest_run_is_chosen_and_drawn() -> None:
    slow, fast, turning = walker(2.0, 0.2), walker(5.0, 0.9, duty=0.4), walker(5.0, 1.5, turn=3.0)
    run = fastest_run([slow, fast, turning], RATE, GaitConfig())
    assert run is not None and run.trial == 1 and run.speed == pytest.approx(0.9)
    assert run.down.shape == (60, 4)
    # In a trot the diagonal pairs are down together, and the two pairs in turn.
    assert (run.down[:, 0] == run.down[:, 3]).all() and (run.down[:, 1] == run.down[:, 2]).all()
    assert not (run.down[:, 0] & run.down[:, 1]).any()


def test_rats_frequency_meets_its_source_at_both_ends_and_says_nothing_beyond() -> None:
    assert rat_frequency(np.array(RAT_SPEED)) == pytest.approx(RAT_FREQUENCY)
    assert 1 / rat_frequency(np.array([0.10, 0.78])) == pytest.approx([0.685, 0.215])
    assert np.isnan(rat_frequency(np.array([0.05, 1.0]))).all()
    assert (np.diff(rat_frequency(np.linspace(*RAT_SPEED, 20))) > 0).all()


def test_refuses() -> None:
    good = walker(4.0, 0.4)
    with pytest.raises(AnalysisError, match="forward holds NaN or infinity in 400 places"):
        Course(paws=good.paws, forward=good.forward * np.nan, turning=good.turning, upright=good.upright)
    with pytest.raises(AnalysisError, match=r"expected \(time, 4\)"):
        Course(paws=good.paws[:, :3], forward=good.forward, turning=good.turning, upright=good.upright)
    with pytest.raises(AnalysisError, match=r"shortest < longest, got 2\.0 and 1\.2"):
        GaitConfig(shortest=2.0)
    assert len(strides([], RATE, GaitConfig())) == 0 and np.isnan(circular_mean(np.full(3, np.nan))[0])
