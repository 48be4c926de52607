"""The behaviour of planted movers, as a stored result: map, ethogram, occupancy, held-out trials, exemplars."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from tests.analysis.movers import crowd, fidget, inside, prepared, together

from vrodent.analysis import AnalysisConfig, Result
from vrodent.analysis.behaviour import BehaviourConfig, behaviours, held_out_trials, judge_behaviour
from vrodent.analysis.behaviour_map import MapConfig
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data

QUICK = MapConfig(sample=420, iterations=200, grid=64, bandwidth=0.04, num_null=9, null_sample=300, perplexity=20, placing=50)
CONFIG = AnalysisConfig(num_bootstrap=200, behaviour=BehaviourConfig(map=QUICK))
LENGTHS = (600, 550, 650)


@pytest.fixture(scope="module")
def labels() -> list[np.ndarray]:
    return crowd(4, LENGTHS)[1] + crowd(5, LENGTHS)[1]


@pytest.fixture(scope="module")
def data() -> Data:
    return together(prepared("gaps", crowd(4, LENGTHS)[0]), prepared("bowl", crowd(5, LENGTHS)[0]))


def made(data: Data, config: AnalysisConfig = CONFIG) -> Result:
    return behaviours(data, config, np.random.default_rng(0), lambda: None)


@pytest.fixture(scope="module")
def result(data: Data) -> Result:
    return made(data)


def ethogram(result: Result, trial: int) -> np.ndarray:
    own = result["bout_trial"] == trial
    return np.repeat(result["bout_region"][own], (result["bout_stop"] - result["bout_start"])[own])


def test_the_ethogram_is_the_planted_one_also_in_held_out_trials(result: Result, labels: list[np.ndarray]) -> None:
    assert result["trial_held_out"].tolist() == [False, False, True] * 2
    for trial, planted in enumerate(labels):
        found = ethogram(result, trial)
        assert len(found) == len(planted) == result["trial_frames"][trial]
        steady = inside(planted, 25)
        assert adjusted_rand_score(planted[steady], found[steady]) > 0.8


def test_occupancy_is_the_planted_share(result: Result, labels: list[np.ndarray]) -> None:
    """Changes of movement are smeared by a second or so of wavelet; they go to one side or the other."""
    planted = np.array([np.bincount(part, minlength=3) / len(part) for part in labels])
    every = np.concatenate([ethogram(result, trial) for trial in range(6)])
    joined = np.concatenate(labels)
    match = [int(np.bincount(every[joined == kind]).argmax()) for kind in range(3)]
    assert len(set(match)) == 3
    shares = result["trial_occupancy"]
    assert np.abs(shares.sum(axis=1) - 1).max() < 1e-12
    assert np.abs(shares[:, match] - planted).max() < 0.15
    assert (result["occupancy_low"] <= result["occupancy"]).all() and (result["occupancy"] <= result["occupancy_high"]).all()
    np.testing.assert_allclose(result["occupancy"][1], shares[3:].mean(axis=0))
    assert ((result["likeness"] > 0) & (result["likeness"] <= 1)).all()


def test_exemplars_lie_in_bouts_of_their_region_best_first(result: Result) -> None:
    bouts = set(zip(*(result[f"bout_{name}"].tolist() for name in ("trial", "start", "stop", "region")), strict=True))
    rows = list(zip(*(result[f"exemplar_{name}"].tolist() for name in ("trial", "start", "stop", "region")), strict=True))
    assert rows and set(rows) <= bouts
    assert set(result["exemplar_region"].tolist()) == set(range(len(result["region_name"])))
    for region in range(len(result["region_name"])):
        assert (np.diff(result["exemplar_score"][result["exemplar_region"] == region]) <= 0).all()


def test_kinds_of_movement_stand_out_of_the_null(result: Result) -> None:
    finding = judge_behaviour(result)[0]
    assert finding.low > 0 and finding.p_value == pytest.approx(2 / 10) and finding.verdict == "undecided"  # 9 draws allow no more
    assert result["spread"] > result["spread_null"].max()
    assert finding.remark.startswith(f"{len(result['region_name'])} regions")


def test_the_same_seed_gives_the_same_bytes_and_reads_back(data: Data, result: Result, tmp_path: Path) -> None:
    paths = [made(data).save(tmp_path / "again"), result.save(tmp_path / "first")]
    assert paths[0].with_suffix(".npz").read_bytes() == paths[1].with_suffix(".npz").read_bytes()
    again = Result.load(paths[1])
    assert again["region_name"].tolist() == result["region_name"].tolist() and again.arrays["place"].axes == ("placed", "xy")


def test_one_trial_makes_a_map_without_intervals() -> None:
    config = replace(CONFIG, behaviour=BehaviourConfig(map=replace(QUICK, num_null=0, perplexity=10)))
    alone = made(together(prepared("gaps", crowd(6, [600])[0])), config)
    assert not alone["trial_held_out"].any()
    assert np.isnan(alone["occupancy_low"]).all() and alone["occupancy"].sum() == pytest.approx(1)
    assert judge_behaviour(alone)[0].verdict == "undecided"


def test_held_out_trials_are_spread_and_never_all() -> None:
    assert np.flatnonzero(held_out_trials(12, 5)).tolist() == [4, 9]
    assert np.flatnonzero(held_out_trials(3, 5)).tolist() == [2]
    assert not held_out_trials(2, 5).any() and not held_out_trials(12, 0).any()


def test_refuses() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(AnalysisError, match="40 frames to lay out, at least 61 needed"):
        made(together(prepared("gaps", [fidget(rng, 200)])))
    lacking = prepared("gaps", [fidget(rng, 400)], [{}])
    with pytest.raises(AnalysisError, match="keypoints, torso_position, torso_orientation is missing"):
        made(together(lacking))
    with pytest.raises(AnalysisError, match="held_out 0 or >= 2, got 2 and 1"):
        BehaviourConfig(held_out=1)
    with pytest.raises(AnalysisError, match="least_bout must not be negative"):
        BehaviourConfig(least_bout=-1.0)
