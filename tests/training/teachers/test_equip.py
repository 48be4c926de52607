"""One skill is exchanged, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig
from vrodent.cli import main
from vrodent.training.checkpoint import load_agent, load_checkpoint
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


def test_straight_its_skill_hears_no_course_but_straight_ahead(tmp_path, capsys):
    words = ["equip", "four-tasks", "--skill", "climb", "--teacher", "slopes", "--straight", "--out", str(tmp_path), "--json"]
    assert main(words) == 0
    agent = load_agent(json.loads(capsys.readouterr().out)["agent"])
    usual = equipped(agent, Role.CLIMB, load_teacher(find_teacher(Path("slopes"))).teacher)
    told = jax.numpy.asarray(np.random.default_rng(0).normal(size=(5, 54)), jax.numpy.float32)
    heard, unheeded = (np.asarray(one.motor.skills[Role.CLIMB].heard(told, told[:, 0])) for one in (usual, agent))
    np.testing.assert_array_equal(unheeded[:, :3], np.tile([1.0, 0.0, 0.5], (5, 1)))
    np.testing.assert_array_equal(heard[:, :3], told[:, :3])
    np.testing.assert_array_equal(unheeded[:, 3:], heard[:, 3:])


def test_what_does_not_fit_is_refused(tmp_path, capsys):
    narrow = Teacher(jax.random.key(0), TeacherConfig(observation_size=OBSERVATION_SIZE, actor_width=8))
    with pytest.raises(ValueError, match="256 units wide, and this teacher 8"):
        equipped(load_agent("four-tasks"), Role.JUMP, narrow)
    with pytest.raises(ValueError, match="has no skills"):
        equipped(Agent(AgentConfig(core_size=8, policy_size=8)), Role.JUMP, narrow)
    assert main(["equip", "four-tasks", "--skill", "jump", "--teacher", "nobody", "--out", str(tmp_path)]) == 2
    assert "no teacher 'nobody'" in capsys.readouterr().err
