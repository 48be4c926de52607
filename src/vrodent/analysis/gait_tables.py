"""The gait of an agent in its sessions, beside that of rats, as a result to be stored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, Prepared
from vrodent.analysis.features import MOVEMENT, rotation_matrices
from vrodent.analysis.gait import (
    PAWS,
    RAT_FREQUENCY,
    RAT_SPEED,
    Course,
    GaitConfig,
    Strides,
    circular_mean,
    fastest_run,
    rat_frequency,
    stance,
    strides,
)
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.statistics import bootstrap_interval
from vrodent.analysis.verdicts import Claim, Finding

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig

Tick = Callable[[], None]

TOLERANCE = float(np.log(1.25))
"""A stride frequency within a quarter of rats' is called close to it."""

SPEED_EDGES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3)
"""m/s, edges of the classes of speed."""

_FEELS = 1e-3  # N, what a touch sensor must exceed for the animal to feel it
_TOUCH = ("sole_L", "sole_R", "palm_L", "palm_R")  # the sensors of PAWS
_TOUCH_COLUMN = (2, 3, 0, 1)  # of them in the recorded series

GAIT_CLAIMS = (
    Claim(claim="Strides are about as frequent as a rat's at the same speed", expected=1, section="gait",
          statistic="log 1.25 less the deviation of log stride frequency from rats'",
          null="a deviation by a factor of 1.25 (Student's t over trials)"),
)  # fmt: skip


def judge_gait(result: Result) -> list[Finding]:
    """Whether stride frequency is close to rats', over the trials of all tasks that stride at speeds at which rats were measured."""
    ratios = result["trial_log_ratio"][np.isfinite(result["trial_log_ratio"])]
    if len(ratios) < 2:
        return []
    middle, error = float(ratios.mean()), float(ratios.std(ddof=1) / np.sqrt(len(ratios)))
    half = float(stats.t.ppf(0.975, len(ratios) - 1)) * error
    nearest = 0.0 if abs(middle) <= half else abs(middle) - half
    value, low, high = TOLERANCE - abs(middle), TOLERANCE - (abs(middle) + half), TOLERANCE - nearest
    p = float(2 * stats.t.sf(abs(value) / error, len(ratios) - 1)) if error > 0 else float("nan")
    remark = (
        f"{np.exp(middle):.2f} times rats' ({np.exp(middle - half):.2f} to {np.exp(middle + half):.2f}, {len(ratios)} trials). The paper "
        f"speaks of the gallop; rats were measured walking and trotting at {RAT_SPEED[0]:g} to {RAT_SPEED[1]:g} m/s."
    )
    return [GAIT_CLAIMS[0].measured(value, low, high, p, remark=remark)]


def courses(session: Prepared) -> list[Course]:
    """The used trials of a session as the gait is told from them.

    Raises:
        AnalysisError: the session lacks a paw, or the orientation of the trunk in a trial.
    """
    missing = [paw for paw in PAWS if paw not in session.keypoint_names]
    if missing or any("torso_orientation" not in raw for raw in session.raw):
        raise AnalysisError(f"gait: {session.task} lacks {', '.join(missing) or 'torso_orientation'}; record it again with this version.")
    at = [3 * session.keypoint_names.index(paw) for paw in PAWS]
    return [
        Course(
            paws=signals["pose"][:, at],
            forward=signals["movement"][:, MOVEMENT.index("forward")],
            turning=signals["movement"][:, MOVEMENT.index("turning")],
            upright=rotation_matrices(raw["torso_orientation"])[:, 2, 2],
        )
        for signals, raw in zip(session.signals, session.raw, strict=True)
    ]


