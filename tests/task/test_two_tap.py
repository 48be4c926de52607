"""The two-tap task's logic, without physics, against a plain account of the rules."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from vrodent.task import Outcome, select, stack_arenas
from vrodent.task.two_tap import CORRECT, TAPPED, TOO_LATE, TOO_SOON, WAITING, TwoTap

_INDEX = SimpleNamespace(hands=np.array([0, 1]))
_SUBSTEPS = 20


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return TwoTap().spec().compile()


def _run(model: mujoco.MjModel, touches: dict[int, list[int]], steps: int, xp: Any = np, worlds: int = 1) -> Iterator[tuple[Any, Outcome]]:
    """Play touches {physics step: worlds touching}; yields the outcome of each control step. Time is counted, not accumulated."""
    task = TwoTap()
    arenas = stack_arenas([task.draw(np.random.default_rng(w), model) for w in range(worlds)])
    progress = task.start(arenas, xp)
    for k in range(steps):
        progress, targets = task.before_step(progress, arenas, xp)
        time = np.tile(np.arange(1, _SUBSTEPS + 1) / 1000 + k * 0.02, (worlds, 1))
        touched = np.zeros((worlds, _SUBSTEPS, 1), bool)
        for s in range(_SUBSTEPS):
            touched[touches.get(k * _SUBSTEPS + s + 1, []), s] = True
        fields = SimpleNamespace(xpos=xp.asarray(np.full((worlds, 2, 3), 5.0)))
        outcome = task.step(progress, fields, xp.asarray(touched), xp.asarray(time), arenas, _INDEX, xp)  # type: ignore[arg-type]
        progress = outcome.progress
        yield targets, outcome


def _taps(model: mujoco.MjModel, at_ms: list[int], steps: int = 250) -> list[tuple[int, int]]:
    """(control step, tap) of what happens when the orb is touched during these milliseconds."""
    found = [(k, int(outcome.events.tap[0])) for k, (_, outcome) in enumerate(_run(model, {ms: [0] for ms in at_ms}, steps))]
    return [(k, tap) for k, tap in found if tap]


def test_a_second_tap_after_800_ms_is_correct(model: mujoco.MjModel) -> None:
    assert _taps(model, [101, 905]) == [(5, 1), (45, 2)]


def test_touches_within_the_debounce_do_not_count(model: mujoco.MjModel) -> None:
    assert _taps(model, [*range(101, 302), 905]) == [(5, 1), (45, 2)]
    assert _taps(model, [*range(101, 303)]) == [(5, 1), (15, 3)]


def test_the_window_is_a_tenth_of_a_second_on_either_side(model: mujoco.MjModel) -> None:
    # Intervals are judged between the ends of control steps.
    assert _taps(model, [101, 101 + 680])[1] == (39, 3)
    assert _taps(model, [101, 101 + 720])[1] == (41, 2)
    assert _taps(model, [101, 101 + 880])[1] == (49, 2)
    assert _taps(model, [101, 101 + 1100])[1] == (51, 4)


def test_a_correct_sequence_brings_the_next_orb_two_steps_later(model: mujoco.MjModel) -> None:
    steps = list(_run(model, {101: [0], 905: [0]}, 60))
    orbs = np.array([targets[0, 0] for targets, _ in steps])
    assert (np.flatnonzero((np.diff(orbs, axis=0) != 0).any(axis=1)) + 1).tolist() == [47]
    assert steps[45][1].progress.phase[0] == CORRECT and steps[47][1].progress.phase[0] == WAITING
    assert [int(outcome.progress.taps[0]) for _, outcome in steps[44:47]] == [0, 1, 1]


@pytest.mark.parametrize(("touches", "phase"), [([101, 501], TOO_SOON), ([101], TOO_LATE)])
def test_a_wrong_sequence_costs_a_time_out(model: mujoco.MjModel, touches: list[int], phase: int) -> None:
    steps = list(_run(model, {ms: [0] for ms in touches}, 130))
    phases = np.array([int(outcome.progress.phase[0]) for _, outcome in steps])
    over = int(np.flatnonzero(phases == phase)[0])
    orbs = np.array([targets[0, 0] for targets, _ in steps])
    moved = int(np.flatnonzero((np.diff(orbs, axis=0) != 0).any(axis=1))[0]) + 1
    # 1.2 s, the step that sees it over, the step that orders the move, and the move at the beginning of the next.
    assert moved - over in (62, 63)
    assert (phases[over:moved] == phase).all() and phases[moved] == WAITING


def test_rewards_are_25_for_each_tap_and_at_most_a_quarter_for_nearness(model: mujoco.MjModel) -> None:
    rewards = [float(outcome.reward[0]) for _, outcome in _run(model, {101: [0], 905: [0]}, 60)]
    assert [k for k, reward in enumerate(rewards) if reward > 24] == [5, 45]
    task = TwoTap()
    arenas = stack_arenas([task.draw(np.random.default_rng(0), model)])
    orb = arenas.targets[0, 0]
    for offset in ([0.0, 0.0, 0.0], [0.1, -0.2, 0.05]):
        fields = SimpleNamespace(xpos=np.array([[orb + offset, orb + 3.0]]))
        start = task.start(arenas, np)
        outcome = task.step(start, fields, np.zeros((1, 2, 1), bool), np.array([[0.019, 0.02]]), arenas, _INDEX, np)  # type: ignore[arg-type]
        assert outcome.reward[0] == pytest.approx(0.25 * np.exp(-3 * np.abs(offset).sum()), rel=1e-12)


def test_worlds_do_not_mix_and_jax_agrees_with_numpy(model: mujoco.MjModel) -> None:
    rng = np.random.default_rng(0)
    touches = {int(ms): rng.permutation(5)[:2].tolist() for ms in rng.integers(1, 5000, 60)}
    together = [outcome for _, outcome in _run(model, touches, 250, worlds=5)]
    for world in range(5):
        alone = _run(model, {ms: [0] for ms, who in touches.items() if world in who}, 250)
        assert [int(outcome.events.tap[0]) for _, outcome in alone] == [int(o.events.tap[world]) for o in together]
    with jax.enable_x64(True):  # times at the edge of a window are judged alike only in one precision
        in_jax = [outcome for _, outcome in _run(model, touches, 120, xp=jnp, worlds=5)]
    for ours, other in zip(together, in_jax, strict=False):
        np.testing.assert_array_equal(ours.events.tap, other.events.tap)
        np.testing.assert_array_equal(ours.progress.orb, other.progress.orb)
    assert len({int(tap) for outcome in together for tap in outcome.events.tap}) >= 4


def test_orbs_lie_in_the_area_and_the_rat_turns_every_way(model: mujoco.MjModel) -> None:
    arenas = stack_arenas([TwoTap().draw(np.random.default_rng(seed), model) for seed in range(200)])
    xy = arenas.targets[..., :2]
    assert (np.abs(xy) <= 1.5).all() and (np.abs(xy).max(axis=(0, 1)) > 1.49).all()
    assert (arenas.targets[..., 2] == 0.14).all()
    turn = 2 * np.arctan2(arenas.qpos[:, 6], arenas.qpos[:, 3])
    assert np.histogram(turn, bins=4, range=(0, 2 * np.pi))[0].min() > 30
    np.testing.assert_array_equal(arenas.qpos[:, :3], 0.0)


def test_the_look_follows_the_touches(model: mujoco.MjModel) -> None:
    task = TwoTap()
    arenas = stack_arenas([task.draw(np.random.default_rng(0), model)])
    names = []
    for _, outcome in _run(model, {101: [0], 905: [0]}, 46):
        names.append(model.texture(int(task.look(outcome.progress, arenas, np).material_texture[0, 0])).name)
    assert names[4].endswith("init") and names[5].endswith("inter") and names[44].endswith("inter") and names[45].endswith("final")


def test_select_takes_new_where_the_mask_is_true(model: mujoco.MjModel) -> None:
    task = TwoTap()
    arenas = stack_arenas([task.draw(np.random.default_rng(w), model) for w in range(3)])
    fresh = task.start(arenas, np)
    old = fresh._replace(phase=np.full(3, TAPPED))
    assert select(np.array([False, True, False]), fresh, old, np).phase.tolist() == [TAPPED, WAITING, TAPPED]


def test_a_tolerance_wider_than_the_interval_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got 0\.9"):
        TwoTap(tolerance=0.9)
