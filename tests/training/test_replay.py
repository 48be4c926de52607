"""The replay keeps what it says, gives what was put in, and survives its process."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from vrodent.agent import AgentConfig, Memory
from vrodent.agent.memory import initial_memory
from vrodent.training.replay import Replay, ReplayError, unroll_capacity
from vrodent.training.unroll import Unroll

TIME = 3
MEMORY: Memory = jax.tree.map(lambda x: np.asarray(x[0]), initial_memory(AgentConfig(core_size=2, policy_size=2), 1))


def _unrolls(first: int, count: int) -> Unroll:
    """Unrolls numbered from `first`; every number in unroll n is n."""
    def make(*shape: int, dtype=np.float32) -> np.ndarray:
        numbers = np.arange(first, first + count).reshape(-1, *(1,) * len(shape))
        return np.broadcast_to(numbers, (count, *shape)).astype(dtype)

    memory = jax.tree.map(lambda x: make(*x.shape), MEMORY)
    return Unroll(
        make(TIME + 1, 5), make(TIME + 1, 4, 4, 3, dtype=np.uint8), make(TIME + 1), make(TIME), make(TIME, 2), make(TIME, 2),
        make(TIME, 2), make(TIME), make(TIME), make(TIME, 2), make(TIME, 2), make(TIME, 3), memory,
    )  # fmt: skip


TEMPLATE = jax.tree.map(lambda x: x[0], _unrolls(0, 1))


def _numbers(unroll: Unroll) -> np.ndarray:
    """The number of each unroll, after checking that all its parts carry it."""
    numbers = unroll.reward[:, 0]
    for leaf in jax.tree.leaves(unroll):
        assert (leaf == numbers.reshape(-1, *(1,) * (leaf.ndim - 1)).astype(leaf.dtype)).all()
    return numbers.astype(int)


def test_samples_only_the_last_unrolls_and_all_of_them():
    replay = Replay(TEMPLATE, capacity=5)
    for first in range(0, 14, 2):
        replay.insert(_unrolls(first, 2))
    drawn = _numbers(replay.sample(np.random.default_rng(0), 400))
    assert set(drawn) == {9, 10, 11, 12, 13}
    counts = np.bincount(drawn)[9:]
    assert (np.abs(counts - 80) < 5 * np.sqrt(400 * 0.2 * 0.8)).all()
    assert replay.sample(np.random.default_rng(0), 1).egocentric.dtype == np.uint8


def test_same_seed_same_draw():
    replay = Replay(TEMPLATE, capacity=50)
    replay.insert(_unrolls(0, 50))
    draws = [_numbers(replay.sample(np.random.default_rng(seed), 20)) for seed in (1, 1, 2)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


def test_realised_ratio_counts_unrolls():
    replay = Replay(TEMPLATE, capacity=4)
    replay.insert(_unrolls(0, 6))
    replay.sample(np.random.default_rng(0), 9)
    replay.latest(3)
    assert (replay.inserted, replay.sampled, len(replay)) == (6, 9, 4)


def test_a_killed_run_finds_the_replay_of_its_checkpoint(tmp_path):
    """What was inserted after the mark is gone for the resumed run and has harmed nothing it can sample."""
    replay = Replay(TEMPLATE, capacity=5, surplus=4, directory=tmp_path)
    for first in range(0, 12, 3):
        replay.insert(_unrolls(first, 3))
        replay.flush()
        replay.mark(replay.inserted)
    expected = _numbers(replay.sample(np.random.default_rng(3), 30))
    replay.insert(_unrolls(100, 4))
    again = Replay(TEMPLATE, capacity=5, surplus=4, directory=tmp_path)
    again.rewind(inserted=12, sampled=0)
    np.testing.assert_array_equal(_numbers(again.sample(np.random.default_rng(3), 30)), expected)
    assert set(expected) == {7, 8, 9, 10, 11}


def test_too_many_unrolls_between_checkpoints_are_refused(tmp_path):
    replay = Replay(TEMPLATE, capacity=5, surplus=4, directory=tmp_path)
    replay.insert(_unrolls(0, 4))
    with pytest.raises(ReplayError, match=r"5 unrolls.*surplus of 4"):
        replay.insert(_unrolls(4, 1))


def test_clear_errors(tmp_path):
    with pytest.raises(ReplayError, match=r"10 steps for gaps.*one unroll of 20"):
        unroll_capacity(10, 20, "gaps")
    with pytest.raises(ReplayError, match="empty"):
        Replay(TEMPLATE, capacity=2).sample(np.random.default_rng(0), 1)
    with pytest.raises(ReplayError, match=r"needs .* GiB of memory, but only"):
        Replay(TEMPLATE, capacity=10**12)
    with pytest.raises(ReplayError, match=r"GiB more on the disk"):
        Replay(TEMPLATE, capacity=10**12, directory=tmp_path)
    Replay(TEMPLATE, capacity=5, directory=tmp_path / "a")
    with pytest.raises(ReplayError, match="another config"):
        Replay(TEMPLATE, capacity=6, directory=tmp_path / "a")
