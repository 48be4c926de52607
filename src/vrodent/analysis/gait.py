"""Strides from the motion of the paws, and how they compare with those of rats.

A paw strides when it goes to and fro beside the trunk: it lands about where it is farthest forward and lifts about where it is farthest
back, as seen from the trunk (its anterior and posterior extreme positions). This needs no ground height, so it holds on bumps and over
gaps, and no touch sensor: in recordings of the shipped agent the soles felt more than 1 mN in less than one frame of a hundred. The
extremes are located between frames by a parabola, since a frame of 20 ms is a tenth of a fast stride.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from vrodent.analysis.checks import AnalysisError

PAWS = ("hindpaw_L", "hindpaw_R", "forepaw_L", "forepaw_R")
"""Keypoints whose strides are looked for; the first is the one that others' phases refer to."""

RAT_SPEED = (0.10, 0.78)
"""m/s, lowest and highest speed of intact rats walking and trotting over ground: "Overground locomotion in intact rats: interlimb
coordination, support patterns and support phases duration", Acta Neurobiol Exp 59:131-144, 1999, doi:10.55782/ane-1999-1304."""

RAT_FREQUENCY = (1 / 0.685, 1 / 0.215)
"""Hz, strides a second at those speeds, from the step cycles of 685 and 215 ms given there."""

RAT_DUTY = 0.5
"""Duty factor between walking trot (above) and running trot (below) of the same rats, which shortening step cycles cross."""


