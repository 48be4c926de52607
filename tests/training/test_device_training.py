"""Learning on a GPU, on Warp's CPU device: what is collected, kept, drawn and resumed."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.simulation.gpu_pair import pair
from tests.training.test_collection import Constant, Scripted
from vrodent.agent import Agent
from vrodent.body import sense_slices
from vrodent.simulation import CpuSimulation
from vrodent.simulation.gpu import GpuSimulation
from vrodent.training.checkpoint import load_checkpoint
from vrodent.training.collection import ActorConfig, ActorRun
from vrodent.training.device_collection import DeviceActorRun
from vrodent.training.device_replay import DeviceReplay
from vrodent.training.fleet import Fleet
from vrodent.training.host_view import HostView
from vrodent.training.learner import LearnerConfig
from vrodent.training.losses import LossConfig
from vrodent.training.preset import gpu, tiny
from vrodent.training.replay import Replay, ReplayError
from vrodent.training.settings import CollectionConfig, TrainConfig
from vrodent.training.teachers.privileged import OBSERVATION_SIZE, observe
from vrodent.training.teachers.task_teacher import GUIDES
from vrodent.training.train import train
from vrodent.training.unroll import unroll_shapes

DEVICE = jax.devices("cpu")[0]


pytestmark = pytest.mark.usefixtures("quick_compilation")


class OnDevice(Scripted):
    """The scripted simulation with JAX's arrays."""

    jax_device = DEVICE
    task = index = standing_ctrl = world_arenas = None
    physics = SimpleNamespace(model=None)

    def reset(self, mask=None):
        return jax.tree.map(jnp.asarray, super().reset(None if mask is None else np.asarray(mask)))

    def step(self, control):
        step: Any = super().step(np.asarray(control))
        step.info = jax.tree.map(jnp.asarray, _Info(**vars(step.info)))
        return _Step(*jax.tree.map(jnp.asarray, (step.observation, step.reward, step.terminated, step.truncated, step.info)))


class _Info(eqx.Module):
    discount: Any
    diverged: Any


class _Step(eqx.Module):
    observation: Any
    reward: Any
    terminated: Any
    truncated: Any
    info: Any

    def _replace(self, **changes):
        return replace(self, **changes)


@pytest.mark.parametrize("case", ["truncated", "terminated", "took every orb", "diverged"])
@pytest.mark.parametrize("taught", [False, True])
def test_an_unroll_is_the_one_that_the_actor_on_the_cpu_makes(agent: Agent, case: str, taught: bool) -> None:
    """The same script and seed; the episode of world 0 ends twice, that of world 1 in the second unroll."""
    options: dict[str, Any] = {
        "terminates": case in ("terminated", "took every orb"),
        "final_discount": float(case == "took every orb"),
        "diverges": (0, 0, 2) if case == "diverged" else None,
    }
    lengths, teacher = [[3, 4, 99, 99], [7, 99]], Constant() if taught else None
    acting = ActorConfig(task=1, unroll_length=6, seed=5)
    cpu = ActorRun(acting, agent, Scripted(lengths, **options), teacher)  # pyright: ignore
    device = DeviceActorRun(acting, agent, OnDevice(lengths, **options), teacher)  # pyright: ignore
    for share in (0.0, 0.0, float(taught)):
        expected, got = cpu.collect(agent, share), device.collect(agent, share)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(got))
        if share:  # who drives draws its noise elsewhere
            expected, got = (unroll._replace(action=np.zeros(0)) for unroll in (expected, got))
            np.testing.assert_array_equal(got.behaviour_mean, np.float32(0.25))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, expected)
        assert jax.tree.map(lambda a: (a.shape, a.dtype), got) == jax.tree.map(lambda a: (a.shape, a.dtype), expected)
    ours, theirs = device.drain(), cpu.drain()
    assert [e._replace(own_error=0.0) for e in ours] == [e._replace(own_error=0.0) for e in theirs]
    np.testing.assert_allclose([e.own_error for e in ours], [e.own_error for e in theirs], rtol=1e-5)  # single precision
    assert any(episode.own_steps for episode in ours) == taught
    assert device.drain() == []


def test_an_agent_that_commands_skills_acts_and_remembers_what_it_felt_as_on_the_cpu(small_config) -> None:
    """Over three unrolls and the ends of episodes between; what was felt a step ago is part of the memory that unrolls begin with."""
    agent, lengths = Agent(replace(small_config(), skill_widths=(6, 4)), seed=3), [[3, 4, 99], [7, 99]]
    acting = ActorConfig(task=1, unroll_length=6, seed=5)
    cpu = ActorRun(acting, agent, Scripted(lengths, terminates=True))  # pyright: ignore
    device = DeviceActorRun(acting, agent, OnDevice(lengths, terminates=True))  # pyright: ignore
    for unroll in range(3):
        expected, got = cpu.collect(agent), device.collect(agent)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, expected)
        assert (np.asarray(got.memory.felt)[:, -1] == float(unroll > 0)).all()


