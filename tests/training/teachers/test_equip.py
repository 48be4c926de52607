"""One skill is exchanged, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig
from vrodent.cli import main
from vrodent.simulation import make
from vrodent.training.checkpoint import load_agent, load_checkpoint
from vrodent.training.teachers.guidance import pose
from vrodent.training.teachers.guides import onward
from vrodent.training.teachers.network import Teacher, TeacherConfig
from vrodent.training.teachers.privileged import OBSERVATION_SIZE
from vrodent.training.teachers.skills import Role, equipped
from vrodent.training.teachers.store import find_teacher, load_teacher, save_teacher


def test_one_skill_becomes_the_teachers_and_all_else_stays(tmp_path, capsys):
    stored = load_teacher(find_teacher(Path("gaps")))
    changed = eqx.tree_at(lambda t: t.observation_mean, stored.teacher, stored.teacher.observation_mean + 1.0)
    save_teacher(tmp_path / "changed", changed, lineage=stored.lineage, numbers={})
    words = ["equip", "four-tasks", "--skill", "jump", "--teacher", str(tmp_path / "changed"), "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    where = json.loads(capsys.readouterr().out)["agent"]
    checkpoint, old = load_checkpoint(where), load_agent("four-tasks")
    assert checkpoint.lineage[-1].steps == stored.lineage[-1].steps and "skill to jump" in checkpoint.lineage[-1].method
    new = checkpoint.agent
    np.testing.assert_array_equal(new.motor.skills[Role.JUMP].mean, changed.observation_mean)
    np.testing.assert_array_equal(new.motor.skills[Role.JUMP].inlet.weight, changed.actor.net.inlet.weight)
    rest = eqx.tree_at(lambda a: a.motor.skills[Role.JUMP], new, old.motor.skills[Role.JUMP])
    for one, other in zip(jax.tree.leaves(rest), jax.tree.leaves(old), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "out" / "settings.json").is_file()


def test_with_a_compass_one_skill_gets_its_course_by_dead_reckoning_and_all_else_stays(tmp_path, capsys):
    words = ["equip", "four-tasks", "--skill", "climb", "--teacher", "slopes", "--compass", "--out", str(tmp_path), "--json"]
    assert main(words) == 0
    agent, old = load_agent(json.loads(capsys.readouterr().out)["agent"]), load_agent("four-tasks")
    assert agent.config == replace(old.config, homing_skill=int(Role.CLIMB))
    bare = eqx.tree_at(lambda a: (a.motor.skills[Role.CLIMB], a.motor.compass), agent, (old.motor.skills[Role.CLIMB], old.motor.compass))
    for one, other in zip(jax.tree.leaves(bare), jax.tree.leaves(old), strict=True):
        np.testing.assert_array_equal(one, other)
    again = equipped(agent, Role.CLIMB, load_teacher(find_teacher("gaps")).teacher)
    assert again.config == agent.config  # a compass stays


def test_a_compass_reckons_the_way_that_the_simulation_has():
    """Two rats in the bowl, driven by the agent for 1.6 s from where they were thrown, and its estimates of their motion. Errors are of
    estimates and of turns between control steps; the way they have come is short, so that they tell nothing of the place."""
    agent = equipped(load_agent("four-tasks"), Role.CLIMB, load_teacher(find_teacher("slopes")).teacher, compass=True)
    env = make("bowl", 2, seed=3, camera=False)
    senses, memory = env.reset(), agent.initial_memory(2)
    act = eqx.filter_jit(lambda senses, memory: agent.act(senses, memory))
    for _ in range(80):
        senses["egocentric"] = np.zeros((2, 64, 64, 3), np.uint8)
        courses = np.asarray(agent.motor.home(senses["proprioception"], memory.felt, memory.compass)[1])
        output, memory = act(senses, memory)
        at = pose(env.physics.fields, env.index)
        angle = onward(at) - at.yaw
        senses = env.step(np.asarray(agent.ctrl(output.mean), float)).observation
    np.testing.assert_allclose(courses, np.stack([np.cos(angle), np.sin(angle)], axis=1), atol=0.1)


def test_what_does_not_fit_is_refused(tmp_path, capsys):
    narrow = Teacher(jax.random.key(0), TeacherConfig(observation_size=OBSERVATION_SIZE, actor_width=8))
    with pytest.raises(ValueError, match="256 units wide, and this teacher 8"):
        equipped(load_agent("four-tasks"), Role.JUMP, narrow)
    with pytest.raises(ValueError, match="has no skills"):
        equipped(Agent(AgentConfig(core_size=8, policy_size=8)), Role.JUMP, narrow)
    assert main(["equip", "four-tasks", "--skill", "jump", "--teacher", "nobody", "--out", str(tmp_path)]) == 2
    assert "no teacher 'nobody'" in capsys.readouterr().err
