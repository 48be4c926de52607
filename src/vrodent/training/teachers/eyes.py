"""Eyes that see an orb: an agent's image encoder learns from pictures where the orb of two_tap is.

An orb a metre away is two pixels wide. A student that learns from a teacher's actions hardly learns to see it, for while it walks its own
motion foretells the next action better than its eyes do. Pictures with the rat at places and in directions drawn at random have no such
short cut and cost a tenth of a control step each.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vrodent.agent import Agent
from vrodent.agent.encoders import ImageEncoder
from vrodent.agent.layers import Linear
from vrodent.simulation import CpuSimulation, make
from vrodent.training import progress
from vrodent.training.teachers.guidance import pose
from vrodent.training.teachers.guides import HeldCommands
from vrodent.training.teachers.network import Teacher
from vrodent.training.teachers.task_teacher import TaskTeacher

_HALF_VIEW = 0.65  # rad; the camera sees 0.7 to either side of where the head points
_WIDTH = 64  # worlds that pictures are taken in
_FEATURE_FLOOR = 0.05  # added to a feature's deviation, so that one that hardly changes is not held too fast


@dataclass(frozen=True, kw_only=True)
class EyesConfig:
    """How eyes learn.

    Attributes:
        seed: of everything.
        num_pictures: taken; 12 kB of memory each. A sixteenth of them is kept for judging.
        walked: control steps of walking from which postures are taken.
        distance: (least, most) m in the plane from the rat to the orb, drawn evenly in the logarithm.
        updates: of the encoder.
        batch_size: pictures in an update; half of them mirrored.
        kept_batch: pictures of what the agent meets in its tasks in an update, on which features are to stay as they were.
        keep_weight: of their staying, in deviations of each feature.
        learning_rate: Adam's at first, falling by a cosine to a thirtieth.
    """

    seed: int = 0
    num_pictures: int = 100_000
    walked: int = 120
    distance: tuple[float, float] = (0.12, 2.5)
    updates: int = 4_000
    batch_size: int = 192
    kept_batch: int = 64
    keep_weight: float = 0.5
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("num_pictures", "updates", "batch_size", "kept_batch", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"EyesConfig.{name} must be positive, but is {getattr(self, name)}.")
        if not 0 < self.distance[0] < self.distance[1]:
            raise ValueError(f"EyesConfig.distance must be two lengths, the shorter first, but is {self.distance}.")
        if self.num_pictures < 32 or self.walked < 20:
            raise ValueError(f"Eyes need 32 pictures and 20 steps of walking at least, not {self.num_pictures} and {self.walked}.")


class Pictures(NamedTuple):
    """What the rat sees and where the orb is: `egocentric` (picture, 64, 64, 3) uint8; `bearing` (picture,) rad from the torso's yaw, left
    positive; `distance` (picture,) m in the plane."""

    egocentric: np.ndarray
    bearing: np.ndarray
    distance: np.ndarray

    def targets(self) -> np.ndarray:
        """(picture, 3) float32: 1 where the orb is before the eye, else 0; there, too, twice the bearing's sine and half the logarithm of
        the distance in m, else 0."""
        seen = np.abs(self.bearing) < _HALF_VIEW
        return np.stack([seen, seen * 2.0 * np.sin(self.bearing), seen * 0.5 * np.log(self.distance)], axis=1).astype(np.float32)


def postures(walker: Teacher, steps: int, seed: int, num_worlds: int = _WIDTH) -> np.ndarray:
    """(posture, nq): `qpos` of rats that a teacher walks about on level ground, every third control step."""
    env = make("two_tap", num_worlds, seed=seed, physics="training", camera=False)
    env.reset()
    commands = HeldCommands(np.random.default_rng([seed, 0]), num_worlds)
    commands.redraw(np.arange(num_worlds), pose(env.physics.fields, env.index).yaw, 1.0)
    walking, found = TaskTeacher(walker, commands), []
    for step in range(steps):
        env.step(walking.ctrl(env))
        commands.advance(env)
        if step > 10 and step % 3 == 0:
            found.append(env.physics.fields.qpos.copy())
    env.close()
    gathered = np.concatenate(found)
    return gathered[np.isfinite(gathered).all(axis=1)]


def take_pictures(
    standing: np.ndarray, config: EyesConfig, say: Callable[[str], None] = progress.say, num_worlds: int = _WIDTH
) -> Pictures:
    """Put rats down near orbs and look.

    Args:
        standing: (posture, nq), from `postures`.
        config: how many, how far.
        say: takes the lines of progress.
        num_worlds: pictures taken together.

    Returns:
        at least `config.num_pictures`: in six of ten the orb is within 0.75 rad of where the torso points, else anywhere.
    """
    rng = np.random.default_rng([config.seed, 1])
    env = make("two_tap", num_worlds, seed=config.seed, physics="training")
    env.reset()
    rounds, parts, begun = -(-config.num_pictures // num_worlds), [], time.monotonic()
    orb = env.arenas.targets[np.arange(num_worlds), 0]
    nearest, farthest = config.distance
    for number in range(rounds):
        anywhere, ahead = rng.uniform(-np.pi, np.pi, num_worlds), rng.uniform(-0.75, 0.75, num_worlds)
        bearing = np.where(rng.random(num_worlds) < 0.6, ahead, anywhere)
        distance = np.exp(rng.uniform(np.log(nearest), np.log(farthest), num_worlds))
        stands, turn = standing[rng.integers(len(standing), size=num_worlds)], rng.uniform(-np.pi, np.pi, num_worlds)
        _put_down(env, stands, turn, orb, bearing, distance)
        parts.append(Pictures(env.observe()["egocentric"], bearing, distance))
        if number % 200 == 199:
            left = (time.monotonic() - begun) / (number + 1) * (rounds - number - 1)
            say(f"{(number + 1) * num_worlds:,} pictures, {progress.duration(left)} left")
    env.close()
    return Pictures(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _put_down(
    env: CpuSimulation, qpos: np.ndarray, turn: np.ndarray, orb: np.ndarray, bearing: np.ndarray, distance: np.ndarray
) -> None:
    """Turn rats about the vertical by an angle each, and move them so that the torso has the orb where it is to be."""
    fields, qpos = env.physics.fields, qpos.copy()
    c, s = np.cos(turn / 2), np.sin(turn / 2)
    w, x, y, z = qpos[:, 3:7].T
    qpos[:, 3:7] = np.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], axis=1)
    qpos[:, :2] = 0.0
    fields.qpos[:] = qpos
    fields.forward()
    torso = fields.xmat[:, env.index.torso].reshape(-1, 3, 3)
    direction = np.arctan2(torso[:, 1, 0], torso[:, 0, 0]) + bearing
    away = distance[:, None] * np.stack([np.cos(direction), np.sin(direction)], axis=1)
    fields.qpos[:, :2] = orb[:, :2] - away - fields.xpos[:, env.index.torso, :2]
    fields.forward()


def met(agent: Agent, tasks: tuple[str, ...], steps: int, seed: int, num_worlds: int = 8) -> np.ndarray:
    """(picture, 64, 64, 3) uint8: what an agent sees in its tasks, every fourth control step."""
    act = eqx.filter_jit(lambda agent, observation, memory, key: agent.act(observation, memory, key))
    found = []
    for number, task in enumerate(tasks):
        env = make(task, num_worlds, seed=seed, physics="training")
        observation, memory = env.reset(), agent.initial_memory(num_worlds)
        key = jax.random.key(np.random.default_rng([seed, number]).integers(2**31))
        for step in range(steps):
            output, memory = act(agent, observation, memory, jax.random.fold_in(key, step))
            result = env.step(np.asarray(agent.ctrl(output.action)))
            observation = result.observation
            if (result.terminated | result.truncated).any():
                observation = env.reset(result.terminated | result.truncated)
            if step % 4 == 0:
                found.append(np.array(observation["egocentric"]))
        env.close()
    return np.concatenate(found)


Seeing = tuple[ImageEncoder, Linear]
"""An encoder, and the head that foretells the orb's place from its features."""


