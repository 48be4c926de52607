"""Rules for behaviours, on motion whose behaviours are known."""

from __future__ import annotations

import numpy as np
import pytest

from vrodent.analysis.gait import GaitConfig, landings
from vrodent.behaviour import BEHAVIOURS, RATE, SIGNALS, Detector, detect, signals


def quaternion(axis: tuple[float, float, float], angle: float) -> np.ndarray:
    return np.array([np.cos(angle / 2), *(np.sin(angle / 2) * np.array(axis))])


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    w, v, x, u = a[0], a[1:], b[0], b[1:]
    return np.array([w * x - v @ u, *(w * u + x * v + np.cross(v, u))])


def one(orientation: np.ndarray, velocity=(0.0, 0.0, 0.0), spin=(0.0, 0.0, 0.0), paw=(0.0, 0.0, 0.0)) -> dict[str, float]:
    qpos, qvel = np.array([[1.0, 2.0, 0.1, *orientation]]), np.array([[*velocity, *spin]])
    return dict(zip(SIGNALS, signals(qpos, qvel, np.array([paw]))[0], strict=True))


def still(num: int) -> np.ndarray:
    values = np.zeros((num, len(SIGNALS)))
    values[:, SIGNALS.index("upright")] = 1.0
    return values


def begins(values: np.ndarray, name: str) -> list[int]:
    return np.flatnonzero(detect(values)[0][:, list(BEHAVIOURS).index(name)]).tolist()


@pytest.mark.parametrize("heading", [0.0, 1.0, -2.5])
def test_forward_is_along_the_nose_and_pitch_is_up(heading: float) -> None:
    turned = product(quaternion((0, 0, 1), heading), quaternion((0, 1, 0), -0.4))
    seen = one(turned, velocity=(0.5 * np.cos(heading), 0.5 * np.sin(heading), 0.2))
    assert seen["forward"] == pytest.approx(0.5)
    assert seen["speed"] == pytest.approx(0.5)
    assert seen["upward"] == pytest.approx(0.2)
    assert seen["pitch"] == pytest.approx(0.4)
    assert seen["upright"] == pytest.approx(np.cos(0.4))


def test_turning_is_about_the_worlds_vertical() -> None:
    """A body on its side that spins about its own transverse axis turns about the vertical."""
    assert one(quaternion((1, 0, 0), np.pi / 2), spin=(0.0, 3.0, 0.0))["turning"] == pytest.approx(3.0)
    assert one(quaternion((0, 0, 1), 2.0), spin=(0.0, 0.0, -3.0))["turning"] == pytest.approx(-3.0)
    assert one(quaternion((0, 1, 0), 0.3), spin=(5.0, 0.0, 0.0))["turning"] == pytest.approx(-5.0 * np.sin(0.3))


@pytest.mark.parametrize("heading", [0.0, 1.0, -2.5])
def test_reach_is_how_far_the_paw_is_before_the_trunk(heading: float) -> None:
    turned = product(quaternion((0, 0, 1), heading), quaternion((0, 1, 0), -0.4))
    ahead, aside = np.array([np.cos(heading), np.sin(heading), 0]), np.array([-np.sin(heading), np.cos(heading), 0])
    paw = np.array([1.0, 2.0, 0.01]) - 0.05 * ahead + 0.03 * aside  # the trunk is at (1, 2)
    assert one(turned, paw=tuple(paw))["reach"] == pytest.approx(-0.05)


def walking(reach: np.ndarray, speed: float = 0.4) -> np.ndarray:
    values = still(len(reach))
    values[:, SIGNALS.index("forward")] = values[:, SIGNALS.index("speed")] = speed
    values[:, SIGNALS.index("reach")] = reach
    return values