def test_a_driven_unroll_holds_actions_of_the_teachers_likelihood(agent: Agent) -> None:
    run = DeviceActorRun(ActorConfig(task=0, unroll_length=25, seed=5), agent, OnDevice([[99], [99]], False), Constant())  # pyright: ignore
    unroll = run.collect(agent, 1.0)
    standard = (np.asarray(unroll.action) - 0.25) * np.exp(3.0)
    assert abs(standard.mean()) < 4 / np.sqrt(standard.size) and abs(standard.std() - 1) < 4 / np.sqrt(2 * standard.size)


def test_what_both_simulators_give_is_stored_alike(small_config) -> None:
    """A blind agent with one seed, whose world 1 begins anew in the midst of it: the same rows, to single precision."""
    agent = Agent(small_config(), seed=3)
    weight = agent.image_encoder.dense.linear.weight
    agent = eqx.tree_at(lambda a: a.image_encoder.dense.linear.weight, agent, jnp.zeros_like(weight))
    acting, unrolls = ActorConfig(task=0, unroll_length=3, seed=4), []
    for actor, simulation in ((ActorRun, CpuSimulation), (DeviceActorRun, GpuSimulation)):
        device = {"warp_device": "cpu"} if simulation is GpuSimulation else {"num_threads": 1}
        run: ActorRun | DeviceActorRun = actor(acting, agent, simulation("two_tap", 2, seed=2, physics="training", **device))  # pyright: ignore
        ended = np.array([False, True])
        if isinstance(run, DeviceActorRun):
            run._course, run._some_ended = run._course._replace(ended=jnp.asarray(ended)), True
        else:
            run._ended = ended
        unrolls.append(run.collect(agent))
        run.close()
    cpu, device = unrolls
    assert np.asarray(device.reset)[1].tolist() == [1, 1, 0, 0] and np.asarray(device.acted)[1].tolist() == [0, 1, 1]
    for name in ("reset", "acted", "discount"):
        np.testing.assert_array_equal(getattr(device, name), getattr(cpu, name))
    for name in ("action", "behaviour_mean", "behaviour_log_std", "reward"):
        np.testing.assert_allclose(getattr(device, name), getattr(cpu, name), atol=2e-4, err_msg=name)
    felt = np.abs(np.asarray(device.proprioception) - cpu.proprioception) / (1 + np.abs(cpu.proprioception))
    assert felt.max() < 5e-3 and felt[:, 0].max() < 1e-4
    seen = np.abs(np.asarray(device.egocentric).astype(int) - cpu.egocentric)
    assert 0 < seen.mean() < 14


@pytest.mark.parametrize("task", ["gaps", "forage", "bowl", "two_tap"])
def test_a_teacher_sees_the_same_moment_on_either_simulator(task: str) -> None:
    """On the bowl's terrain, whose contacts are not the CPU's, at the start and without what contacts make it feel."""
    both = pair(task)
    both.restart()
    guide, slices = GUIDES[task](0.5), sense_slices()
    level = task != "bowl"
    felt = np.ones(OBSERVATION_SIZE, bool)
    felt[np.r_[slices["sensors_accelerometer"], slices["sensors_touch"]]] = level
    for step in range(3 if level else 1):
        theirs, ours = (observe(env, guide, guide.guide(env)) for env in (both.cpu, HostView(both.gpu)))  # pyright: ignore
        assert np.isfinite(theirs).all() and np.ptp(theirs) > 1
        np.testing.assert_allclose(ours[:, felt], theirs[:, felt], atol=2e-3 if step else 2e-4)
        action = np.tile(both.cpu.standing_ctrl, (2, 1)).astype(np.float32)
        both.cpu.step(action)
        both.gpu.step(action)


def test_the_ring_keeps_the_newest_and_draws_them_all_alike(agent: Agent, make_unrolls) -> None:
    """Beside the replay in RAM, over its end; seven unrolls of which the oldest two are overwritten."""
    shapes = unroll_shapes(agent.config, 6, True)
    ours, theirs = DeviceReplay(shapes, 5, DEVICE), Replay(shapes, 5)
    with pytest.raises(ReplayError, match="empty"):
        ours.sample(jax.random.key(0), 1)
    for seed, count in enumerate((3, 4)):
        unrolls = jax.tree.map(lambda leaf, count=count: leaf[:count], make_unrolls(agent.config, seed))
        theirs.insert(unrolls)
        ours.insert(jax.tree.map(jnp.asarray, unrolls))
    assert len(ours) == len(theirs) == 5 and ours.inserted == 7 and ours.nbytes == theirs.nbytes
    drawn = ours.sample(jax.random.key(1), 400)
    assert drawn.egocentric.dtype == jnp.uint8 and ours.sampled == 400
    kept = theirs.latest(5)
    which = np.argmin(np.abs(np.asarray(drawn.reward)[:, None] - kept.reward[None]).sum(axis=2), axis=1)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[which]), drawn, kept)
    assert np.all(np.abs(np.bincount(which, minlength=5) - 80) < 4 * np.sqrt(80 * 0.8))
    again = ours.sample(jax.random.key(1), 400)
    jax.tree.map(np.testing.assert_array_equal, drawn, again)
    np.testing.assert_allclose(np.sort(np.asarray(ours.felt()), axis=0), np.sort(theirs.felt(), axis=0))
    with pytest.raises(ReplayError, match="6 unrolls at once do not fit"):
        ours.insert(jax.tree.map(lambda leaf: jnp.zeros((6, *leaf.shape), leaf.dtype), shapes))


