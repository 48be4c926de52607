"""The gait of planted walkers beside that of rats, as a stored result."""

import numpy as np
import pytest
from tests.analysis.movers import KEYPOINTS, RATE, prepared, together, upright
from tests.analysis.test_gait import walker

from vrodent.analysis import AnalysisConfig, Result
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, Prepared
from vrodent.analysis.features import MOVEMENT
from vrodent.analysis.gait import PAWS, rat_frequency
from vrodent.analysis.gait_tables import gait, judge_gait

CONFIG = AnalysisConfig(num_bootstrap=200)


def walkers(task: str, pairs: list[tuple[float, float]], touch: bool = True) -> Prepared:
    """A session with a trial for each (stride frequency, speed); the left palm feels the ground while its paw goes back."""
    signals, raw = [], []
    for frequency, speed in pairs:
        course = walker(frequency, speed)
        pose = np.zeros((len(course.forward), 3 * len(KEYPOINTS)))
        for paw, name in enumerate(PAWS):
            pose[:, 3 * KEYPOINTS.index(name)] = course.paws[:, paw]
        movement = np.zeros((len(course.forward), len(MOVEMENT)))
        movement[:, MOVEMENT.index("forward")] = speed
        signals.append({"pose": pose, "movement": movement})
        series = upright(len(movement), touch)
        if touch:
            series["touch"][1:, 0] = (np.diff(course.paws[:, 2]) < 0) * 2.0
        raw.append(series)
    return prepared(task, signals, raw)


def made(data: Data) -> Result:
    return gait(data, CONFIG, np.random.default_rng(0), lambda: None)


def like_rats(factor: float) -> list[tuple[float, float]]:
    return [(factor * float(rat_frequency(np.array(speed))), speed) for speed in (0.2, 0.3, 0.45, 0.6)]


def test_frequency_and_speed_are_those_planted() -> None:
    pairs = [(2.0, 0.12), (2.2, 0.14), (5.0, 0.7), (5.2, 0.75)]
    result = made(together(walkers("gaps", pairs[:2]), walkers("forage", pairs[2:])))
    assert result["task_frequency"] == pytest.approx([2.1, 5.1], rel=0.03)
    assert result["task_speed"] == pytest.approx([0.13, 0.725])
    assert (result["task_frequency_low"] <= result["task_frequency"]).all()
    filled = result["class_strides"] > 0
    assert result["class_low"][filled].tolist() == [0.1, 0.6] and result["class_frequency"][filled] == pytest.approx([2.1, 5.1], rel=0.03)
    assert np.isnan(result["class_frequency"][~filled]).all()
    assert result["phase"][:, 1] == pytest.approx(0.5, abs=0.05)
    assert result["run_trial"] == 3 and result["run_speed"] == pytest.approx(0.75) and result["run_down"].shape == (60, 4)
    palm = list(PAWS).index("forepaw_L")
    assert (result["touch_in_stance"][:, palm] > 0.9).all() and (result["touch_else"][:, palm] < 0.35).all()
    assert (result["touch_in_stance"][:, 0] == 0).all()  # soles that never feel anything say so


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "reproduced"), (2.0, "opposite"), (0.5, "opposite")])
def test_the_claim_is_judged_by_the_ratio_to_rats(factor: float, verdict: str) -> None:
    finding = judge_gait(made(together(walkers("gaps", like_rats(factor)))))[0]
    assert finding.verdict == verdict
    assert finding.low <= finding.value <= finding.high
    assert float(finding.remark.split(" ")[0]) == pytest.approx(factor, rel=0.04)


def test_a_ratio_of_five_quarters_is_undecided() -> None:
    spread = [(f * factor, v) for (f, v), factor in zip(like_rats(1.25), (0.93, 1.07, 0.97, 1.03), strict=True)]
    assert judge_gait(made(together(walkers("gaps", spread))))[0].verdict == "undecided"


def test_says_what_it_lacks() -> None:
    with pytest.raises(AnalysisError, match="in any of 2 trials: the animal does not walk"):
        made(together(walkers("bowl", [(3.0, 0.0), (3.0, 0.0)])))
    result = made(together(walkers("gaps", [(3.0, 0.3)], touch=False), walkers("bowl", [(3.0, 0.0)], touch=False)))
    assert result.notes == ("bowl: no straight, upright, forward stride.",)
    assert np.isnan(result["touch_in_stance"]).all() and result["num_strides"].tolist()[1] == 0
    assert judge_gait(result) == []  # one trial has no interval
    assert result["run_rate"] == RATE
