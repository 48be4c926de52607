"""The simulator of the GPU, on Warp's CPU device, beside the simulator of the CPU, with the same seeds and actions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from vrodent.simulation import CpuSimulation

pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed: pip install mujoco-warp==3.17.* warp-lang")

import warp as wp

from vrodent.simulation.gpu import GpuSimulation

wp.config.log_level = wp.LOG_WARNING
FIELDS = ("qpos", "qvel", "act", "xpos", "xmat", "site_xpos", "geom_xpos", "sensordata", "ten_length", "ten_velocity")


@dataclass(frozen=True)
class Pair:
    """Both simulators of one task; built once in a process, for much of the time goes into building."""

    cpu: CpuSimulation
    gpu: GpuSimulation

    def restart(self, seed: int = 3) -> None:
        """Begin anew with a seed, as if just made."""
        for simulation in (self.cpu, self.gpu):
            simulation.seed = seed
            simulation.episode[:] = -1
            simulation.reset()

    def reset_to(self, arenas: list[Any]) -> None:
        """Start all worlds in given arenas."""
        for simulation in (self.cpu, self.gpu):
            simulation.reset_to(np.arange(simulation.num_worlds), arenas)

    def difference(self, name: str) -> float:
        """The largest difference in a field."""
        ours, theirs = (np.asarray(getattr(simulation.physics.fields, name)) for simulation in (self.gpu, self.cpu))
        return float(np.abs(ours - theirs).max())


@cache
def pair(task: str, physics: Any = "training", worlds: int = 2) -> Pair:
    """Both simulators, blind."""
    return Pair(
        cpu=CpuSimulation(task, worlds, physics=physics, camera=False, num_threads=1),
        gpu=GpuSimulation(task, worlds, physics=physics, camera=False, warp_device="cpu"),
    )


def actions(simulation: Any, step: int, spread: float = 0.3) -> np.ndarray:
    """(world, 38): around standing, of single precision so that both simulators are given the same."""
    noise = np.random.default_rng(step).standard_normal((simulation.num_worlds, simulation.action_size))
    return np.clip(simulation.standing_ctrl + spread * noise, -1, 1).astype(np.float32)
