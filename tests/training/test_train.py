"""Whole runs of a toy: killed and resumed, run beside its actors, diverging, taught, and refused."""

from __future__ import annotations

import csv
import itertools
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vrodent.training.checkpoint import CheckpointError, load_agent, load_checkpoint
from vrodent.training.collection import ActorRun
from vrodent.training.fleet import Fleet
from vrodent.training.kickstart import TeachingConfig
from vrodent.training.learner import LearnerConfig
from vrodent.training.losses import LossConfig
from vrodent.training.preset import tiny
from vrodent.training.replay import ReplayError
from vrodent.training.run_store import ResumeError
from vrodent.training.settings import TrainConfig
from vrodent.training.train import train

pytestmark = pytest.mark.slow

_KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import jax
jax.config.update("jax_disable_most_optimizations", True)
from tests.training.test_train import toy
from vrodent.training.train import train

def say(line):
    if "update 1" in line:  # an update between 10 and 19, in the middle of the run
        os.kill(os.getpid(), signal.SIGKILL)

train(toy(), Path(sys.argv[1]), say=say)
"""


def toy(**changes) -> TrainConfig:
    """Checkpoints at every turn; reports often."""
    return replace(tiny(), **({"checkpoint_seconds": 0.5, "log_seconds": 0.3, "total_steps": 280} | changes))


pytestmark = pytest.mark.usefixtures("quick_compilation")


def _silent(line: str) -> None:
    pass


def test_a_run_killed_with_signal_9_goes_on_as_if_it_had_not_been(tmp_path):
    """Agent, optimiser, duals, statistics, worlds and memories are equal to the last bit at the end."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    root = Path(__file__).parents[2]
    process = subprocess.run(
        [sys.executable, "-c", _KILLED_RUN, str(killed)], cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()[-2000:]
    last = train(toy(), whole, say=_silent)
    said: list[str] = []
    resumed = train(None, killed, resume=True, say=said.append)
    assert any("Going on from step-" in line for line in said)
    assert last.name == resumed.name
    for name in ("agent", "learner", "actors"):
        one, two = (np.load(path / f"{name}.npz") for path in (last, resumed))
        assert one.files == two.files
        for leaf in one.files:
            np.testing.assert_array_equal(one[leaf], two[leaf], err_msg=f"{name}: {leaf}")
    updates = [float(row["update"]) for row in csv.DictReader((killed / "metrics.csv").open())]
    assert updates == sorted(updates)
    assert load_checkpoint(resumed).lineage[-1].steps == 280
    with pytest.raises(ResumeError, match="already holds a run"):
        train(toy(), killed, say=_silent)


class _Stand:
    """A teacher who stands still."""

    def observe(self, env):
        return np.zeros((env.num_worlds, 1))

    def act(self, observation):
        return np.zeros((len(observation), 38)), np.full((len(observation), 38), -2.0)


def test_actors_beside_the_learner_keep_the_pace_and_the_student_nears_its_teachers(tmp_path):
    loss = LossConfig(policy_weight=0.0, critic_policy="behaviour", teaching=TeachingConfig(kind="kl"))
    config = toy(deterministic=False, learner=LearnerConfig(learning_rate=3e-3, warmup_updates=0, loss=loss), total_steps=800)
    config = replace(config, collection=replace(config.collection, teacher_share=0.3, worlds=()))
    scores: list[int] = []

    def evaluate(agent, update):
        scores.append(update)
        return {"gaps": 1.5, "two_tap": 0.5}

    teachers = {"gaps": _Stand(), "two_tap": _Stand()}
    path = train(config, tmp_path, teachers=teachers, method="taught", evaluate=evaluate, say=_silent)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert float(rows[-1]["samples_per_insert"]) == pytest.approx(2.0, rel=0.15)
    assert rows[-1]["evaluation/gaps"] == "1.5"
    assert scores[-1] == config.total_updates
    taught = [float(row["loss/teaching"]) for row in rows if row["loss/teaching"]]
    assert taught[-1] < taught[0]
    agent = load_agent(path)
    assert np.all(np.asarray(agent.normaliser.std) > 0.0)
    assert np.any(np.asarray(agent.normaliser.mean) != 0.0)
    assert load_checkpoint(path).lineage[-1].method == "taught"


def test_actors_pause_while_the_learner_makes_a_burst(tmp_path, monkeypatch):
    """Between the first and the last update of a burst no more than one step per actor, the one that it was in; and the pace is kept."""
    steps, seen = [], []

    def counted(actor, *arguments):
        steps.append(actor)
        return step(actor, *arguments)

    def sampling(fleet, *arguments):
        seen.append(len(steps))
        return sample(fleet, *arguments)

    step, sample = ActorRun._step, Fleet.sample
    monkeypatch.setattr(ActorRun, "_step", counted)
    monkeypatch.setattr(Fleet, "sample", sampling)
    config = toy(deterministic=False, burst_updates=5, total_steps=800)
    train(config, tmp_path, say=_silent)
    bursts = [seen[i : i + 5] for i in range(0, config.total_updates - 5, 5)]
    assert len(bursts) > 3
    assert all(burst[-1] - burst[1] <= 2 for burst in bursts), "after the first sample, which tells them to pause"
    assert all(after[0] > before[-1] + 2 for before, after in itertools.pairwise(bursts))
    ratio = float(list(csv.DictReader((tmp_path / "metrics.csv").open()))[-1]["samples_per_insert"])
    assert ratio == pytest.approx(config.collection.samples_per_insert, rel=0.2)


def test_bad_beginnings_are_refused_before_anything_is_learned(tmp_path):
    with pytest.raises(ResumeError, match="holds no run to resume"):
        train(None, tmp_path / "nothing", resume=True, say=_silent)
    small = replace(toy().collection, replay_steps=6, warmup_steps=4)
    with pytest.raises(ReplayError, match="3 steps for gaps is smaller than one unroll of 5"):
        train(toy(collection=small), tmp_path / "small", say=_silent)
    many = replace(toy().collection, worlds=(10**6, 10**6))
    with pytest.raises(ReplayError, match=r"2000000 worlds needs .* GiB of memory"):
        train(toy(collection=many), tmp_path / "many", say=_silent)
    with pytest.raises(ValueError, match="no teacher for two_tap, only for gaps"):
        train(toy(), tmp_path / "taught", teachers={"gaps": _Stand()}, say=_silent)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError):
        train(toy(), tmp_path / "start", start=tmp_path / "foreign", say=_silent)
    for name in ("small", "many", "taught", "start"):
        assert not (tmp_path / name / "config.json").exists()


def test_a_run_that_diverges_goes_back_to_its_last_checkpoint_and_says_why(tmp_path, monkeypatch):
    """Rewards turn infinite for the batches of updates 8 and 9 until the run has gone back once."""
    sample, said = Fleet.sample, []

    def broken(self, update, salt=0):
        batch = sample(self, update, salt)
        if update in (8, 9) and salt == 0:
            batch = batch._replace(reward=batch.reward + np.inf)
        return batch

    monkeypatch.setattr(Fleet, "sample", broken)
    path = train(toy(), tmp_path, say=said.append)
    (told,) = [line for line in said if "DIVERGED" in line]
    assert "not finite" in told
    assert "value" in told
    assert "Back to step-" in told
    assert load_checkpoint(path).numbers["updates"] == toy().total_updates
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert rows[-1]["rollbacks"] == "1"
