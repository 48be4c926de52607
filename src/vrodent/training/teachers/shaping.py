"""Rewards for teachers: walking as told, righting, rearing to tap in time. Never what is reported: that is the tasks' own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.task.two_tap import TwoTap
from vrodent.training.teachers.guidance import Ground, Guidance, Pose, facing_eye, hand_distance, pose

_STILL = 0.08  # m/s; slower instructions mean: stand
_NEAR_TARGET = 0.15  # m in the plane; nearer, the rat rears instead of walking
_TOUCHING = 0.03  # m between orb and palm, where they touch
_OFF = 0.4  # s after a first touch until which the palm is to be off the orb
_AWAY = 0.6  # s likewise, if it is to retreat: to come back from 8 cm takes a tenth of a second, and the orb may be touched from 0.7 s on
_TOUCHED = 0.035  # m; a palm so near touches, whichever side it comes from
_EDGE, _WITHIN = 0.4, 0.8  # cosines: of an orb 5 cm away whose limb enters the picture, 80 degrees wide; and of one that is half in it


@dataclass(frozen=True, kw_only=True)
class ShapingConfig:
    """Weights of the shaped reward, per control step.

    Attributes:
        upright: for torso and pelvis being upright.
        tracking: for moving as told, upright, facing the heading.
        action_rate: cost of the mean squared change of action.
        sideways: cost per m/s of sideways drift.
        tap: for the first touch of a target.
        second_tap: for the second touch in time.
        gaze: share of what reaching for an orb and touching it earn that is earned only as far as the rat sees it. A touch is not felt: the
            orb tells of it by its colour. A teacher is told; one that looked elsewhere could not be imitated after a first tap.
        press: s after a first touch for which the palm is drawn on to the orb's centre, which does not resist; touches within 0.2 s of the
            first count as one. A rat that lets go where the orb begins cannot know that it touched it, one that reaches into it can.
        retreat: m from the orb that the palm is to be between the two touches, until 0.6 s after the first; 0 asks for a touch's breadth
            only, until 0.4 s. A student that errs by a centimetre in where the orb is touches it too soon if its palm waits beside it.
    """

    upright: float = 0.1
    tracking: float = 0.9
    action_rate: float = 0.1
    sideways: float = 0.05
    tap: float = 12.0
    second_tap: float = 40.0
    gaze: float = 0.0
    press: float = 0.0
    retreat: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gaze <= 1:
            raise ValueError(f"gaze must be a share in [0, 1], got {self.gaze}.")
        if not 0 <= self.press <= TwoTap.debounce:
            raise ValueError(f"press must be a time within {TwoTap.debounce} s, after which a touch is a second tap, got {self.press}.")
        if self.retreat and not _TOUCHED < self.retreat <= 0.2:
            raise ValueError(f"retreat must be 0, or a distance of more than {_TOUCHED} and at most 0.2 m, got {self.retreat}.")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How a step went: shaped reward (world,), share of the instruction fulfilled (world,) in [0, 1], fallen over (world,) bool."""

    reward: np.ndarray
    tracking: np.ndarray
    fallen: np.ndarray