def test_inserting_gives_the_old_ring_up(agent: Agent, make_unrolls) -> None:
    replay = DeviceReplay(unroll_shapes(agent.config, 6, True), 8, DEVICE)
    before = replay._ring.egocentric
    replay.insert(jax.tree.map(jnp.asarray, make_unrolls(agent.config)))
    assert before.is_deleted()


def _config(**changes) -> TrainConfig:
    collection = CollectionConfig(
        worlds=(2,), unroll_length=4, replay_steps=64, warmup_steps=16, samples_per_insert=4.0, device="gpu", warp_device="cpu"
    )
    toy = replace(tiny(), agent=replace(tiny().agent, num_value_heads=1), tasks=("two_tap",), deterministic=False, collection=collection)
    critic = LearnerConfig(warmup_updates=2, loss=LossConfig(policy_weight=0.0))  # to compile the actor's loss takes long
    toy = replace(toy, learner=critic)
    return replace(toy, **{"total_steps": 48, "batch_unrolls": 2, "checkpoint_seconds": 0.01, "log_seconds": 1e-6} | changes)


@pytest.mark.slow
def test_an_interrupted_run_resumes_with_its_weights_and_warms_up_again(tmp_path, monkeypatch) -> None:
    """Ctrl-C after some updates; what goes on has the checkpoint's weights to the bit, an empty replay, and comes to the end."""

    def interrupt(line: str) -> None:
        if (found := re.search(r"update (\d+)", line)) and int(found[1]) in range(6, 16):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(_config(), tmp_path, say=interrupt)
    kept, said, seen = load_checkpoint(sorted((tmp_path / "checkpoints").glob("step-*"))[-1]), [], []
    first = Fleet.round

    def spying(self):
        if not seen:
            seen.append((self.agent, self.warming_again, [len(replay) for replay in self.replays]))
        first(self)

    monkeypatch.setattr(Fleet, "round", spying)
    last = train(None, tmp_path, resume=True, say=said.append)
    assert any("replay was in the device's memory and is lost: 16 steps" in line for line in said)
    assert seen[0][1:] == (16, [0])
    jax.tree.map(np.testing.assert_array_equal, seen[0][0], kept.agent)
    final = load_checkpoint(last)
    assert final.numbers["updates"] == _config().total_updates == 16
    assert 48 + 16 <= final.lineage[-1].steps <= 48 + 16 + 8, "the second warm-up comes on top, and what had not been learned from"
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    updates = [int(float(row["update"])) for row in rows]
    assert updates == sorted(updates) and kept.numbers["updates"] in range(6, 16)
    np.testing.assert_array_equal(kept.agent.normaliser.mean, final.agent.normaliser.mean)
    assert not np.array_equal(kept.agent.core.weight_hidden, final.agent.core.weight_hidden)


def test_a_run_on_the_gpu_says_what_is_wrong_before_it_begins(tmp_path) -> None:
    with pytest.raises(ValueError, match="on a GPU cannot be deterministic"):
        _config(deterministic=True)
    with pytest.raises(ValueError, match=r"warp_device 'cpu' is of use with collection.device gpu only"):
        CollectionConfig(warp_device="cpu")
    with pytest.raises(ValueError, match="device must be cpu or gpu"):
        CollectionConfig(device="tpu")  # pyright: ignore
    small = replace(_config().collection, worlds=(20,))
    with pytest.raises(ReplayError, match="16 unrolls for two_tap does not hold one of each of its 20 worlds"):
        train(_config(collection=small), tmp_path, say=lambda line: None)


def test_without_a_gpu_the_preset_says_so(tmp_path) -> None:
    from vrodent.simulation import gpu as simulator

    assert gpu().collection.device == "gpu"
    if simulator.wp.is_cuda_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(simulator.NoGpuError, match="No CUDA device is to be seen here"):
        train(gpu(), tmp_path / "run", say=lambda line: None)
    assert not (tmp_path / "run" / "config.json").exists()
