"""The compass: dead reckoning against motions whose way back is known, and that an agent's unrolls keep it as its acts do."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.agent.conftest import SMALL
from vrodent.agent import Agent
from vrodent.agent.compass import Compass

_SKILLED = dataclasses.replace(
    SMALL, skill_widths=(6, 4, 4), told_size=9, body_size=9, num_estimates=6, told_direction=(1, 3), homing_skill=2
)  # fmt: skip
_STEP = 0.02


@pytest.fixture(name="compass")
def _compass() -> Compass:
    """The vertical in senses 0 to 2; velocity in estimates 0 and 1, angular velocity in 2 to 4, in units of 10 rad/s."""
    parts = jnp.arange(3), jnp.arange(2, 5), jnp.arange(2), jnp.asarray(10.0), jnp.asarray(_STEP)
    return eqx.tree_at(lambda c: (c.up, c.spin, c.velocity, c.unit, c.step), Compass(2, 1), parts)


def _reckon(compass: Compass, up: np.ndarray, velocity: np.ndarray, spin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Memory (step, 5) and course (step, 2) of motions (step, n)."""
    memory, kept, courses = jnp.zeros(5), [], []
    for row in range(len(up)):
        estimates = jnp.asarray(np.concatenate([velocity[row], spin[row] / 10.0]), jnp.float32)
        memory, course = compass.tick(memory, jnp.asarray(up[row], jnp.float32), estimates)
        kept.append(np.asarray(memory))
        courses.append(np.asarray(course))
    return np.array(kept), np.array(courses)


def test_on_a_circle_the_course_is_that_of_geometry(compass):
    """At 0.4 m/s and 0.8 rad/s for 6 s: a circle of half a metre's radius, walked in chords. Each chord is taken along the direction at its
    end instead of its middle, 0.008 rad off, which is how far the course may be off, for the place turns with it."""
    steps = 300
    up, velocity, spin = np.tile([0.0, 0.0, 1.0], (steps, 1)), np.tile([0.4, 0.0], (steps, 1)), np.tile([0.0, 0.0, 0.8], (steps, 1))
    kept, course = _reckon(compass, up, velocity, spin)
    yaw = 0.8 * _STEP * np.arange(steps)
    place = 0.5 * np.stack([np.sin(yaw), 1.0 - np.cos(yaw)], axis=1)
    np.testing.assert_allclose(kept[:, 3:], place, atol=0.5 * 2 * 0.008)
    toward = place + 0.5 * np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    angle = np.arctan2(toward[:, 1], toward[:, 0]) - yaw
    np.testing.assert_allclose(course, np.stack([np.cos(angle), np.sin(angle)], axis=1), atol=0.01)
    assert np.cos(angle).min() < 0.2, "straight ahead would do as well: the test shows nothing"


def test_tumbling_it_knows_which_way_it_faced(compass):
    """Through turns about random axes, upside down too, each constant for a step: exact but for rounding, 200 times over."""
    rng, steps = np.random.default_rng(0), 200
    spin = np.cumsum(rng.normal(0.0, 1.5, (steps, 3)), axis=0) % 16.0 - 8.0
    attitude = [Rotation.random(random_state=3)]
    for row in spin[1:]:
        attitude.append(attitude[-1] * Rotation.from_rotvec(_STEP * row))
    up = np.array([each.inv().apply([0.0, 0.0, 1.0]) for each in attitude])
    faced = attitude[0].apply([1.0, 0.0, 0.0]) * [1.0, 1.0, 0.0]
    north = np.array([each.inv().apply(faced / np.linalg.norm(faced)) for each in attitude])
    kept, _ = _reckon(compass, up, np.zeros((steps, 2)), spin)
    assert up[:, 2].min() < -0.9
    np.testing.assert_allclose(kept[:, :3], north, atol=2e-5)