def _upright(at: Pose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    torso, pelvis = at.rotation[:, 2, 2], at.pelvis[:, 2, 2]
    return np.clip((np.minimum(torso, pelvis) - 0.3) / 0.6, 0.0, 1.0), torso, pelvis


def _tracking(at: Pose, guidance: Guidance, hurried: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of the told speed, facing of the heading, and sideways speed, each (world,). Hurried, who is faster than told is not wrong."""
    cos, sin = np.cos(guidance.heading), np.sin(guidance.heading)
    along = cos * at.velocity[:, 0] + sin * at.velocity[:, 1]
    aside = -sin * at.velocity[:, 0] + cos * at.velocity[:, 1]
    moving = guidance.speed > _STILL
    short = guidance.speed - along
    off = (np.maximum(short, 0.0) if hurried else np.abs(short)) / np.maximum(guidance.speed, 0.1)
    still = np.linalg.norm(at.velocity[:, :2], axis=1) / 0.3
    share = np.clip(1.0 - np.where(moving, off, still), 0.0, 1.0)
    facing = np.clip(np.cos(guidance.heading - at.yaw), 0.0, 1.0)
    return share, np.where(moving, facing, 0.5 + 0.5 * facing), aside


def _tap_shaping(distance: np.ndarray, guidance: Guidance, upright: np.ndarray, config: ShapingConfig) -> np.ndarray:
    """Near the orb until it is touched; in it for `press` s; off it, but not far, until 0.4 s, or `retreat` m off until 0.6 s; near it
    again, the more so as it takes time to rise; on its feet, to be ready to walk, while waiting for the next.

    The last centimetres count most: by the long slope alone, rats sat with a palm 1 cm short of the orb, after a first tap four times of
    five, and their students before it.
    """
    near = np.exp(-8.0 * distance)
    closer = 0.5 * near + 0.5 * np.exp(-60.0 * np.clip(distance - _TOUCHING, 0.0, None))
    clear = np.clip((distance - 0.025) / 0.02, 0.0, 1.0) * near / 0.7
    into = 2.0 * np.exp(-40.0 * distance)  # 0.6 at the surface
    off, until = 0.5 * clear, _OFF
    if config.retreat > 0.0:
        short = np.clip((distance - _TOUCHED) / (config.retreat - _TOUCHED), 0.0, 1.0)
        off, until = 0.9 * short * np.exp(-8.0 * np.clip(distance - config.retreat, 0.0, None)), _AWAY
    between = np.select([guidance.timer < config.press, guidance.timer < until], [into, off], 0.9 * closer)
    return np.select([guidance.phase == 0, guidance.phase == 1], [0.5 * closer, between], 0.05 + 0.35 * upright)


def _seen(cosine: np.ndarray) -> np.ndarray:
    """Share in [0, 1] that an orb near by is seen, for the cosine of its direction: half of it is a slope from behind the head."""
    return 0.25 * (1.0 + cosine) + 0.5 * np.clip((cosine - _EDGE) / (_WITHIN - _EDGE), 0.0, 1.0)


def shape(
    env: CpuSimulation, ground: Ground, guidance: Guidance, action_change: np.ndarray, taps: np.ndarray, config: ShapingConfig,
    hurried: bool = False,
) -> Progress:  # fmt: skip
    """Judge the step that has just been taken.

    Args:
        env: the simulation after the step.
        ground: kind of situation.
        guidance: instructions that held during the step.
        action_change: (world, 38), action minus the one before.
        taps: (world,) int: 0 none, 1 a first touch, 2 a second touch in time, in this step.
        config: weights.
        hurried: the told speed is the least that is asked, as it always is before gaps: a leap is faster.

    Returns:
        reward, tracking and falls. In the bowl the rat must learn to right itself, so lying down is no fall there.
    """
    at = pose(env.physics.fields, env.index)
    upright, torso, pelvis = _upright(at)
    share, facing, aside = _tracking(at, guidance, hurried or ground is Ground.GAPS)
    tracking = share * upright * facing
    cost = config.action_rate * (action_change**2).mean(axis=1) + config.sideways * np.abs(aside)
    if ground is Ground.TAP:
        offset = guidance.target - at.position
        far = np.linalg.norm(offset[:, :2], axis=1) > _NEAR_TARGET
        distance = hand_distance(env.physics.fields, env.index, guidance.target)
        walking = config.upright * upright + 0.4 * tracking + 0.2 * np.exp(-8.0 * distance)
        rearing = config.upright * (np.clip(pelvis, 0.0, 1.0) + np.clip(np.cos(guidance.heading - at.yaw), 0.0, 1.0))
        earned = 1.0 - config.gaze * (1.0 - _seen(facing_eye(env, guidance.target)))
        rearing = rearing + _tap_shaping(distance, guidance, upright, config) * np.where(guidance.phase == 2, 1.0, earned)
        bonus = np.select([taps == 1, taps == 2], [config.tap, config.second_tap], 0.0) * earned
        return Progress(
            reward=np.where(far, walking, rearing) + bonus - cost, tracking=tracking, fallen=(torso < -0.1) | (pelvis < 0.1)
        )
    if ground is Ground.BOWL:
        righting = 0.25 * (0.5 + 0.25 * (torso + pelvis)) + config.upright * upright + (config.tracking - 0.25) * tracking
        return Progress(reward=righting - cost, tracking=tracking, fallen=np.zeros(len(torso), bool))
    reward = config.upright * upright + config.tracking * tracking - cost
    return Progress(reward=reward, tracking=tracking, fallen=(torso < 0.3) | (pelvis < 0.3))