class EyesReport(NamedTuple):
    """How well it went: `error`, mean squared error on pictures that were kept for judging, `constant`, that of their mean, `moved`, mean
    squared change of features on what the agent meets, in deviations."""

    error: float
    constant: float
    moved: float


def learn_to_see(
    encoder: ImageEncoder, pictures: Pictures, kept: np.ndarray, config: EyesConfig, say: Callable[[str], None] = progress.say
) -> tuple[ImageEncoder, EyesReport]:
    """Teach an encoder where the orb is, and to say of everything else what it said before.

    Args:
        encoder: to begin with.
        pictures: with the orb's place.
        kept: (picture, 64, 64, 3) uint8, on which features are to stay.
        config: rates and weights.
        say: takes the lines of progress.

    Returns:
        the encoder, and how well it sees.
    """
    rng, target = np.random.default_rng([config.seed, 2]), pictures.targets()
    learnt = len(target) - len(target) // 16
    before = _features(encoder, kept)
    scale = before.std(axis=0) + _FEATURE_FLOOR
    head = Linear(before.shape[1], target.shape[1], rng, scale=0.1)
    optimiser = optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.updates, 1.0 / 30.0))
    model = (encoder, head)
    moments, begun = optimiser.init(model), time.monotonic()
    for update in range(config.updates):
        chosen, same = rng.integers(learnt, size=config.batch_size), rng.integers(len(kept), size=config.kept_batch)
        image, wanted = _mirrored(pictures.egocentric[chosen], target[chosen], rng.random(config.batch_size) < 0.5)
        batch = image, wanted, kept[same], before[same] / scale, scale
        model, moments, loss = _update(optimiser, model, moments, batch, config.keep_weight)
        if update % 500 == 499:
            left = (time.monotonic() - begun) / (update + 1) * (config.updates - update - 1)
            say(f"{update + 1:,} updates, loss {float(loss):.3f}, {progress.duration(left)} left")
    judged = target[learnt:]
    foretold = np.asarray(model[1](jnp.asarray(_features(model[0], pictures.egocentric[learnt:]))))
    moved = float(np.mean(((_features(model[0], kept) - before) / scale) ** 2))
    constant = float(np.mean(np.sum((judged - target[:learnt].mean(axis=0)) ** 2, axis=1)))
    return model[0], EyesReport(float(np.mean(np.sum((foretold - judged) ** 2, axis=1))), constant, moved)


