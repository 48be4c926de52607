"""Rules for behaviours, on motion whose behaviours are known."""

from __future__ import annotations

import numpy as np
import pytest

from vrodent.behaviour import BEHAVIOURS, RATE, SIGNALS, Detector, detect, signals


def quaternion(axis: tuple[float, float, float], angle: float) -> np.ndarray:
    return np.array([np.cos(angle / 2), *(np.sin(angle / 2) * np.array(axis))])


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    w, v, x, u = a[0], a[1:], b[0], b[1:]
    return np.array([w * x - v @ u, *(w * u + x * v + np.cross(v, u))])


def one(orientation: np.ndarray, velocity=(0.0, 0.0, 0.0), spin=(0.0, 0.0, 0.0), sole=0.0) -> dict[str, float]:
    qpos, qvel = np.array([[1.0, 2.0, 0.1, *orientation]]), np.array([[*velocity, *spin]])
    return dict(zip(SIGNALS, signals(qpos, qvel, np.array([[0.0, 0.0, sole, 0.0]]))[0], strict=True))


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


def test_a_stride_is_a_paw_that_bears_weight_while_the_animal_moves_on() -> None:
    upright = quaternion((0, 0, 1), 0.0)
    assert one(upright, velocity=(0.3, 0, 0), sole=0.5)["striding"] == 1.0
    assert one(upright, velocity=(0.3, 0, 0), sole=0.0)["striding"] == 0.0
    assert one(upright, velocity=(-0.3, 0, 0), sole=0.5)["striding"] == 0.0


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
