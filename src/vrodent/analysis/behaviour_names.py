"""What a region of the behaviour map looks like in numbers, and a name that these suggest. A person may know better: see its clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.features import MOVEMENT, rotation_matrices
from vrodent.analysis.gait import PAWS

KINEMATICS: Mapping[str, str] = MappingProxyType({
    "speed": "m/s", "forward": "m/s", "turning": "rad/s", "upward": "m/s", "height": "m", "pitch": "rad", "upright": "1", "flight": "1",
    "head_speed": "m/s", "forepaws": "m/s", "hindpaws": "m/s",
})  # fmt: skip
"""Unit by quantity: horizontal speed of the trunk and its part along the heading, rate of turn (left positive), upward velocity, height of
the trunk over the mean of the hind paws, pitch (nose up positive), cosine of the trunk's tilt (1 upright, -1 on the back), whether the body
falls freely (share of frames), speed of the head in the world, and of fore and hind paws beside the trunk."""

FREE_FALL = -6.0
"""m/s^2, vertical acceleration of the whole body below which it is in flight; at rest it is 0, in free fall -9.81."""


def kinematics(
    signals: Mapping[str, np.ndarray], raw: Mapping[str, np.ndarray], keypoints: Sequence[str], rate: float
) -> dict[str, np.ndarray]:
    """The quantities of `KINEMATICS`, (time,) each, in one trial.

    Args:
        signals: with `movement` and `pose`.
        raw: with `keypoints` (time, keypoint, 3), `torso_position` (time, 3) and `torso_orientation` (time, 4).
        keypoints: names of the keypoints.
        rate: frames a second, Hz.

    Raises:
        AnalysisError: something of these is missing.
    """
    missing = [name for name in ("keypoints", "torso_position", "torso_orientation") if name not in raw]
    missing += [name for name in ("movement", "pose") if name not in signals] + [paw for paw in PAWS if paw not in keypoints]
    if missing:
        raise AnalysisError(f"kinematics: {', '.join(missing)} is missing; record the session again with this version.")
    column = dict(zip(MOVEMENT, signals["movement"].T, strict=True))
    hind = [list(keypoints).index(paw) for paw in PAWS[:2]]
    fore = [list(keypoints).index(paw) for paw in PAWS[2:]]
    beside = signals["pose"].reshape(len(signals["pose"]), -1, 3)
    paw_speed = np.linalg.norm(np.gradient(beside, axis=0), axis=2) * rate
    return {
        "speed": np.hypot(column["forward"], column["sideways"]),
        "forward": column["forward"],
        "turning": column["turning"],
        "upward": column["upward"],
        "height": raw["torso_position"][:, 2] - raw["keypoints"][:, hind, 2].mean(axis=1),
        "pitch": column["pitch"],
        "upright": rotation_matrices(raw["torso_orientation"])[:, 2, 2],
        "flight": (np.gradient(column["upward"]) * rate < FREE_FALL).astype(float),
        "head_speed": column["head_speed"],
        "forepaws": paw_speed[:, fore].mean(axis=1),
        "hindpaws": paw_speed[:, hind].mean(axis=1),
    }


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A name and when it fits; the first rule that fits names a region."""

    name: str
    meaning: str
    fits: Callable[[Mapping[str, float]], bool]


RULES: tuple[Rule, ...] = (
    Rule(name="lying", meaning="trunk tilted by more than 60 degrees to a side or over",
         fits=lambda k: k["upright"] < 0.5 and k["pitch"] < 0.9),
    Rule(name="jump", meaning="in free fall in over a fifth of frames", fits=lambda k: k["flight"] > 0.2),
    Rule(name="rear", meaning="trunk pitched up by more than 0.6 rad, slower than 0.2 m/s",
         fits=lambda k: k["pitch"] > 0.6 and k["speed"] < 0.2),
    Rule(name="climb", meaning="rising faster than 0.05 m/s, at over a fifth of its speed",
         fits=lambda k: k["upward"] > 0.05 and k["upward"] > 0.2 * k["speed"]),
    Rule(name="spin", meaning="turning faster than 4 rad/s", fits=lambda k: k["turn_size"] > 4.0),
    Rule(name="run", meaning="forward faster than 0.3 m/s", fits=lambda k: k["forward"] > 0.3),
    Rule(name="turn", meaning="turning faster than 1 rad/s", fits=lambda k: k["turn_size"] > 1.0),
    Rule(name="back up", meaning="backward faster than 0.05 m/s", fits=lambda k: k["forward"] < -0.05),
    Rule(name="walk", meaning="faster than 0.08 m/s", fits=lambda k: k["speed"] > 0.08),
    Rule(name="groom-like", meaning="in place, forepaws faster than 0.15 m/s and than twice the hind paws",
         fits=lambda k: k["forepaws"] > 0.15 and k["forepaws"] > 2 * k["hindpaws"]),
    Rule(name="fidget", meaning="in place, paws or head faster than 0.1 m/s",
         fits=lambda k: max(k["forepaws"], k["hindpaws"], k["head_speed"]) > 0.1),
    Rule(name="still", meaning="none of these", fits=lambda k: True),
)  # fmt: skip
"""In the order in which they are tried. Thresholds are of medians over a region's frames (of the mean for flight); run and rear agree with
the rules of `vrodent.behaviour`."""


def suggest_name(frames: Mapping[str, np.ndarray]) -> str:
    """A name for a region.

    Args:
        frames: the quantities of `KINEMATICS` over its frames, (frame,) each.

    Returns:
        The name of the first rule that fits; for a turn or a spin with its side, if nine in ten of its frames turn to that side.

    Raises:
        AnalysisError: no frames.
    """
    middle = summary(frames)
    middle["turn_size"] = float(np.median(np.abs(frames["turning"])))
    name = next(rule.name for rule in RULES if rule.fits(middle))
    if name in ("turn", "spin"):
        left = float((frames["turning"] > 0).mean())
        name += " left" if left > 0.9 else " right" if left < 0.1 else ""
    return name


def summary(frames: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Median of each quantity over frames; of flight the mean.

    Raises:
        AnalysisError: no frames.
    """
    if not len(frames["speed"]):
        raise AnalysisError("kinematics: a region without frames has no summary.")
    return {name: float(np.mean(frames[name]) if name == "flight" else np.median(frames[name])) for name in KINEMATICS}
