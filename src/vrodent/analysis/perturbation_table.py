"""What a perturbation experiment found, as a result to be stored: every trial, means and shares by condition with intervals, each condition
against the intact animal in the same arenas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.perturbation import Modulation
from vrodent.analysis.result import Parameter, Quantity, Result
from vrodent.analysis.statistics import benjamini_hochberg, bootstrap_interval, sign_flip_p_value

KIND = "perturbation_experiment"
INTACT = "none"
"""Selection of the first condition, in which nothing is done."""

MEASURES: Mapping[str, str] = {
    "success": "1", "return": "1", "speed": "m/s", "upright": "1", "upright_speed": "m/s", "joint_speed": "rad/s", "event_rate": "1/s",
    "duration": "s",
}  # fmt: skip
"""Measures that every experiment has, with their units; `success` is the task's own, which the parameters name; `event_rate` counts the
behaviour by which units were ranked."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions:
    """What was done, condition by condition; the first is the intact animal.

    Attributes:
        layer: whose units, "" for the intact animal.
        selection: how they were chosen, `INTACT` for the intact animal.
        k: how many.
    """

    layer: tuple[str, ...]
    selection: tuple[str, ...]
    k: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.layer) == len(self.selection) == len(self.k) or not self.k:
            raise AnalysisError("conditions need one layer, selection and k each, and at least one.")
        if self.selection[0] != INTACT or self.k[0] != 0:
            raise AnalysisError("the first condition must be the intact animal.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """What came of it.

    Attributes:
        values: by measure, (condition, trial).
        success: (condition, trial) bool, the trial succeeded.
        openings: (condition, trial) how often the window opened.
        elicited: (condition, trial) how many openings were followed by the behaviour.
    """

    values: Mapping[str, np.ndarray]
    success: np.ndarray
    openings: np.ndarray
    elicited: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Account:
    """How a perturbation experiment came about.

    Attributes:
        name: of the result.
        layers: of the agent, core first.
        ranking: by layer, how strongly units are modulated.
        parameters: everything that was chosen.
        notes: what a reader must know.
        films: names of films beside the result, with and without, by condition.
    """

    name: str
    layers: tuple[str, ...]
    ranking: Mapping[str, Modulation]
    parameters: Mapping[str, Parameter]
    notes: tuple[str, ...] = ()
    films: Mapping[int, str] = field(default_factory=dict)


def wilson_interval(successes: np.ndarray, trials: np.ndarray, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of successes with Wilson's interval; NaN where there are no trials.

    Args:
        successes, trials: counts, of one shape.
        level: coverage aimed at.

    Source: Wilson 1927; Brown, Cai & DasGupta 2001.
    """
    n = np.where(np.asarray(trials) > 0, trials, np.nan).astype(float)
    share = np.asarray(successes) / n
    z = stats.norm.ppf((1 + level) / 2)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Without failures, or successes, the limit is exact; rounding would put it beyond.
    return share, np.where(share == 0, 0.0, centre - half), np.where(share == 1, 1.0, centre + half)


def perturbation_result(
    conditions: Conditions, outcomes: Outcomes, account: Account, rng: np.random.Generator, *, num_bootstrap: int = 2000
) -> Result:
    """The table.

    Args:
        conditions: what was done.
        outcomes: what came of it; trial i of every condition had the same arena and the same noise.
        account: how it came about.
        rng: source of resamples and signs.
        num_bootstrap: resamples of trials.

    Raises:
        AnalysisError: outcomes that do not fit the conditions, or values that are not finite.
    """
    num = len(conditions.k)
    trials = outcomes.success.shape[1] if outcomes.success.ndim == 2 else 0
    for name, values in (*outcomes.values.items(), ("success", outcomes.success), ("openings", outcomes.openings),
                         ("elicited", outcomes.elicited)):  # fmt: skip
        if values.shape != (num, trials) or not trials:
            raise AnalysisError(f"perturbation: {name} must be (condition, trial) = ({num}, {trials}), got {values.shape}.")
        if not np.isfinite(values).all():
            raise AnalysisError(f"perturbation: {name} holds values that are not finite.")
    arrays = {
        "condition_layer": _text(conditions.layer, "condition", "whose units; nothing for the intact animal"),
        "condition_selection": _text(conditions.selection, "condition", f"how they were chosen; {INTACT!r} for the intact animal"),
        "condition_k": Quantity(values=np.array(conditions.k), axes=("condition",), meaning="how many units"),
        "condition_film": _text([account.films.get(i, "") for i in range(num)], "condition", "film with and without, beside the result"),
        "agent_layer": _text(account.layers, "layer", "layers of the agent, core first"),
        "measure": _text(list(outcomes.values), "measure"),
        "measure_unit": _text([MEASURES.get(name, "1") for name in outcomes.values], "measure"),
    }  # fmt: skip
    arrays |= _means(np.stack(list(outcomes.values.values()), axis=-1), rng, num_bootstrap)
    says = "trials that succeeded, see the parameters"
    arrays |= _shares("success", outcomes.success.astype(int), np.ones_like(outcomes.openings), says)
    arrays |= _shares("elicited", outcomes.elicited, outcomes.openings, "openings of the window that the behaviour followed")
    arrays["openings"] = Quantity(values=outcomes.openings, axes=("condition", "trial"), meaning="how often the window opened")
    arrays |= _ranking(account.ranking)
    return Result(name=account.name, kind=KIND, arrays=arrays, parameters=account.parameters, notes=account.notes)


def _text(values: Sequence[str], axis: str, meaning: str = "") -> Quantity:
    return Quantity(values=np.array(list(values), dtype=str), axes=(axis,), unit="", meaning=meaning)


def _means(values: np.ndarray, rng: np.random.Generator, num: int) -> dict[str, Quantity]:
    """Means and differences from the intact animal of (condition, trial, measure), with intervals over trials."""
    axes = ("condition", "measure")
    difference = values - values[:1]
    out = {"value": Quantity(values=values, axes=("condition", "trial", "measure"), meaning="one trial's")}
    for name, what, says in (("mean", values, "mean over trials"),
                             ("difference", difference, "less that of the intact animal in the same arena, mean over trials")):  # fmt: skip
        by_trial = np.moveaxis(what, 1, 0)
        if len(by_trial) > 1:
            mean, low, high = bootstrap_interval(by_trial, rng, num=num)
        else:
            mean, low, high = by_trial[0], np.full(by_trial.shape[1:], np.nan), np.full(by_trial.shape[1:], np.nan)
        for suffix, part, end in (("", mean, ""), ("_low", low, ", 95 % low"), ("_high", high, ", 95 % high")):
            out[name + suffix] = Quantity(values=part, axes=axes, meaning=says + end)
    p = np.full(difference.shape[::2], np.nan)
    for condition in range(1, len(values)):
        for measure in range(values.shape[2]):
            p[condition, measure] = sign_flip_p_value(difference[condition, :, measure], rng)
    q = np.full(p.shape, np.nan)
    for measure in range(values.shape[2] if len(values) > 1 else 0):
        q[1:, measure] = benjamini_hochberg(p[1:, measure])
    out["p_value"] = Quantity(values=p, axes=axes, meaning="two-sided, of no difference: signs of the trials' differences flipped")
    out["q_value"] = Quantity(values=q, axes=axes, meaning="p-values corrected for the number of conditions (Benjamini & Hochberg)")
    return out


def _shares(name: str, count: np.ndarray, of: np.ndarray, says: str) -> dict[str, Quantity]:
    share, low, high = wilson_interval(count.sum(axis=1), of.sum(axis=1))
    return {
        name: Quantity(values=count, axes=("condition", "trial"), meaning=says),
        f"{name}_share": Quantity(values=share, axes=("condition",), meaning=f"share of {says}"),
        f"{name}_share_low": Quantity(values=low, axes=("condition",), meaning="Wilson's 95 % interval"),
        f"{name}_share_high": Quantity(values=high, axes=("condition",), meaning="Wilson's 95 % interval"),
    }


def _ranking(ranking: Mapping[str, Modulation]) -> dict[str, Quantity]:
    units = [f"{layer}:{unit}" for layer, found in ranking.items() for unit in range(len(found.score))]

    def joined(pick: str) -> np.ndarray:
        return np.concatenate([getattr(found, pick) for found in ranking.values()]) if ranking else np.zeros(0)

    says = "activity inside the behaviour less outside, in standard deviations"
    return {
        "unit": _text(units, "unit"),
        "unit_score": Quantity(values=joined("score"), axes=("unit",), meaning=says),
        "unit_p_value": Quantity(values=joined("p_value"), axes=("unit",), meaning="two-sided, against windows shifted in time"),
        "unit_p_corrected": Quantity(
            values=joined("p_corrected"), axes=("unit",), meaning="corrected for the number of units in the layer"
        ),
    }
