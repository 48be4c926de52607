"""Bouts of a planted ethogram are exact; names follow from planted movement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrodent.analysis.behaviour_bouts import bouts, spread_out
from vrodent.analysis.behaviour_names import KINEMATICS, RULES, kinematics, suggest_name, summary
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.features import MOVEMENT, pose
from vrodent.analysis.gait import PAWS

RATE = 50.0


def test_bouts_of_a_planted_ethogram_are_exact() -> None:
    lengths, kinds = [30, 45, 12, 60], [2, 0, 1, 0]
    found = bouts(np.repeat(kinds, lengths), least=10)
    assert found.start.tolist() == [0, 30, 75, 87] and found.stop.tolist() == [30, 75, 87, 147]
    assert found.label.tolist() == kinds


def test_short_stretches_go_to_their_longer_neighbour_shortest_first() -> None:
    labels = np.repeat([0, 1, 0, 2, 1], [10, 2, 8, 3, 21])
    assert spread_out(bouts(labels, least=5)).tolist() == [0] * 20 + [1] * 24
    assert spread_out(bouts(np.repeat([0, 1, 2], [6, 2, 6]), least=3)).tolist() == [0] * 8 + [2] * 6  # of equals the earlier
    assert bouts(np.array([3, 4, 3]), least=10).stop.tolist() == [3]
    assert spread_out(bouts(labels)).tolist() == labels.tolist()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(1, 12))
def test_bouts_cover_the_trial_and_none_is_too_short(labels: list[int], least: int) -> None:
    found = bouts(np.array(labels), least)
    assert found.start[0] == 0 and found.stop[-1] == len(labels) and (found.start[1:] == found.stop[:-1]).all()
    assert len(found.start) == 1 or (found.stop - found.start).min() >= least
    assert (np.diff(found.label) != 0).all() and set(found.label.tolist()) <= set(labels)


def test_bouts_refuse() -> None:
    with pytest.raises(AnalysisError, match=r"one whole number a frame, got shape \(0,\)"):
        bouts(np.array([], int))
    with pytest.raises(AnalysisError, match="of float64"):
        bouts(np.array([0.0, np.nan]))
    with pytest.raises(AnalysisError, match="at least 1 frame, got 0"):
        bouts(np.array([1]), 0)


def doing(**medians: float) -> dict[str, np.ndarray]:
    """Frames of an upright animal at rest, but for what is given."""
    rest = dict.fromkeys(KINEMATICS, 0.0) | {"upright": 1.0, "height": 0.06} | medians
    rng = np.random.default_rng(0)
    return {name: value + 0.001 * rng.normal(size=101) if name != "flight" else (np.arange(101) < 101 * value) * 1.0
            for name, value in rest.items()}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "medians"),
    [
        ("still", {}),
        ("lying", {"upright": -0.5}),
        ("jump", {"flight": 0.5, "speed": 0.8, "forward": 0.8}),
        ("rear", {"pitch": 1.0, "upright": 0.5}),
        ("rear", {"pitch": 1.3, "upright": 0.3}),
        ("climb", {"upward": 0.1, "speed": 0.2, "forward": 0.2}),
        ("spin left", {"turning": 6.0}),
        ("spin right", {"turning": -6.0, "speed": 0.5, "forward": 0.5}),
        ("run", {"speed": 0.6, "forward": 0.6}),
        ("turn right", {"turning": -2.0, "speed": 0.1, "forward": 0.1}),
        ("walk", {"speed": 0.15, "forward": 0.15}),
        ("back up", {"speed": 0.15, "forward": -0.15}),
        ("groom-like", {"forepaws": 0.4, "hindpaws": 0.02}),
        ("fidget", {"forepaws": 0.4, "hindpaws": 0.4}),
    ],
)
def test_a_name_follows_from_the_movement(name: str, medians: dict[str, float]) -> None:
    assert suggest_name(doing(**medians)) == name
    assert {name.split(" left")[0].split(" right")[0]} <= {rule.name for rule in RULES}


def test_a_region_of_turns_to_both_sides_has_no_side() -> None:
    frames = doing()
    frames["turning"] = np.where(np.arange(101) % 2, 2.0, -2.0)
    assert suggest_name(frames) == "turn"


def test_kinematics_of_a_body_thrown_while_it_leans() -> None:
    """A ballistic arc: 1 m/s ahead, up at 2 m/s, under gravity; the trunk pitched up by 0.5 rad and rolled by nothing."""
    time = np.arange(20) / RATE
    names = [*PAWS, "head"]
    torso = np.column_stack([time, 0 * time, 0.1 + 2 * time - 9.81 * time**2 / 2])
    quaternion = np.tile([np.cos(0.25), 0.0, -np.sin(0.25), 0.0], (20, 1))
    points = torso[:, None] + np.array(
        [[-0.05, 0.02, -0.07], [-0.05, -0.02, -0.05], [0.05, 0.02, -0.06], [0.05, -0.02, -0.06], [0.1, 0, 0]]
    )
    movement = np.zeros((20, len(MOVEMENT)))
    movement[:, MOVEMENT.index("forward")] = 1.0
    movement[:, MOVEMENT.index("upward")] = 2 - 9.81 * time
    movement[:, MOVEMENT.index("pitch")] = 0.5
    signals = {"movement": movement, "pose": pose(points, torso, quaternion)}
    raw = {"keypoints": points, "torso_position": torso, "torso_orientation": quaternion}
    found = kinematics(signals, raw, names, RATE)
    assert set(found) == set(KINEMATICS)
    assert found["flight"].tolist() == [1.0] * 20
    assert found["upright"] == pytest.approx(np.cos(0.5)) and found["height"] == pytest.approx(0.06)
    assert found["speed"] == pytest.approx(1.0) and found["forepaws"] == pytest.approx(0.0, abs=1e-9)
    assert summary(found)["flight"] == 1.0 and suggest_name(found) == "jump"
    with pytest.raises(AnalysisError, match="torso_orientation, forepaw_R is missing"):
        kinematics(signals, {k: v for k, v in raw.items() if k != "torso_orientation"}, names[:3], RATE)
    with pytest.raises(AnalysisError, match="without frames"):
        summary({name: values[:0] for name, values in found.items()})
