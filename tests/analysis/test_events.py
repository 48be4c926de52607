"""Movements planted in kinematics are found where they were put; noise and stillness hold none; sequences and rotations follow them."""

import numpy as np
import pytest
from tests.analysis.signals import red_noise
from tests.analysis.synthetic import make_session

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, prepare
from vrodent.analysis.dynamics_tables import DynamicsConfig, dynamics, judge_dynamics
from vrodent.analysis.events import EventConfig, all_events, movement_events, onsets, thinned, whole
from vrodent.analysis.features import MOVEMENT
from vrodent.analysis.pipeline import AnalysisConfig
from vrodent.analysis.sequence_tables import SequenceConfig, judge_sequences, sequences

RATE = 50.0
LENGTH, TRIALS = 600, 4


def still(time: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Movement of an animal that stands, and reach of its left hind paw."""
    return np.zeros((time, len(MOVEMENT))), np.full(time, -0.06)


def test_planted_movements_are_found_where_they_are() -> None:
    movement, reach = still()
    name = {column: i for i, column in enumerate(MOVEMENT)}
    movement[:, name["forward"]] = 0.4
    for start in (100, 120, 140):
        reach[start - 6 : start + 10] += 0.03 * np.interp(np.arange(-6, 10), [-6, 0, 10], [0, 1, 0])  # it lands at `start`
    movement[200:230, name["turning"]] = -4.0 * np.hanning(30)
    movement[300:340, name["pitch"]] = 0.9
    movement[400:406, name["upward"]] = 0.8
    found = movement_events(movement, reach, RATE)
    assert found["stride"].tolist() == [100, 120, 140]
    assert found["turn"].tolist() == [pytest.approx(214, abs=2)]
    assert found["rear"].tolist() == [300] and found["jump"].tolist() == [400]


def test_rules_keep_out_what_is_none() -> None:
    movement, reach = still()
    name = {column: i for i, column in enumerate(MOVEMENT)}
    assert all(len(frames) == 0 for frames in movement_events(movement, reach, RATE).values())
    reach[100:110] += 0.03 * np.hanning(10)  # a paw put forward in standing is no stride
    movement[150:180, name["forward"]] = 0.4
    reach[150:180] += 0.003 * (-1.0) ** np.arange(30)  # nor is a paw that trembles in walking
    movement[200, name["upward"]] = 0.9  # a jolt is no jump
    movement[295:420, name["roll"]] = 2.0
    movement[300:330, name["upward"]] = 0.9  # on its side
    movement[400:405, name["pitch"]] = 0.9  # too short for a rear
    assert all(len(frames) == 0 for frames in movement_events(movement, reach, RATE).values())
    assert set(movement_events(movement, None, RATE)) == {"turn", "rear", "jump"}


def test_onsets() -> None:
    mask = np.array([0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1], bool)
    assert onsets(mask, 2, 1).tolist() == [2, 5]
    assert onsets(mask, 1, 2).tolist() == [2, 11]
    assert onsets(mask[:2], 2, 2).tolist() == []


def test_events_keep_their_order_and_their_trial() -> None:
    session = make_session((250, 100, 250), task="two_tap", events=[("first_tap", 20), ("first_tap", 300), ("second_tap", 360),
                                                                    ("second_tap_too_late", 400)])  # fmt: skip
    found, _ = all_events(prepare([session]))
    assert found["tap"] == [(0, 20), (1, 10)]  # the second trial is too short to be used, and a tap that never came is none
    assert thinned([(0, i) for i in range(10)], 4) == [(0, 0), (0, 3), (0, 6), (0, 9)]
    assert whole([(0, 5), (0, 50), (0, 95)], [100], 10, 10) == [(0, 50)]


@pytest.mark.parametrize(("setting", "value"), [("jump_speed", 0.0), ("excursion", -1.0)])
def test_refuses_settings(setting: str, value: float) -> None:
    with pytest.raises(AnalysisError, match=str(value)):
        EventConfig(**{setting: value})


def tapping(*, locked: bool) -> Data:
    """Two tasks; eight taps a trial. In `policy0` units follow one another around each tap, or around other times if not `locked`."""
    sessions = []
    for seed, task in enumerate(("gaps", "two_tap")):
        rng = np.random.default_rng(seed)
        total = LENGTH * TRIALS
        taps = np.concatenate([trial * LENGTH + np.arange(60, LENGTH - 60, 60) for trial in range(TRIALS)])
        times = taps if locked else taps + rng.integers(-25, 25, size=len(taps))
        policy = 0.2 * red_noise(rng, total, 12, 0.1)
        for time in times:
            policy += np.exp(-((np.arange(total)[:, None] - time - np.linspace(-25, 25, 12)) ** 2) / 50)
        planted = {"activity_policy0_h": policy, "activity_core_h": red_noise(rng, total, 8, 1.0) + 2.0 * seed, **calm(rng, total)}
        events = [("first_tap", int(tap)) for tap in taps]
        sessions.append(make_session((LENGTH,) * TRIALS, {"core": 8, "policy0": 12}, planted=planted, task=task, seed=seed, events=events))
    return prepare(sessions)


def calm(rng: np.random.Generator, total: int) -> dict[str, np.ndarray]:
    """An animal that stands: no movement event."""
    return {"torso_orientation": np.tile([1.0, 0.0, 0.0, 0.0], (total, 1)) + 1e-4 * rng.normal(size=(total, 4)),
            "torso_velocity": 1e-3 * rng.normal(size=(total, 3))}  # fmt: skip


CONFIG = AnalysisConfig(sequences=SequenceConfig(num_null=79), dynamics=DynamicsConfig(num_null=49, most_conditions=12))


@pytest.fixture(scope="module")
def locked() -> Data:
    return tapping(locked=True)


def test_a_planted_sequence_is_reproduced_and_an_unlocked_one_is_not(locked: Data) -> None:
    found = sequences(locked, CONFIG, np.random.default_rng(0), lambda: None)
    assert found["kind"].tolist() == ["tap"] and found["count"].tolist() == [64]
    assert [f.verdict for f in judge_sequences(found)] == ["reproduced", "reproduced"]
    assert found["p_tiling"][0, 0] > 0.05 and found["order"][0, 1].tolist() == list(range(12))
    loose = sequences(tapping(locked=False), CONFIG, np.random.default_rng(0), lambda: None)
    assert judge_sequences(loose)[0].verdict == "undecided"
    again = sequences(locked, CONFIG, np.random.default_rng(0), lambda: None)
    assert all(again[name].tobytes() == found[name].tobytes() for name in found.arrays)


def test_dynamics_of_planted_sessions(locked: Data) -> None:
    found = dynamics(locked, CONFIG, np.random.default_rng(0), lambda: None)
    assert found["row"].tolist() == ["tap", "task:gaps", "task:two_tap"] and found["behaviour"].tolist() == ["tap"]
    assert found["r2_skew"][0, 1] > 0.5 > found["r2_skew"][0, 0]
    assert found["p_units"][0, 1] == pytest.approx(1 / 50)
    assert found["task_share"][0] > 0.3 and abs(found["task_share"][1]) < 0.05
    verdicts = {f.claim: f.verdict for f in judge_dynamics(found)}
    assert verdicts["The core switches by task more than policy layers do"] == "reproduced"


def test_too_few_events_are_said() -> None:
    rng = np.random.default_rng(0)
    session = make_session((250, 250), planted=calm(rng, 500), events=[("gap_crossed", 100)])
    with pytest.raises(AnalysisError, match="gap: 1 events with whole windows in 1"):
        sequences(prepare([session]), CONFIG, rng, lambda: None)
