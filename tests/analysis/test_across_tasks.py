"""Planted: the core knows the task and the policy layer does not; slow pose separates tasks; two-tap intervals are foretold. And nulls."""

import numpy as np
import pytest
from tests.analysis.signals import red_noise
from tests.analysis.synthetic import make_session
from tests.analysis.worlds import two_tasks

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, prepare
from vrodent.analysis.pipeline import Analysis, AnalysisConfig, _attempt
from vrodent.analysis.rsa import RsaConfig
from vrodent.analysis.scaling import classical_mds, energy_distance
from vrodent.analysis.sharing_tables import SharingConfig, judge_sharing, sharing
from vrodent.analysis.task_overlap import OverlapConfig, judge_overlap, overlap
from vrodent.analysis.timing import TimingConfig, judge_timing, timing, waits

CONFIG = AnalysisConfig(
    num_bootstrap=500,
    rsa=RsaConfig(num_clusters=20, every=3),
    sharing=SharingConfig(cluster_set="joint_angles", num_null=79, folds=3),
    overlap=OverlapConfig(num_null=79, folds=3),
    timing=TimingConfig(num_null=79),
)


def test_scaling_keeps_distances_in_a_plane_and_energy_is_zero_for_the_same_frames() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(15, 2))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    found, share = classical_mds(distance, 2)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found[None], axis=-1), distance, atol=1e-9)
    assert share.sum() == pytest.approx(1.0)
    frames = rng.normal(size=(40, 3))
    near = energy_distance([frames, frames, frames + 3])
    assert near[0, 1] == pytest.approx(0.0, abs=1e-6) and near[0, 2] > 1.5
    # Two single frames: the energy distance is twice their distance.
    assert energy_distance([np.zeros((1, 2)), np.array([[3.0, 4.0]])])[0, 1] == pytest.approx(np.sqrt(10))
    with pytest.raises(AnalysisError, match="square"):
        classical_mds(np.zeros((2, 3)), 2)


@pytest.fixture(scope="module")
def world() -> Data:
    return two_tasks()


def test_a_task_specific_core_and_a_shared_policy_layer(world: Data) -> None:
    found = sharing(world, CONFIG, np.random.default_rng(0), lambda: None)
    assert found["likeness"][1] > 0.7 > 0.4 > found["likeness"][0]
    assert found["likeness_p"][1] == pytest.approx(1 / 80)
    assert abs(found["likeness_null"][1]) < 0.15
    assert found["task_accuracy"][0] > 0.9 and found["task_accuracy"][1] < 0.65
    verdicts = {f.claim: f.verdict for f in judge_sharing(found)}
    assert verdicts == {
        "Policy layers are shared across tasks, the core is specific to them": "reproduced",
        "The core tells the tasks apart better than policy layers do": "reproduced",
        "Fewer layers share more across tasks": "undecided",
    }
    again = sharing(world, CONFIG, np.random.default_rng(0), lambda: None)
    assert all(again[name].tobytes() == found[name].tobytes() for name in found.arrays)


def test_without_a_difference_between_layers_nothing_is_claimed() -> None:
    found = sharing(two_tasks(tell=0.0, seed=3), CONFIG, np.random.default_rng(0), lambda: None)
    verdicts = [f.verdict for f in judge_sharing(found) if "tells the tasks apart" in f.claim]
    assert verdicts == ["undecided"] and found["task_accuracy_p"][0] > 0.02


def posed(*, slow: float, seed: int) -> Data:
    """Two tasks whose keypoints sway slowly by different amounts; forces and joints are the same noise in both."""
    sessions = []
    for number, task in enumerate(("gaps", "bowl")):
        rng = np.random.default_rng(2 * seed + number)
        total = 8 * 250
        sway = red_noise(rng, total, 1, 0.5) * (1 + slow * number)
        keypoints = 0.05 * rng.normal(size=(total, 25, 3)) + sway[:, :, None] * np.sin(np.arange(75)).reshape(25, 3)
        planted = {"keypoints": keypoints, "torso_position": np.zeros((total, 3)), "torso_orientation": np.tile([1.0, 0, 0, 0], (total, 1))}
        sessions.append(make_session((250,) * 8, planted=planted, task=task, seed=2 * seed + number))
    return prepare(sessions)


