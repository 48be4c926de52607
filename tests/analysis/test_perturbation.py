"""Ranking of units by what modulates them, on activity whose modulation is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tests.analysis.signals import red_noise
from tests.analysis.synthetic import make_session

from vrodent.analysis import AnalysisError
from vrodent.analysis.perturbation import counts, default_ks, layer_trials, modulation, occurrences, select_units, time_course

LENGTHS = (400, 300, 500)
PLANTED = (3, 7)


def windows(rng: np.random.Generator) -> list[np.ndarray]:
    """Half a second, six times a trial."""
    masks = [np.zeros(length, bool) for length in LENGTHS]
    for mask in masks:
        for start in rng.choice(len(mask) - 25, 6, replace=False):
            mask[start : start + 25] = True
    return masks


def noise(rng: np.random.Generator, units: int = 12) -> list[np.ndarray]:
    return [red_noise(rng, length, units, 0.2) for length in LENGTHS]


def test_modulated_units_are_found_with_the_size_and_sign_of_their_modulation() -> None:
    rng = np.random.default_rng(0)
    trials, masks = noise(rng), windows(rng)
    for trial, mask in zip(trials, masks, strict=True):
        trial[mask, PLANTED[0]] += 2.0
        trial[mask, PLANTED[1]] -= 3.0
        trial[:, 5] = 0.4  # silent
    found = modulation(trials, masks, rng)
    assert select_units(found.score, 2, "top").tolist() == [7, 3]
    assert found.score[3] > 1.0 and found.score[7] < -1.0
    joined, mask = np.concatenate(trials), np.concatenate(masks)
    direct = (joined[mask].mean(axis=0) - joined[~mask].mean(axis=0)) / joined.std(axis=0).clip(1e-12)
    others = [unit for unit in range(12) if unit != 5]
    assert np.allclose(found.score[others], direct[others]) and found.score[5] == 0.0
    assert (found.p_corrected[list(PLANTED)] < 0.01).all() and np.isnan(found.p_corrected[5])
    assert (found.frames_inside, found.frames) == (int(mask.sum()), 1200)


def test_without_modulation_p_values_are_uniform_and_nothing_stands_out() -> None:
    rng = np.random.default_rng(1)
    results = [modulation(noise(rng, 4), windows(rng), rng, num_null=99) for _ in range(40)]
    p = np.concatenate([found.p_value for found in results])
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean([np.nanmin(found.p_corrected) < 0.05 for found in results]) < 0.2


def test_modulation_refuses_what_it_cannot_do() -> None:
    rng = np.random.default_rng(0)
    trials = noise(rng)
    with pytest.raises(AnalysisError, match="0 of 1200 frames"):
        modulation(trials, [np.zeros(n, bool) for n in LENGTHS], rng)
    with pytest.raises(AnalysisError, match="1200 of 1200 frames"):
        modulation(trials, [np.ones(n, bool) for n in LENGTHS], rng)
    with pytest.raises(AnalysisError, match="do not pair up"):
        modulation(trials, windows(rng)[:2], rng)
    trials[1][3, 0] = np.nan
    with pytest.raises(AnalysisError, match="trial 1"):
        modulation(trials, windows(rng), rng)


def turning_session(**extra):
    """Still but for a turn to the left in trial 1, frames 50 to 99 of it, and a tap in trial 0."""
    total = sum(LENGTHS)
    qpos, qvel, points = np.zeros((total, 74), np.float32), np.zeros((total, 73), np.float32), np.zeros((total, 25, 3), np.float32)
    qpos[:, 3] = 1.0
    qvel[450:500, 5] = 3.0
    planted = {"qpos": qpos, "qvel": qvel, "keypoints": points} | extra
    return make_session(LENGTHS, planted=planted, events=[("first_tap", 100), ("first_tap", 395)], task="two_tap")


def test_behaviours_and_events_are_found_in_their_trials() -> None:
    session = turning_session()
    turn = occurrences(session, "turn_left")
    assert turn.events == [(1, 54)]  # where it has held for 0.1 s
    assert [np.flatnonzero(mask).tolist() for mask in turn.inside] == [[], list(range(54, 100)), []]
    tap = occurrences(session, "first_tap", before=0.1, after=0.2)
    assert tap.events == [(0, 100), (0, 395)]
    assert np.flatnonzero(tap.inside[0]).tolist() == [*range(95, 111), *range(390, 400)]
    assert {name: count for name, count in counts(session).items() if count} == {"first_tap": 2, "turn_left": 1}


def test_a_trial_with_missing_activity_is_left_out_and_said_to_be() -> None:
    core = np.zeros((sum(LENGTHS), 8), np.float32)
    core[10, 2] = np.nan
    turn = occurrences(turning_session(activity_core_h=core), "turn_left")
    assert turn.used.tolist() == [1, 2] and turn.events == [(0, 54)]
    assert "trial 0 is left out: values missing in activity_core_h" in turn.notes[0]


def test_what_never_happened_or_is_unknown_is_said_with_what_did_happen() -> None:
    with pytest.raises(AnalysisError, match=r"'rear' never happened.*What did: first_tap 2, turn_left 1"):
        occurrences(turning_session(), "rear")
    with pytest.raises(AnalysisError, match=r"no event or behaviour 'dance'.*What happened there: first_tap 2, turn_left 1"):
        occurrences(turning_session(), "dance")


def test_the_time_course_is_the_average_after_the_event() -> None:
    core = np.zeros((sum(LENGTHS), 8), np.float32)
    core[100:120, 0], core[395:400, 0] = np.arange(20), 7.0
    session = turning_session(activity_core_c=core)
    tap = occurrences(session, "first_tap")
    trials = layer_trials(session, "core", tap.used, "c")
    course = time_course(trials, tap.events, 50.0, 0.0, 0.2)  # the second tap is too close to the end of its trial
    assert course.shape == (11, 8) and course[:, 0].tolist() == list(range(11))
    assert time_course(trials, tap.events, 50.0, 0.1, 0.2)[:, 0].tolist() == [0.0] * 5 + list(range(11))
    with pytest.raises(AnalysisError, match="none of 2 events"):
        time_course(trials, tap.events, 50.0, 0.0, 7.0)


def test_choices_are_nested_and_complete() -> None:
    score = np.array([0.1, -3.0, 2.0, 0.0, 0.5])
    assert select_units(score, 3, "top").tolist() == [1, 2, 4]
    assert select_units(score, 2, "bottom").tolist() == [3, 0]
    small, large = (select_units(score, k, "random", np.random.default_rng(2)).tolist() for k in (2, 5))
    assert large[:2] == small and sorted(large) == [0, 1, 2, 3, 4]
    assert default_ks(128) == (1, 4, 16, 64, 128)
    assert default_ks(10) == (1, 4, 10) and default_ks(1) == (1,) and default_ks(16) == (1, 4, 16)


@pytest.mark.parametrize(("k", "how", "says"), [(6, "top", "5 units, got 6"), (0, "top", "got 0"), (1, "best", "'best'")])
def test_impossible_choices_are_refused(k: int, how, says: str) -> None:
    with pytest.raises(AnalysisError, match=says):
        select_units(np.zeros(5), k, how)
