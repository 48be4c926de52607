"""The learner on several devices, which the host pretends to be in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from vrodent.agent.encoders import ImageEncoder
from vrodent.training.checkpoint import load_checkpoint
from vrodent.training.learner import LearnerConfig
from vrodent.training.preset import gpu, tiny
from vrodent.training.run_store import from_json, to_json
from vrodent.training.sharding import learner_mesh
from vrodent.training.train import train

ROOT = Path(__file__).resolve().parents[2]


def _program(devices: int, *arguments: str) -> dict:
    # Words without dashes end what XLA reads as flags: the number of devices has to come first.
    flags = f"--xla_force_host_platform_device_count={devices} {os.environ.get('XLA_FLAGS', '')}"
    command = [sys.executable, "-m", "tests.training.several_devices", *arguments]
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=False
    )
    assert not ended.returncode, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_updates_by_four_devices_are_those_of_one() -> None:
    """In double precision, where another order of sums makes 1e-14 of three updates; a forgotten row or a mean of unlike means, 1e-2."""
    told = _program(4, "updates", "4")
    assert told["devices"] == 4 and told["skipped"] == 0
    assert told["moved"] > 0.1, "the agent went far from what it was one update ago"
    assert {name: found for name, found in told["found"].items() if not found < 1e-10} == {}
    assert len(told["found"]) == 9
    assert "batch_unrolls 10 cannot be divided evenly between 4 devices (all that JAX sees here). Make it 8" in told["refused"]


@pytest.mark.slow
def test_a_run_that_learns_on_two_devices_comes_to_its_end(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp")
    told = _program(2, "train", str(tmp_path))
    assert any("2 unrolls are divided between 2 devices" in line for line in told["said"])
    final = load_checkpoint(told["last"])
    assert type(final.agent.image_encoder) is ImageEncoder, "what is saved computes in float32"
    assert final.numbers["updates"] == 16
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(final.agent))


def test_what_cannot_be_divided_is_said_before_the_run_begins(tmp_path: Path) -> None:
    one = len(jax.local_devices())
    with pytest.raises(ValueError, match=rf"num_devices is {one + 1}, but JAX sees {one} of the kind"):
        train(replace(tiny(), learner=replace(tiny().learner, num_devices=one + 1)), tmp_path, say=lambda line: None)
    assert not (tmp_path / "config.json").exists()
    with pytest.raises(ValueError, match="at least 1, or None for all, but is 0"):
        LearnerConfig(num_devices=0)
    assert learner_mesh(1, 7) is None


def test_a_run_of_before_there_were_devices_can_be_resumed() -> None:
    config = gpu()
    old = json.loads(to_json(config))
    del old["learner"]["num_devices"]
    assert from_json(json.dumps(old)) == config
