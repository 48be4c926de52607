"""Tables of perturbation experiments and the claims judged from them, on outcomes whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from vrodent.analysis import AnalysisError, Result
from vrodent.analysis.perturbation_claims import PERTURBATION_CLAIMS, judge_perturbation, summarise
from vrodent.analysis.perturbation_table import MEASURES, Account, Conditions, Outcomes, perturbation_result, wilson_interval

LAYERS = ("core", "policy0", "policy1")
CONDITIONS = Conditions(layer=("", *(layer for layer in LAYERS for _ in range(2))), selection=("none", *("top",) * 6), k=(0, *(1, 8) * 3))
CORE, LAST = 2, 6
"""Conditions in which all units of the core, and of the last policy layer, are held."""


def experiment(
    seed: int = 0, *, trials: int = 12, speed=None, success=None, elicited=None, mode: str = "inactivate", name="perturbation_gaps"
) -> Result:
    """Speeds and successes by condition, 1 unless given, with noise shared by all conditions of a trial."""
    rng = np.random.default_rng(seed)
    shape = (7, trials)
    shared = rng.normal(1.0, 0.2, trials)
    values = {measure: np.tile(shared, (7, 1)) + 0.01 * rng.standard_normal(shape) for measure in MEASURES}
    for measure, planted in (("upright_speed", speed), ("success", success)):
        for condition, factor in (planted or {}).items():
            values[measure][condition] *= factor
    hits = np.zeros(shape, int)
    for condition, share in (elicited or {}).items():
        hits[condition] = rng.binomial(5, share, trials)
    outcomes = Outcomes(values=values, success=values["success"] > 0.5, openings=np.full(shape, 5), elicited=hits)
    account = Account(name=name, layers=LAYERS, ranking={}, parameters={"mode": mode, "success_measure": "gaps_crossed"})
    return perturbation_result(CONDITIONS, outcomes, account, rng, num_bootstrap=400)


def test_wilson_is_that_of_statsmodels() -> None:
    successes, trials = np.array([0, 1, 7, 20, 20, 0]), np.array([10, 10, 20, 20, 300, 0])
    share, low, high = wilson_interval(successes, trials)
    for i in range(5):
        assert (low[i], high[i]) == pytest.approx(proportion_confint(successes[i], trials[i], method="wilson"))
    assert np.isnan([share[5], low[5], high[5]]).all()
    assert low[0] == 0.0 and high[3] == 1.0


def test_a_planted_loss_is_found_and_paired_noise_drops_out() -> None:
    found = experiment(speed={LAST: 0.4})
    column = found["measure"].tolist().index("upright_speed")
    difference, low, high = (found[f"difference{part}"][LAST, column] for part in ("", "_low", "_high"))
    assert low < difference < high < -0.5 and difference == pytest.approx(-0.6, abs=0.15)
    assert found["q_value"][LAST, column] < 0.05
    others = [1, 2, 3, 4, 5]
    assert (found["difference_low"][others, column] < 0.02).all() and (found["difference_high"][others, column] > -0.02).all()
    assert (found["difference"][0] == 0).all() and np.isnan(found["p_value"][0]).all()
    assert found["mean"][0, column] == pytest.approx(found["value"][0, :, column].mean())


def test_without_a_loss_little_is_found() -> None:
    p = np.concatenate([experiment(seed)["p_value"][1:].ravel() for seed in range(10)])
    assert 0.01 < np.mean(p < 0.05) < 0.1


def test_shares_pool_the_trials() -> None:
    found = experiment(success={CORE: 0.0}, elicited={LAST: 0.9})
    assert found["success_share"][CORE] == 0.0 and found["success_share"][0] > 0.9
    assert found["elicited_share"][LAST] == found["elicited"][LAST].sum() / 60
    assert found["elicited_share_low"][LAST] > found["elicited_share_high"][0]


def test_one_trial_has_no_interval_and_saves(tmp_path) -> None:
    found = experiment(trials=1)
    assert np.isnan(found["mean_low"]).all() and np.isfinite(found["mean"]).all()
    again = Result.load(found.save(tmp_path))
    assert all(np.array_equal(again[name], found[name], equal_nan=found[name].dtype.kind == "f") for name in found.arrays)


def test_outcomes_that_do_not_fit_are_refused() -> None:
    good = experiment()
    account = Account(name="x", layers=LAYERS, ranking={}, parameters={})
    values = {"success": good["value"][:, :, 0]}
    outcomes = Outcomes(values=values, success=good["success"] > 0, openings=good["openings"], elicited=good["elicited"])
    rng = np.random.default_rng(0)
    with pytest.raises(AnalysisError, match=r"openings must be \(condition, trial\) = \(7, 12\), got \(6, 12\)"):
        perturbation_result(CONDITIONS, replace(outcomes, openings=good["openings"][1:]), account, rng)
    with pytest.raises(AnalysisError, match="success holds values that are not finite"):
        perturbation_result(CONDITIONS, replace(outcomes, values={"success": values["success"] * np.nan}), account, rng)
    with pytest.raises(AnalysisError, match="intact"):
        Conditions(layer=("core",), selection=("top",), k=(1,))


def verdicts(*experiments: Result) -> list[str]:
    return [finding.verdict for finding in judge_perturbation(summarise(experiments, np.random.default_rng(0), num_bootstrap=400))]


def test_the_papers_pattern_is_reproduced() -> None:
    paper = experiment(speed={LAST: 0.2, CORE: 0.9}, success={LAST: 0.1, CORE: 0.3})
    driven = experiment(1, mode="activate", elicited={LAST: 0.8, CORE: 0.1}, name="perturbation_gaps_activation")
    assert verdicts(paper, driven) == ["reproduced"] * 3
    findings = judge_perturbation(summarise([paper, driven], np.random.default_rng(0), num_bootstrap=400))
    assert findings[0].value == pytest.approx(0.7, abs=0.05) and findings[1].value == pytest.approx(0.6, abs=0.1)
    assert "12 trials of 1 experiment" in findings[0].remark


def test_the_opposite_pattern_is_opposite_and_none_is_undecided() -> None:
    reverse = experiment(speed={CORE: 0.2}, success={CORE: 0.9})
    driven = experiment(1, mode="activate", elicited={LAST: 0.1, CORE: 0.8})
    assert verdicts(reverse, driven) == ["opposite"] * 3
    assert verdicts(experiment(2), experiment(3, mode="activate", elicited={LAST: 0.5, CORE: 0.5})) == ["undecided"] * 3


def test_claims_that_nothing_can_judge_say_why() -> None:
    helpless = experiment(success=dict.fromkeys(range(7), 0.0))
    findings = judge_perturbation(summarise([helpless], np.random.default_rng(0), num_bootstrap=400))
    assert [finding.claim for finding in findings] == [claim.claim for claim in PERTURBATION_CLAIMS]
    assert np.isfinite(findings[0].value) and findings[1].verdict == findings[2].verdict == "undecided"
    assert "never succeeds" in findings[1].remark and "elicits nothing" in findings[2].remark
    still = experiment(speed=dict.fromkeys(range(7), 0.0))
    assert "hardly moves" in judge_perturbation(summarise([still], np.random.default_rng(0)))[0].remark


def test_several_tasks_count_alike() -> None:
    strong, weak = experiment(0, speed={LAST: 0.2}), experiment(1, speed={LAST: 0.6}, trials=40, name="perturbation_bowl")
    summary = summarise([strong, weak], np.random.default_rng(0), num_bootstrap=400)
    assert summary["value"][0] == pytest.approx((0.8 + 0.4) / 2, abs=0.05)
    assert summary["trials"][0] == 52 and summary["experiments"][0] == 2
