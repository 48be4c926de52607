"""The paper's claims on perturbations, judged by all experiments on one agent together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vrodent.analysis.perturbation_table import KIND
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.statistics import sign_flip_p_value
from vrodent.analysis.verdicts import Claim, Finding

SUMMARY = "perturbation"
"""Name of the result that joins all experiments."""

_SIGNS = "signs of the trials' differences flipped"
PERTURBATION_CLAIMS = (
    Claim(claim="Clamping the last policy layer breaks the movement, clamping the core leaves it", expected=1, section="perturbation",
          statistic="speed on the feet as a share of the intact animal's: core clamped less last policy layer clamped", null=_SIGNS),
    Claim(claim="Clamping the core misdirects the movement it leaves", expected=1, section="perturbation", null=_SIGNS,
          statistic="core clamped, as shares of the intact animal's: speed on the feet less success"),
    Claim(claim="Driving units with the time course of a behaviour elicits it best near the motor output", expected=1,
          section="perturbation", statistic="share of drives that elicit it: last policy layer less core", null=_SIGNS),
)  # fmt: skip

_LEAST_SPEED = 0.01  # m/s; a slower animal has no movement to break


class _Trials(NamedTuple):
    """One experiment's numbers for one claim: what is compared, (trial,) each, and what both are shares of."""

    left: np.ndarray
    right: np.ndarray
    left_base: np.ndarray
    right_base: np.ndarray


def summarise(experiments: Sequence[Result], rng: np.random.Generator, *, num_bootstrap: int = 2000) -> Result:
    """Join experiments for the table of findings.

    Args:
        experiments: results of kind `KIND`.
        rng: source of resamples and signs.
        num_bootstrap: resamples of trials within experiments.
    """
    rows, notes = [], []
    for pick in (_movement, _misdirection, _elicitation):  # in the order of the claims
        parts, reasons = [], []
        for experiment in experiments:
            part = pick(experiment)
            if isinstance(part, str):
                reasons.append(f"{experiment.name}: {part}.")
            else:
                parts.append(part)
        notes += reasons
        rows.append((*_joined(parts, rng, num_bootstrap), len(parts), sum(len(part.left) for part in parts), " ".join(reasons)))
    numbers = np.array([row[:6] for row in rows], float)
    names = ("value", "low", "high", "p_value", "experiments", "trials")
    meanings = ("mean over experiments", "95 % interval, bootstrap over trials within experiments", "95 % interval", f"two-sided: {_SIGNS}",
                "experiments that can judge it", "trials of those")  # fmt: skip
    arrays = {
        "claim": Quantity(values=np.array([claim.claim for claim in PERTURBATION_CLAIMS]), axes=("claim",), unit=""),
        **{name: Quantity(values=numbers[:, i], axes=("claim",), meaning=meanings[i]) for i, name in enumerate(names)},
        "remark": Quantity(values=np.array([row[6] for row in rows], str), axes=("claim",), unit="", meaning="why others cannot"),
        "experiment": Quantity(values=np.array([one.name for one in experiments], str), axes=("experiment",), unit=""),
    }  # fmt: skip
    return Result(name=SUMMARY, kind=SUMMARY, arrays=arrays, notes=tuple(dict.fromkeys(notes)))


def judge_perturbation(summary: Result) -> list[Finding]:
    """Findings on the claims that experiments could judge; the others say why not."""
    out = []
    for i, claim in enumerate(PERTURBATION_CLAIMS):
        remark = str(summary["remark"][i])
        if summary["experiments"][i] == 0:
            out.append(claim.not_measured(f"not measured: {remark or 'no experiment of this kind'}"))
            continue
        value, low, high, p = (float(summary[name][i]) for name in ("value", "low", "high", "p_value"))
        amount = f"{int(summary['trials'][i])} trials of {int(summary['experiments'][i])} experiment(s)"
        out.append(claim.measured(value, low, high, p, null_value=0.0, remark=f"{amount}. {remark}".strip()))
    return out


def is_experiment(result: Result) -> bool:
    """Whether a result is a perturbation experiment."""
    return result.kind == KIND


def largest(experiment: Result, layer: str) -> int | None:
    """The condition in which most units of a layer were perturbed; None if none were."""
    here = np.flatnonzero(experiment["condition_layer"] == layer)
    return None if not len(here) else int(here[np.argmax(experiment["condition_k"][here])])


def _ends(experiment: Result) -> tuple[int, int] | str:
    """Conditions with most units of the core and of the last policy layer; or why there are none."""
    layers = experiment["agent_layer"].tolist()
    core, last = largest(experiment, "core"), largest(experiment, layers[-1]) if len(layers) > 1 else None
    if core is None or last is None:
        return "needs both the core and the last policy layer"
    return core, last


def _values(experiment: Result, measure: str, condition: int) -> np.ndarray:
    return experiment["value"][condition, :, experiment["measure"].tolist().index(measure)]


def _movement(experiment: Result) -> _Trials | str:
    ends = _ends(experiment)
    if experiment.parameters["mode"] != "inactivate":
        return "activation says nothing of what a layer is needed for"
    if isinstance(ends, str):
        return ends
    base, core, last = (_values(experiment, "upright_speed", condition) for condition in (0, *ends))
    if base.mean() < _LEAST_SPEED:
        return "the intact animal hardly moves on its feet"
    return _Trials(core, last, base, base)


def _misdirection(experiment: Result) -> _Trials | str:
    movement = _movement(experiment)
    if isinstance(movement, str):
        return movement
    core = largest(experiment, "core")
    assert core is not None
    base = _values(experiment, "success", 0)
    if base.mean() <= 0:
        return "the intact animal never succeeds"
    return _Trials(movement.left, _values(experiment, "success", core), movement.left_base, base)


def _elicitation(experiment: Result) -> _Trials | str:
    ends = _ends(experiment)
    if experiment.parameters["mode"] != "activate":
        return "inactivation elicits nothing"
    if isinstance(ends, str):
        return ends
    openings = np.maximum(experiment["openings"], 1)
    core, last = (experiment["elicited"][condition] / openings[condition] for condition in ends)
    one = np.ones(len(core))
    return _Trials(last, core, one, one)


def _joined(parts: Sequence[_Trials], rng: np.random.Generator, num: int) -> tuple[float, float, float, float]:
    """Mean over experiments of the difference of shares; its interval; and the p-value of no difference."""
    if not parts or sum(len(part.left) for part in parts) < 2:
        return np.nan, np.nan, np.nan, np.nan
    value = float(np.mean([_difference(part, np.full((1, len(part.left)), 1 / len(part.left))) for part in parts]))
    drawn = np.mean([_difference(part, _resamples(len(part.left), rng, num)) for part in parts], axis=0)
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    paired = [part.left / part.left_base.mean() - part.right / part.right_base.mean() for part in parts]
    return value, float(low), float(high), sign_flip_p_value(np.concatenate(paired), rng)


def _resamples(trials: int, rng: np.random.Generator, num: int) -> np.ndarray:
    return rng.multinomial(trials, np.full(trials, 1 / trials), size=num) / trials


def _difference(part: _Trials, weight: np.ndarray) -> np.ndarray:
    """(draw,) difference of the two shares, under weights (draw, trial)."""
    left, right, left_base, right_base = (weight @ values for values in part)
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may hold no success of the intact animal
        return left / left_base - right / right_base