def gait(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Tick) -> Result:
    """Strides by task and speed, rats beside them, phases of the paws, and the fastest run.

    Raises:
        AnalysisError: no trial holds a stride.
    """
    settings = config.gait
    by_session = [courses(session) for session in data.sessions]
    flat = [course for part in by_session for course in part]
    trial_session = np.repeat(np.arange(len(data.sessions)), [len(part) for part in by_session])
    found = strides(flat, data.rate, settings)
    tick()
    if not len(found):
        raise AnalysisError(
            f"gait: no straight, upright, forward stride of {settings.least_excursion * 1000:g} mm and {settings.least_speed:g} m/s or "
            f"more in any of {len(flat)} trials: the animal does not walk."
        )
    numbers = np.concatenate([session.used_trials for session in data.sessions])
    arrays = {
        "task": _text([session.task for session in data.sessions], "session"),
        "folder": _text([session.folder for session in data.sessions], "session"),
        "paw": _text(list(PAWS), "paw"),
        "trial_session": Quantity(values=trial_session, axes=("trial",), meaning="index of the trial's session"),
        "trial_number": Quantity(values=numbers, axes=("trial",), meaning="number in the session"),
        **_stride_arrays(found), **_task_arrays(found, trial_session, len(data.sessions), len(flat), config, rng),
        **_speed_arrays(found, config, rng), **_phase_arrays(found, trial_session, len(data.sessions)),
        **_touch_arrays(data, by_session, settings), **_run_arrays(flat, data.rate, settings),
    }  # fmt: skip
    silent = [s.task for i, s in enumerate(data.sessions) if not (trial_session[found.trial] == i).any()]
    notes = tuple(f"{task}: no straight, upright, forward stride." for task in silent)
    return Result(name="gait", kind="gait", arrays=arrays, notes=notes)


def _text(values: Sequence[str], axis: str) -> Quantity:
    return Quantity(values=np.array(list(values), dtype=str), axes=(axis,), unit="")


def _stride_arrays(found: Strides) -> dict[str, Quantity]:
    return {
        "stride_trial": Quantity(values=found.trial, axes=("stride",), meaning="index of its trial"),
        "stride_paw": Quantity(values=found.paw, axes=("stride",), meaning="index of its paw"),
        "stride_start": Quantity(values=found.start, axes=("stride",), unit="s", meaning="in its trial"),
        "stride_frequency": Quantity(values=found.frequency, axes=("stride",), unit="Hz"),
        "stride_duty": Quantity(values=found.duty, axes=("stride",), meaning="share of the stride in which the paw goes back"),
        "stride_speed": Quantity(values=found.speed, axes=("stride",), unit="m/s", meaning="mean forward speed"),
        "stride_excursion": Quantity(values=found.excursion, axes=("stride",), unit="m", meaning="to and fro along the trunk"),
    }


def _interval(values: np.ndarray, config: AnalysisConfig, rng: np.random.Generator) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return (float(known[0]) if len(known) else float("nan"), float("nan"), float("nan"))
    mean, low, high = bootstrap_interval(known, rng, num=config.num_bootstrap)
    return float(mean), float(low), float(high)


def _per_trial(found: Strides, values: np.ndarray, num: int, which: np.ndarray | None = None) -> np.ndarray:
    """(trial,) median over a trial's strides, NaN without any."""
    keep = np.isfinite(values) & (which if which is not None else True)
    return np.array([np.median(values[keep & (found.trial == t)]) if (keep & (found.trial == t)).any() else np.nan for t in range(num)])


def _task_arrays(
    found: Strides, trial_session: np.ndarray, num_sessions: int, num_trials: int, config: AnalysisConfig, rng: np.random.Generator
) -> dict[str, Quantity]:
    ratio = np.log(found.frequency / rat_frequency(found.speed))
    per_trial = {
        "frequency": ("Hz", "stride frequency", _per_trial(found, found.frequency, num_trials)),
        "duty": ("1", "duty factor", _per_trial(found, found.duty, num_trials)),
        "speed": ("m/s", "forward speed of strides", _per_trial(found, found.speed, num_trials)),
        "log_ratio": ("1", "log of stride frequency over rats' at the same speed", _per_trial(found, ratio, num_trials)),
    }
    counts = np.bincount(trial_session[found.trial], minlength=num_sessions)
    arrays = {"num_strides": Quantity(values=counts, axes=("session",))}
    for name, (unit, meaning, values) in per_trial.items():
        arrays[f"trial_{name}"] = Quantity(values=values, axes=("trial",), unit=unit, meaning=f"median {meaning} in the trial")
        rows = np.array([_interval(values[trial_session == s], config, rng) for s in range(num_sessions)])
        for part, column in zip(("", "_low", "_high"), rows.T, strict=True):
            says = f"{meaning}, mean over trials of the trial's median{part.replace('_', ', 95 % ')}"
            arrays[f"task_{name}{part}"] = Quantity(values=column, axes=("session",), unit=unit, meaning=says)
    return arrays