def test_it_rights_itself_by_the_vertical(compass):
    """Turns that are misjudged by a tenth tilt nothing: what is reckoned stays level, and of length 1."""
    rng, steps = np.random.default_rng(1), 100
    spin, attitude = rng.normal(0.0, 3.0, (steps, 3)), [Rotation.identity()]
    for row in spin[1:]:
        attitude.append(attitude[-1] * Rotation.from_rotvec(_STEP * row))
    up = np.array([each.inv().apply([0.0, 0.0, 1.0]) for each in attitude])
    kept, course = _reckon(compass, up, np.zeros((steps, 2)), 1.1 * spin)
    np.testing.assert_allclose((kept[:, :3] * up).sum(axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(kept[:, :3], axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(course, np.tile([1.0, 0.0], (steps, 1)), atol=1e-5)  # it has not left: whichever way it faces is right


@pytest.fixture(name="homer")
def _homer(compass) -> Agent:
    """An agent that gives all skills a share of its body."""
    agent = Agent(_SKILLED, seed=1, stance=jnp.linspace(-0.5, 0.5, 5))
    assert agent.motor is not None
    larger = 3.0 * agent.mean_head.weight, 9.0 * agent.motor.estimates.weight
    agent = eqx.tree_at(lambda a: (a.mean_head.weight, a.motor.estimates.weight), agent, larger)
    parts = jnp.arange(1.0, 8.0), jnp.asarray([1, 5, 7, 8, 2, 3]), jnp.asarray(1), jnp.arange(5), jnp.asarray(0.6), compass
    return eqx.tree_at(
        lambda a: (a.motor.gain, a.motor.estimated, a.motor.height, a.motor.activation, a.motor.decay, a.motor.compass), agent, parts
    )


def test_an_unroll_keeps_the_compass_as_acting_does_across_a_new_trial(homer):
    """30 steps. Single precision: 1e-5 of actions of order 1; 1e-4 of places of order 1 m after sums."""
    rng, steps = np.random.default_rng(3), 30
    observation = {
        "proprioception": jnp.asarray(rng.normal(0.0, 1.0, (steps, 3, 7)), jnp.float32),
        "egocentric": jnp.asarray(rng.integers(0, 255, (steps, 3, 64, 64, 3)), jnp.uint8),
    }
    reset = np.zeros((steps, 3), bool)
    reset[0], reset[12, 1] = True, True
    whole, last = homer.unroll(observation, homer.initial_memory(3), jnp.asarray(reset))
    memory, places = homer.initial_memory(3), []
    act = eqx.filter_jit(lambda agent, seen, memory: agent.act(seen, memory))
    for row in range(steps):
        seen = {name: value[row] for name, value in observation.items()}
        memory = jax.tree.map(lambda x, row=row: jnp.where(reset[row][:, None], 0.0, x), memory)
        acted, memory = act(homer, seen, memory)
        places.append(np.asarray(memory.compass)[:, 3:])
        np.testing.assert_allclose(acted.mean, whole.mean[row], atol=1e-5)
    assert np.abs(places).max() > 0.05 and np.abs(places[12][1]).max() == 0.0
    np.testing.assert_allclose(last.compass, memory.compass, atol=1e-4)


def test_its_course_is_told_one_skill_and_the_policys_the_others(homer):
    """With one skill asked for alone, the policy's course makes no difference to the one that homes, and does to another."""
    motor = homer.motor
    felt, before = jnp.asarray(np.linspace(-0.3, 0.3, 7), jnp.float32), jnp.ones(8)
    course = jnp.asarray([0.6, 0.8])

    def act(skill: int, told: jax.Array) -> np.ndarray:
        given = jnp.concatenate([100.0 * jnp.eye(3)[skill], told])
        return np.asarray(motor(felt, before, given, homer.stance, (), course)[0])

    told = jnp.asarray(np.linspace(-0.5, 0.5, 9), jnp.float32)
    other = told.at[1:3].set(jnp.asarray([0.9, -0.3]))
    np.testing.assert_array_equal(act(2, told), act(2, other))
    assert np.abs(act(1, told) - act(1, other)).max() > 1e-3
    straight = motor(felt, before, jnp.concatenate([100.0 * jnp.eye(3)[2], told]), homer.stance, (), jnp.asarray([1.0, 0.0]))[0]
    assert np.abs(act(2, told) - np.asarray(straight)).max() > 1e-3
    np.testing.assert_array_equal(motor.heeded[2], [1, 0, 0, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(motor.heeded[:2], 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"homing_skill": 3}, "homing_skill must be one of the 3 skills"), ({"told_direction": (0, 0)}, "a told_direction of two numbers")],
)
def test_a_compass_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(_SKILLED, **change)
