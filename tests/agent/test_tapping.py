"""The clock of taps: where palms are, when a strike is told of, and that an agent's unrolls keep it as its acts do."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agent.conftest import SMALL
from vrodent.agent import Agent
from vrodent.agent.tapping import JOINTS, LIMBS, Chain, TapClock, palm_places

_SKILLED = dataclasses.replace(SMALL, skill_widths=(6, 4), told_size=9, body_size=9, num_estimates=4, tapping_skill=1, told_target=1)


@pytest.fixture(name="clock")
def _clock() -> TapClock:
    """Strikes within 4 cm for 0.19 s, touches within 3 cm, told of for 0.95 s."""
    times = (jnp.asarray(number) for number in (0.04, 0.03, 0.19, 0.95, 0.02))
    return eqx.tree_at(lambda c: (c.strike, c.touch, c.dwell, c.refractory, c.step), TapClock(1, 1), tuple(times))


def _run(clock: TapClock, distance: np.ndarray, tapping: np.ndarray | None = None) -> np.ndarray:
    """What is reckoned step by step, (step, 5)."""
    memory, rows = jnp.zeros(2), []
    for step, metres in enumerate(distance):
        memory, row = clock.tick(memory, jnp.asarray(metres), jnp.asarray(True if tapping is None else tapping[step]))
        rows.append(np.asarray(row))
    return np.array(rows)


def test_two_hinges_in_a_plane_reach_where_trigonometry_says():
    """Arms of 3 and 2 cm, the second hinge 1 cm before the end of the first body, the body of it half a turn about z to begin with."""
    hinges = (LIMBS, JOINTS)
    offset, turn, axis, anchor = np.zeros((*hinges, 3)), np.tile(np.eye(3), (*hinges, 1, 1)), np.zeros((*hinges, 3)), np.zeros((*hinges, 3))
    axis[..., 2] = 1.0
    offset[:, 1, 0], turn[:, 1], anchor[:, 1, 0] = 0.03, np.diag([-1.0, -1.0, 1.0]), 0.01
    rest, end = np.zeros(hinges), np.tile([0.02, 0.0, 0.0], (LIMBS, 1))
    rest[:, 0] = 0.1
    chain = Chain(*(jnp.asarray(part, jnp.float32) for part in (offset, turn, axis, anchor, rest, end)))
    angles = np.zeros((3, *hinges))
    first, bent = np.array([[0.0, 0.5], [1.0, 2.0], [-1.0, -0.3]]), np.array([[0.0, 1.0], [-2.0, 0.7], [3.0, -1.0]])
    angles[..., 0], angles[..., 1] = 0.1 + first, bent
    hinge = 0.02 * np.stack([np.cos(first), np.sin(first)], axis=-1)
    second = first + np.pi + bent
    expected = hinge + 0.01 * np.stack([np.cos(second), np.sin(second)], axis=-1)
    found = np.asarray(palm_places(chain, jnp.asarray(angles)))
    np.testing.assert_allclose(found[..., :2], expected, atol=1e-7)
    np.testing.assert_allclose(found[..., 2], 0.0, atol=1e-9)


def test_a_palm_that_stays_near_has_struck_after_a_fifth_of_a_second_and_is_told_of_it_until_it_would_be_late(clock):
    """3.5 cm off for 100 steps: the tenth after the first is the strike; 47 steps later it is forgotten, and the palm strikes again."""
    told = _run(clock, np.full(100, 0.035))
    struck = np.flatnonzero(told[:, 2] == 1.0)
    np.testing.assert_array_equal(struck, np.arange(10, 100))
    expected = np.full(100, 2.0)
    expected[10:] = 0.02 * (np.arange(90) % 48)
    np.testing.assert_allclose(told[:, 4], expected, atol=1e-5)  # sums of 48 numbers of single precision
    np.testing.assert_array_equal(told[:, 1], 1.0 - told[:, 2])
    np.testing.assert_allclose(told[:, 0], np.tanh(0.35), atol=1e-6)


def test_a_touch_strikes_at_once_a_palm_that_passes_does_not_and_an_idle_one_never(clock):
    assert _run(clock, np.array([0.2, 0.029, 0.2]))[:, 2].tolist() == [0.0, 1.0, 1.0]
    passing = np.where(np.arange(60) % 10 < 8, 0.035, 0.05)
    assert not _run(clock, passing)[:, 2].any()
    assert not _run(clock, np.full(60, 0.01), np.zeros(60, bool))[:, 2].any()
    tapping = np.arange(60) >= 30
    assert np.flatnonzero(_run(clock, np.full(60, 0.01), tapping)[:, 2])[0] == 30


def test_how_near_is_from_the_nearer_palm(clock):
    """All hinges without extent: both palms at the ends of `end`."""
    clock = eqx.tree_at(lambda c: c.chain.end, clock, jnp.asarray([[0.05, 0.02, 0.0], [0.05, -0.02, 0.0]]))
    told = np.zeros((2, 9), np.float32)
    told[:, 1:4] = 4.0 * np.array([[0.05, -0.03, 0.0], [0.05, 0.02, 0.04]])
    np.testing.assert_allclose(clock.distance(jnp.zeros((2, 158)), jnp.asarray(told)), [0.01, 0.04], atol=1e-6)


@pytest.fixture(name="tapper")
def _tapper(clock) -> Agent:
    """An agent whose palms hardly move, its orb somewhere about them, and both skills asked for by turns."""
    agent = Agent(_SKILLED, seed=1, stance=jnp.linspace(-0.5, 0.5, 5))
    assert agent.motor is not None
    agent = eqx.tree_at(lambda a: a.mean_head.weight, agent, 30.0 * agent.mean_head.weight)
    near = eqx.tree_at(lambda c: (c.strike, c.touch, c.dwell), clock, tuple(jnp.asarray(number) for number in (0.25, 0.12, 0.05)))
    parts = jnp.arange(1.0, 8.0), jnp.asarray([1, 5, 7, 8]), jnp.asarray(1), jnp.arange(5), jnp.asarray(0.6), near
    return eqx.tree_at(
        lambda a: (a.motor.gain, a.motor.estimated, a.motor.height, a.motor.activation, a.motor.decay, a.motor.clock), agent, parts
    )


def test_an_unroll_keeps_the_clock_as_acting_does_across_a_new_trial(tapper):
    """60 steps, of which some strike. Single precision: 1e-5, and the same strikes."""
    rng, steps = np.random.default_rng(3), 60
    observation = {
        "proprioception": jnp.asarray(np.cumsum(rng.normal(0.0, 0.3, (steps, 3, 7)), axis=0), jnp.float32),
        "egocentric": jnp.asarray(rng.integers(0, 255, (steps, 3, 64, 64, 3)), jnp.uint8),
    }
    reset = np.zeros((steps, 3), bool)
    reset[0], reset[25, 1] = True, True
    whole, last = tapper.unroll(observation, tapper.initial_memory(3), jnp.asarray(reset))
    memory, clocks = tapper.initial_memory(3), []
    act = eqx.filter_jit(lambda agent, seen, memory: agent.act(seen, memory))
    for row in range(steps):
        seen = {name: value[row] for name, value in observation.items()}
        memory = jax.tree.map(lambda x, row=row: jnp.where(reset[row][:, None], 0.0, x), memory)
        acted, memory = act(tapper, seen, memory)
        clocks.append(np.asarray(memory.clock))
        np.testing.assert_allclose(acted.mean, whole.mean[row], atol=1e-5)
    struck = np.array(clocks)[..., 1] > 0.0
    assert 0.05 < struck.mean() < 0.95 and (np.diff(struck.astype(int), axis=0) == 1).sum() >= 3
    np.testing.assert_allclose(last.clock, memory.clock, atol=1e-5)
    half, between = tapper.unroll({k: v[:30] for k, v in observation.items()}, tapper.initial_memory(3), jnp.asarray(reset[:30]))
    rest, _ = tapper.unroll({k: v[30:] for k, v in observation.items()}, between, jnp.asarray(reset[30:]))
    np.testing.assert_allclose(jnp.concatenate([half.mean, rest.mean]), whole.mean, atol=1e-5)


def test_what_is_reckoned_is_told_whatever_the_policy_says_and_heeded_by_nobody_else(tapper):
    """The policy's own word for nearness, cases and time makes no difference; its word for the orb's place does."""
    motor = tapper.motor
    felt, before = jnp.asarray(np.linspace(-0.3, 0.3, 7), jnp.float32), jnp.ones(8)
    given = jnp.asarray([0.0, 0.3, 0.2, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 0.5, 0.5], jnp.float32)

    def act(given: jax.Array) -> np.ndarray:
        _, reckoned = motor.tick(felt, given, jnp.zeros(2))
        return np.asarray(motor(felt, before, given, tapper.stance, reckoned)[0])

    np.testing.assert_array_equal(act(given), act(given.at[6:].set(-3.0)))
    assert np.abs(act(given) - act(given.at[3].add(0.4))).max() > 1e-3
    np.testing.assert_array_equal(motor.heeded[:, 4:], 0.0)
    np.testing.assert_array_equal(motor.heeded[:, :4], 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"tapping_skill": 2}, "tapping_skill must be one of the 2 skills"), ({"told_target": 2}, "followed by 7 of the 9 numbers")],
)
def test_a_clock_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(_SKILLED, **change)