def test_slow_pose_separates_tasks_that_forces_do_not() -> None:
    found = overlap(posed(slow=4.0, seed=30), CONFIG, np.random.default_rng(0), lambda: None)
    at = {name: i for i, name in enumerate(found["set"])}
    assert found["overlap"][at["pose_slow"]] < 0.6 and found["overlap"][at["forces"]] > 0.8
    assert [f.verdict for f in judge_overlap(found)] == ["reproduced", "reproduced"]
    assert found["cloud"].shape == (6, 2, 150, 2) and found["map"].shape == (6, 16, 2)
    same = overlap(posed(slow=0.0, seed=31), CONFIG, np.random.default_rng(0), lambda: None)
    assert [f.verdict for f in judge_overlap(same)] == ["undecided", "undecided"]


def test_one_task_alone_is_refused_with_its_name() -> None:
    data = prepare([make_session((250, 250), task="bowl")])
    for analysis in (sharing, overlap):
        with pytest.raises(AnalysisError, match="there is only bowl"):
            analysis(data, CONFIG, np.random.default_rng(0), lambda: None)
    with pytest.raises(AnalysisError, match="needs a session of two_tap"):
        timing(data, CONFIG, np.random.default_rng(0), lambda: None)


def tapping(*, foretold: bool) -> Data:
    """Pairs of taps 0.5 to 1.1 s apart; from the first tap on `policy0` holds a value that is the interval, if `foretold`."""
    rng = np.random.default_rng(5)
    trials, length = 5, 600
    activity, events = red_noise(rng, trials * length, 6, 0.1), []
    for trial in range(trials):
        for begin in range(40, length - 80, 90):
            interval, first = int(rng.integers(25, 56)), trial * length + begin
            late = rng.random() < 0.1
            names = ("first_tap", "second_tap_too_late" if late else "second_tap" if 35 <= interval <= 45 else "second_tap_too_soon")
            events += list(zip(names, (first, first + (45 if late else interval)), strict=True))
            if foretold:
                activity[first : first + interval, 0] += interval / 5
    session = make_session((length,) * trials, {"core": 6, "policy0": 6}, task="two_tap", events=events, planted={
        "activity_policy0_h": activity, "activity_core_h": red_noise(rng, trials * length, 6, 0.5)})  # fmt: skip
    return prepare([session])


def test_intervals_that_activity_holds_are_foretold_and_others_are_not() -> None:
    data = tapping(foretold=True)
    found = waits(data.sessions[0])
    assert len(found.trial) == 30 and set(found.outcome) == {"in time", "too soon", "none in time"}
    assert (found.tapped == (found.outcome != "none in time")).all()
    result = timing(data, CONFIG, np.random.default_rng(0), lambda: None)
    at = result["lag"].tolist().index(0.4)
    assert result["foretold"][1, at] > 0.7 and result["foretold_p"][1, at] == pytest.approx(1 / 80)
    assert result["foretold"][0, at] < 0.2
    assert judge_timing(result)[0].verdict == "reproduced"
    assert result["interval_mean"][0] == pytest.approx(result["wait"][found.tapped].mean())
    blind = timing(tapping(foretold=False), CONFIG, np.random.default_rng(0), lambda: None)
    assert judge_timing(blind)[0].verdict == "undecided"


def test_few_taps_show_their_intervals_only_and_none_are_said() -> None:
    quiet = make_session((250, 250), task="two_tap", events=[("first_tap", 30), ("second_tap", 70), ("first_tap", 240)])
    few = timing(prepare([quiet]), CONFIG, np.random.default_rng(0), lambda: None)
    assert few["wait"].tolist() == [0.8] and np.isnan(few["foretold"]).all() and judge_timing(few) == []
    assert few.notes == ("1 pairs of taps in 1 trial(s); 20 in 2 needed to foretell the second tap.",)
    with pytest.raises(AnalysisError, match="never tapped"):
        timing(prepare([make_session((250, 250), task="two_tap")]), CONFIG, np.random.default_rng(0), lambda: None)


def test_a_task_with_one_trial_is_named_where_it_takes_no_part() -> None:
    """And a feature set that one session lacks is no set of any, which is said too."""
    data = prepare([make_session((250, 250), task="gaps"), make_session((250,), task="bowl", seed=1)])
    analysis = Analysis(name="sharing", compute=sharing)
    found = _attempt(analysis, data, CONFIG, np.random.default_rng(0), lambda: None)
    assert not found.present
    assert found.notes == ("sharing needs two tasks with two usable trials each; there is only gaps.",
                           "bowl has fewer than two usable trials and takes no part.")  # fmt: skip
    assert any("vision is no feature set of any session" in note for session in data.sessions for note in session.notes)
