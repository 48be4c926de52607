"""Pictures of a corridor's edges: what eyes are to learn before a student can jump.

A student that is taught by imitation alone meets too few corridors to learn where edges are: it knows those that it learned from. A
teacher needs no pictures to run, so that pictures are taken only now and then, of as many corridors as wanted.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from vrodent.simulation import CpuSimulation, make
from vrodent.training import progress
from vrodent.training.teachers.eyes import EyesConfig, Lesson
from vrodent.training.teachers.guidance import Ground, Guidance
from vrodent.training.teachers.guides import GapsGuide
from vrodent.training.teachers.mirror import Mirror
from vrodent.training.teachers.network import Teacher
from vrodent.training.teachers.privileged import OBSERVATION_SIZE, SCAN_SHAPE, TOLD
from vrodent.training.teachers.task_teacher import TaskTeacher

_WORLDS = 64
_EVERY = 3  # control steps from picture to picture: 0.06 s, in which a running rat comes 5 cm far
_SPEED, _ASTRAY = (0.2, 1.0), 0.6  # m/s, and rad to either side, that rats are told, so that they meet edges in all ways
_CHANGE = 0.02  # chance of other instructions per control step
_FLOOR, _CLIP = 1e-3, 5.0  # added to senses' deviations, and the largest sense in them
_POINTS = int(np.prod(SCAN_SHAPE))
_TARGETS = np.r_[TOLD.start : TOLD.start + 2, TOLD.start + 3 : TOLD.start + 3 + _POINTS]  # cosine and sine of the course; the scan
# Of the targets: together they then weigh about as much as an orb's three, against which features' staying is weighed.
_LOUDNESS = 3.0 / np.sqrt(len(_TARGETS))


class _Stroll:
    """Along the corridor, at speeds and at angles to it that change now and then.

    Args:
        rng: source of all draws.
        num_worlds: how many.
    """

    ground = Ground.GAPS

    def __init__(self, rng: np.random.Generator, num_worlds: int) -> None:
        self._rng, self._along = rng, GapsGuide()
        self.speed, self.aside = np.zeros(num_worlds), np.zeros(num_worlds)
        self.redraw(np.ones(num_worlds, bool))

    def redraw(self, which: np.ndarray) -> None:
        """Other instructions for some worlds (world,) bool; half of them are told to go straight on."""
        count = int(which.sum())
        self.speed[which] = self._rng.uniform(*_SPEED, count)
        self.aside[which] = self._rng.uniform(-_ASTRAY, _ASTRAY, count) * (self._rng.random(count) < 0.5)

    def guide(self, env: CpuSimulation) -> Guidance:
        """The instructions as they stand."""
        along = self._along.guide(env)
        return along._replace(heading=along.heading + self.aside, speed=self.speed)

    def heights(self, env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        """Platforms and pits."""
        return self._along.heights(env, points)


def take_edge_pictures(
    jumper: Teacher, config: EyesConfig, say: Callable[[str], None] = progress.say, num_worlds: int = _WORLDS
) -> Lesson:
    """Let a teacher run down corridors and look now and then.

    Args:
        jumper: runs, at speeds and angles drawn at random.
        config: how many pictures.
        say: takes the lines of progress.
        num_worlds: corridors run down together.

    Returns:
        at least `config.num_pictures`, with what the rat feels, and as targets the cosine and sine of the corridor's direction and the scan
        of the ground as its teacher is told of them, scaled.
    """
    rng = np.random.default_rng([config.seed, 3])
    running = make("gaps", num_worlds, seed=config.seed, physics="training", camera=False)
    looking = make("gaps", num_worlds, seed=config.seed, physics="training")
    looking.reset()
    felt, stroll = running.reset()["proprioception"], _Stroll(rng, num_worlds)
    driver, truth = TaskTeacher(jumper, stroll), TaskTeacher(jumper, GapsGuide())
    rounds, parts, begun = -(-config.num_pictures // num_worlds), [], time.monotonic()
    for step in range(rounds * _EVERY):
        if step % _EVERY == 0:
            looking.physics.fields.qpos[:] = running.physics.fields.qpos
            looking.physics.fields.forward()
            parts.append((looking.observe()["egocentric"], np.array(felt), truth.observe(running)))
        result = running.step(driver.ctrl(running))
        over = result.terminated | result.truncated | driver.hopeless(running)
        felt = result.observation["proprioception"]
        if over.any():
            felt = running.reset(over)["proprioception"]
            looking.reset(over)
        stroll.redraw(over | (rng.random(num_worlds) < _CHANGE))
        if step % (200 * _EVERY) == 200 * _EVERY - 1:
            left = (time.monotonic() - begun) / (step + 1) * (rounds * _EVERY - step - 1)
            say(f"{(step + 1) // _EVERY * num_worlds:,} pictures, {progress.duration(left)} left")
    mirror = Mirror.of(running.index)
    running.close()
    looking.close()
    return _lesson(mirror, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def _lesson(mirror: Mirror, egocentric: np.ndarray, felt: np.ndarray, seen: np.ndarray) -> Lesson:
    """From pictures, proprioception (picture, 158), and what a teacher observed (picture, OBSERVATION_SIZE)."""
    whole = np.zeros((len(felt), OBSERVATION_SIZE), np.float32)
    whole[:, : felt.shape[1]] = felt  # gains are the same left and right, so that raw senses are mirrored as scaled ones are
    sides = np.stack([whole, mirror.observation(whole)])[:, :, : felt.shape[1]]
    mean, std = sides.mean(axis=(0, 1)), sides.std(axis=(0, 1)) + _FLOOR
    own, mirrored = np.clip((sides - mean) / std, -_CLIP, _CLIP)
    target, turned = (_LOUDNESS * observed[:, _TARGETS] for observed in (seen, mirror.observation(seen)))
    return Lesson(egocentric, own, target.astype(np.float32), mirrored, turned.astype(np.float32))