def to_and_fro(seconds: float, frequency: float, forward: float = 0.4, size: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
    """A paw that goes forward in `forward` of each stride and back in the rest; and the times, s, at which it is foremost."""
    phase = np.arange(round(seconds * RATE)) / RATE * frequency
    reach = size * np.interp(phase % 1, [0, forward, 1], [-1, 1, -1]) - 0.06
    return reach, (np.arange(int(seconds * frequency) + 1) + forward) / frequency


@pytest.mark.parametrize("frequency", [1.3, 3.0, 6.1])
def test_planted_strides_begin_in_the_first_frame_in_which_the_paw_has_turned_back(frequency: float) -> None:
    reach, foremost = to_and_fro(6.0, frequency)
    falls = np.flatnonzero(np.diff(reach) < 0) + 1
    expected = [int(falls[falls >= time * RATE][0]) for time in foremost if time * RATE <= falls[-1]]
    assert begins(walking(reach), "stride") == expected
    going_on = detect(walking(reach))[1][:, list(BEHAVIOURS).index("stride")]
    assert going_on[expected[0] :].mean() == pytest.approx(0.6, abs=0.06)  # it lasts while the paw goes back


def test_no_strides_without_walking_on_or_with_a_paw_that_only_trembles() -> None:
    reach, _ = to_and_fro(4.0, 3.0)
    assert begins(walking(reach, speed=0.05), "stride") == [] == begins(walking(reach, speed=-0.4), "stride")
    assert begins(walking(to_and_fro(4.0, 3.0, size=0.0045)[0]), "stride") == []
    assert len(begins(walking(to_and_fro(4.0, 3.0, size=0.007)[0]), "stride")) == 12


def test_a_hitch_on_the_way_forward_makes_no_second_stride() -> None:
    reach = np.concatenate([np.linspace(0, 0.02, 6), [0.018], np.linspace(0.02, 0.05, 6), np.linspace(0.05, 0, 10), np.linspace(0, 0.04, 6),
                            np.linspace(0.04, 0, 6)])  # fmt: skip
    # It is told at the hitch, since nothing looks ahead; then not before the paw has been back.
    assert begins(walking(reach), "stride") == [6, 30]


def test_strides_told_as_they_happen_are_those_told_afterwards() -> None:
    """Against `gait.landings`, which sees the whole trial, on a paw that trembles by half a millimetre and changes its pace."""
    rng = np.random.default_rng(2)
    phase = np.cumsum(rng.uniform(2.0, 5.0, 12).repeat(50)) / RATE
    reach = 0.025 * np.sin(2 * np.pi * phase) + rng.normal(0, 2e-4, len(phase))
    afterwards = landings(reach, RATE, GaitConfig())[0] * RATE
    found = np.array(begins(walking(reach), "stride"))
    assert len(afterwards) > 25 and abs(len(found) - len(afterwards)) <= 1  # one at the very end may not have turned yet
    late = np.array([found[np.abs(found - frame).argmin()] - frame for frame in afterwards])
    assert (np.abs(late) <= 2).all() and 0 < late.mean() < 1.5


def test_a_frame_without_a_place_of_the_paw_changes_no_strides() -> None:
    reach, _ = to_and_fro(4.0, 3.0)
    gone = reach.copy()
    gone[[20, 21, 70]] = np.nan
    assert len(begins(walking(gone), "stride")) == len(begins(walking(reach), "stride")) == 12


def test_a_behaviour_begins_when_it_has_held_and_once_only() -> None:
    values = still(200)
    values[50:100, SIGNALS.index("pitch")] = 0.8
    values[120:128, SIGNALS.index("pitch")] = 0.8  # 0.16 s: too short
    hold = round(BEHAVIOURS["rear"].hold * RATE)
    assert begins(values, "rear") == [50 + hold - 1]
    going_on = detect(values)[1][:, list(BEHAVIOURS).index("rear")]
    assert np.flatnonzero(going_on).tolist() == list(range(50 + hold - 1, 100))


def test_a_short_failure_does_not_end_a_behaviour_but_a_long_one_does() -> None:
    values = still(200)
    values[20:, SIGNALS.index("turning")] = 3.0
    values[60:62, SIGNALS.index("turning")] = 0.0
    values[100:110, SIGNALS.index("turning")] = 0.0
    assert begins(values, "turn_left") == [24, 114]
    assert begins(-values, "turn_right") == [24, 114]
    assert begins(values, "turn_right") == []


def test_still_animals_and_missing_values_do_nothing() -> None:
    assert not detect(still(100))[0].any()
    assert not detect(np.full((100, len(SIGNALS)), np.nan))[0].any()


def test_worlds_are_told_apart_and_forget_on_a_new_trial() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((60, 2, len(SIGNALS))).cumsum(axis=0) * 0.3
    alone = [detect(values[:, world])[0] for world in range(2)]
    detector = Detector(2)
    together = np.array([detector.update(frame)[0] for frame in values])
    assert np.array_equal(together, np.stack(alone, axis=1)) and together.any()
    detector.restart(1)
    again = np.array([detector.update(np.stack([frame[0], frame[1]]))[0] for frame in values])
    assert np.array_equal(again[:, 1], alone[1])