@dataclass(frozen=True, kw_only=True)
class GaitConfig:
    """What counts as a stride.

    Attributes:
        least_excursion: m, smallest to and fro of a paw along the trunk.
        shortest, longest: s, of a stride.
        least_speed: m/s, mean forward speed of the trunk over a stride.
        most_turn: rad/s, mean rate of turn beyond which a stride is not straight.
        least_upright: mean cosine of the trunk's tilt.
        window: s, length of the gait diagram.
    """

    least_excursion: float = 0.01
    shortest: float = 0.06
    longest: float = 1.2
    least_speed: float = 0.05
    most_turn: float = 1.5
    least_upright: float = 0.7
    window: float = 1.2

    def __post_init__(self) -> None:
        if not 0 < self.shortest < self.longest:
            raise AnalysisError(f"GaitConfig needs 0 < shortest < longest, got {self.shortest} and {self.longest} s.")
        for name in ("least_excursion", "window", "most_turn"):
            if not getattr(self, name) > 0:
                raise AnalysisError(f"GaitConfig.{name} must be positive, got {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """One trial as the gait is told from it.

    Attributes:
        paws: (time, paw), m, how far each of `PAWS` is before the trunk, along it.
        forward: (time,), m/s, of the trunk along its heading.
        turning: (time,), rad/s.
        upright: (time,), cosine of the trunk's tilt.
    """

    paws: np.ndarray
    forward: np.ndarray
    turning: np.ndarray
    upright: np.ndarray

    def __post_init__(self) -> None:
        lengths = {len(self.paws), len(self.forward), len(self.turning), len(self.upright)}
        if len(lengths) > 1 or self.paws.ndim != 2 or self.paws.shape[1] != len(PAWS):
            raise AnalysisError(
                f"gait: paws of shape {self.paws.shape} and {sorted(lengths)} frames; expected (time, {len(PAWS)}) and one."
            )
        for name in ("paws", "forward", "turning", "upright"):
            bad = ~np.isfinite(getattr(self, name))
            if bad.any():
                raise AnalysisError(f"gait: {name} holds NaN or infinity in {int(bad.sum())} places; leave the trial out.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Strides:
    """Strides, from one landing of a paw to its next.

    Attributes:
        trial: (stride,) index of the trial.
        paw: (stride,) index in `PAWS`.
        start: (stride,) s from the trial's start, of the first landing.
        duration: (stride,) s.
        duty: (stride,) share of the stride in which the paw goes back beside the trunk, as it does on the ground.
        speed: (stride,) m/s, mean forward speed.
        excursion: (stride,) m, to and fro.
        phase: (stride, paw) when in this stride each paw lands, 0 to 1; NaN if it does not land exactly once.
    """

    trial: np.ndarray
    paw: np.ndarray
    start: np.ndarray
    duration: np.ndarray
    duty: np.ndarray
    speed: np.ndarray
    excursion: np.ndarray
    phase: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    @property
    def frequency(self) -> np.ndarray:
        """(stride,) Hz."""
        return 1 / self.duration


def rat_frequency(speed: np.ndarray) -> np.ndarray:
    """Strides a second of rats at a speed: the power law through the two ends that the source of `RAT_SPEED` gives; NaN outside of them.

    Args:
        speed: any shape, m/s.
    """
    exponent = np.log(RAT_FREQUENCY[1] / RAT_FREQUENCY[0]) / np.log(RAT_SPEED[1] / RAT_SPEED[0])
    inside = (speed >= RAT_SPEED[0]) & (speed <= RAT_SPEED[1])
    return np.where(inside, RAT_FREQUENCY[0] * (np.maximum(speed, RAT_SPEED[0]) / RAT_SPEED[0]) ** exponent, np.nan)


def landings(position: np.ndarray, rate: float, config: GaitConfig) -> tuple[np.ndarray, np.ndarray]:
    """When a paw lands, and when between two landings it lifts.

    Args:
        position: (time,), m, of the paw along the trunk.
        rate: frames a second, Hz.
        config: what counts as a stride.

    Returns:
        (landing,) s, and (landing - 1,) s.
    """
    ahead, _ = find_peaks(position, prominence=config.least_excursion, distance=max(1, round(config.shortest * rate)))
    behind = np.array([a + int(position[a:b].argmin()) for a, b in itertools.pairwise(ahead)], dtype=int)
    return _between_frames(position, ahead) / rate, _between_frames(position, behind) / rate


def stance(position: np.ndarray, rate: float, config: GaitConfig) -> np.ndarray:
    """(time,) bool, whether the paw is on its way back, as it is on the ground; False outside of strides."""
    down = np.zeros(len(position), bool)
    time = np.arange(len(position)) / rate
    landed, lifted = landings(position, rate, config)
    for a, b, c in zip(landed[:-1], lifted, landed[1:], strict=True):
        if config.shortest <= c - a <= config.longest:
            down |= (time >= a) & (time < b)
    return down


def strides(courses: Sequence[Course], rate: float, config: GaitConfig) -> Strides:
    """Straight, upright, forward strides of every paw in some trials.

    Args:
        courses: one a trial.
        rate: frames a second, Hz.
        config: what counts as a stride.
    """
    rows: list[tuple[float, ...]] = []
    for trial, course in enumerate(courses):
        found = [landings(course.paws[:, paw], rate, config) for paw in range(len(PAWS))]
        for paw, (landed, lifted) in enumerate(found):
            for a, b, c in zip(landed[:-1], lifted, landed[1:], strict=True):
                row = _stride(course, paw, a, b, c, [times for times, _ in found], rate, config)
                if row is not None:
                    rows.append((trial, paw, a, *row))
    table = np.array(rows, dtype=float).reshape(len(rows), 7 + len(PAWS))
    return Strides(
        trial=table[:, 0].astype(int), paw=table[:, 1].astype(int), start=table[:, 2], duration=table[:, 3], duty=table[:, 4],
        speed=table[:, 5], excursion=table[:, 6], phase=table[:, 7:],
    )  # fmt: skip


def _stride(
    course: Course, paw: int, a: float, b: float, c: float, all_landed: Sequence[np.ndarray], rate: float, config: GaitConfig
) -> tuple[float, ...] | None:
    at = slice(round(a * rate), round(c * rate) + 1)
    speed = float(course.forward[at].mean())
    straight = abs(float(course.turning[at].mean())) <= config.most_turn
    if not config.shortest <= c - a <= config.longest or speed < config.least_speed or not straight:
        return None
    if course.upright[at].mean() < config.least_upright:
        return None
    phases = []
    for other, landed in enumerate(all_landed):
        inside = landed[(landed >= a) & (landed < c)]
        phases.append(0.0 if other == paw else float((inside[0] - a) / (c - a)) if len(inside) == 1 else np.nan)
    return (c - a, (b - a) / (c - a), speed, float(np.ptp(course.paws[at, paw])), *phases)


def circular_mean(phase: np.ndarray) -> tuple[float, float]:
    """Mean phase, 0 to 1, and its concentration, 0 (anywhere) to 1 (always the same); NaN of none."""
    known = phase[np.isfinite(phase)]
    if not len(known):
        return float("nan"), float("nan")
    whole = np.exp(2j * np.pi * known).mean()
    return float(np.angle(whole) / (2 * np.pi) % 1), float(abs(whole))


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagram:
    """The fastest straight run.

    Attributes:
        trial: index of the trial.
        start: its first frame.
        down: (time, paw) bool, of `PAWS`, whether the paw goes back beside the trunk.
        speed: m/s, mean forward speed.
    """

    trial: int
    start: int
    down: np.ndarray
    speed: float


def fastest_run(courses: Sequence[Course], rate: float, config: GaitConfig) -> Diagram | None:
    """The stretch of `config.window` of highest mean forward speed that is straight and upright and in which both hind paws land twice.

    Args:
        courses: one a trial.
        rate: frames a second, Hz.
        config: what counts as a stride.

    Returns:
        The run, or None if there is no such stretch.
    """
    size = round(config.window * rate)
    candidates: list[tuple[float, int, int]] = []
    for trial, course in enumerate(courses):
        if len(course.forward) < size:
            continue
        speed, turn, upright = (_running_mean(x, size) for x in (course.forward, np.abs(course.turning), course.upright))
        fit = (turn <= config.most_turn) & (upright >= config.least_upright) & (speed >= config.least_speed)
        for paw in (0, 1):
            landed = np.round(landings(course.paws[:, paw], rate, config)[0] * rate).astype(int)
            marks = np.zeros(len(course.forward))
            marks[landed] = 1
            fit &= _running_mean(marks, size) * size >= 1.5
        candidates += [(float(speed[i]), trial, int(i)) for i in np.flatnonzero(fit)]
    if not candidates:
        return None
    speed, trial, start = max(candidates, key=lambda c: (c[0], -c[1], -c[2]))
    down = np.column_stack([stance(courses[trial].paws[:, paw], rate, config) for paw in range(len(PAWS))])
    return Diagram(trial=trial, start=start, down=down[start : start + size], speed=speed)


def _running_mean(values: np.ndarray, size: int) -> np.ndarray:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return (total[size:] - total[:-size]) / size


def _between_frames(position: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Extremes located by the parabola through the frame and its neighbours."""
    inner = index[(index > 0) & (index < len(position) - 1)]
    before, here, after = position[inner - 1], position[inner], position[inner + 1]
    bend = before - 2 * here + after
    shift = np.where(bend != 0, (before - after) / (2 * np.where(bend != 0, bend, 1.0)), 0.0)
    out = index.astype(float)
    out[(index > 0) & (index < len(position) - 1)] += np.clip(shift, -0.5, 0.5)
    return out