def _speed_arrays(found: Strides, config: AnalysisConfig, rng: np.random.Generator) -> dict[str, Quantity]:
    edges = np.array(SPEED_EDGES)
    num = int(found.trial.max()) + 1
    classes = [(found.speed >= a) & (found.speed < b) for a, b in itertools.pairwise(SPEED_EDGES)]
    middles = np.array([found.speed[c].mean() if c.any() else np.nan for c in classes])
    arrays = {
        "class_low": Quantity(values=edges[:-1], axes=("class",), unit="m/s", meaning="lower edge"),
        "class_high": Quantity(values=edges[1:], axes=("class",), unit="m/s", meaning="upper edge"),
        "class_strides": Quantity(values=np.array([c.sum() for c in classes]), axes=("class",)),
        "class_speed": Quantity(values=middles, axes=("class",), unit="m/s", meaning="mean over strides"),
        "rat_speed": Quantity(values=np.linspace(*RAT_SPEED, 30), axes=("rat",), unit="m/s"),
        "rat_frequency": Quantity(values=rat_frequency(np.linspace(*RAT_SPEED, 30)), axes=("rat",), unit="Hz",
                                  meaning="power law through the two published ends"),
        "rat_ends": Quantity(values=np.column_stack([RAT_SPEED, RAT_FREQUENCY]), axes=("end", "speed_frequency"),
                             meaning="published: m/s, Hz"),
    }  # fmt: skip
    for name, unit, values in (("frequency", "Hz", found.frequency), ("duty", "1", found.duty)):
        rows = np.array([_interval(_per_trial(found, values, num, c), config, rng) for c in classes])
        for part, column in zip(("", "_low", "_high"), rows.T, strict=True):
            says = f"mean over trials of the trial's median in the class{part.replace('_', ', 95 % ')}"
            arrays[f"class_{name}{part}"] = Quantity(values=column, axes=("class",), unit=unit, meaning=says)
    return arrays


def _phase_arrays(found: Strides, trial_session: np.ndarray, num_sessions: int) -> dict[str, Quantity]:
    """Over the strides of the left hind paw."""
    rows = np.array([
        [circular_mean(found.phase[(found.paw == 0) & (trial_session[found.trial] == s), paw]) for paw in range(len(PAWS))]
        for s in range(num_sessions)
    ])  # fmt: skip
    return {
        "phase": Quantity(values=rows[:, :, 0], axes=("session", "paw"), meaning="when in the left hind paw's stride it lands, 0 to 1"),
        "phase_concentration": Quantity(values=rows[:, :, 1], axes=("session", "paw"), meaning="0: at any time, 1: always at that time"),
    }


def _touch_arrays(data: Data, by_session: Sequence[Sequence[Course]], settings: GaitConfig) -> dict[str, Quantity]:
    """How often the touch sensors feel something while the paw goes back and while it swings: the check on the definition of stance."""
    shares = np.full((2, len(data.sessions), len(PAWS)), np.nan)
    for s, (session, part) in enumerate(zip(data.sessions, by_session, strict=True)):
        for paw, column in enumerate(_TOUCH_COLUMN):
            pairs = [(stance(c.paws[:, paw], data.rate, settings), raw["touch"][:, column] > _FEELS)
                     for c, raw in zip(part, session.raw, strict=True) if "touch" in raw]  # fmt: skip
            if not pairs:
                continue
            down, felt = (np.concatenate(column_) for column_ in zip(*pairs, strict=True))
            for i, when in enumerate((down, ~down)):
                shares[i, s, paw] = felt[when].mean() if when.any() else np.nan
    return {
        "touch_sensor": _text(list(_TOUCH), "paw"),
        "touch_in_stance": Quantity(values=shares[0], axes=("session", "paw"), meaning="share of frames in which the sensor feels it"),
        "touch_else": Quantity(values=shares[1], axes=("session", "paw"), meaning="the same outside of stance"),
    }


def _run_arrays(flat: Sequence[Course], rate: float, settings: GaitConfig) -> dict[str, Quantity]:
    run = fastest_run(flat, rate, settings)
    down = run.down if run else np.zeros((0, len(PAWS)), bool)
    return {
        "run_down": Quantity(values=down, axes=("time", "paw"), meaning="whether the paw goes back, in the fastest run; empty: none"),
        "run_trial": Quantity(values=np.array(run.trial if run else -1), meaning="index of its trial"),
        "run_start": Quantity(values=np.array(run.start if run else -1), meaning="its first frame, in its trial"),
        "run_speed": Quantity(values=np.array(run.speed if run else np.nan), unit="m/s", meaning="mean forward speed"),
        "run_rate": Quantity(values=np.array(rate), unit="Hz", meaning="frames a second"),
    }