def _mirrored(image: np.ndarray, target: np.ndarray, flipped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left and right exchanged where told: the picture's columns, and the bearing's sign."""
    sign = np.where(flipped, -1.0, 1.0)[:, None] ** np.array([0, 1, 0])
    return np.where(flipped[:, None, None, None], image[:, :, ::-1], image), (target * sign).astype(np.float32)


@eqx.filter_jit
def _update(
    optimiser: optax.GradientTransformation, model: Seeing, moments: optax.OptState, batch: tuple[np.ndarray, ...], keep_weight: float
) -> tuple[Seeing, optax.OptState, jax.Array]:
    image, target, kept, before, scale = batch

    def loss(model: Seeing) -> jax.Array:
        encoder, head = model
        features = encoder(jnp.concatenate([image, kept]))
        error = jnp.mean(jnp.sum((head(features[: len(image)]) - target) ** 2, axis=1))
        return error + keep_weight * jnp.mean((features[len(image) :] / scale - before) ** 2)

    value, gradient = jax.value_and_grad(loss)(model)
    change, moments = optimiser.update(gradient, moments)
    return optax.apply_updates(model, change), moments, value


_encode = eqx.filter_jit(lambda encoder, image: encoder(image))


def _features(encoder: ImageEncoder, image: np.ndarray, at_once: int = 512) -> np.ndarray:
    return np.concatenate([np.asarray(_encode(encoder, image[i : i + at_once])) for i in range(0, len(image), at_once)])
