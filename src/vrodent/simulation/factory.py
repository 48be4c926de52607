"""The door to both simulators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from vrodent.simulation.cpu import CpuSimulation
from vrodent.simulation.physics import Variant
from vrodent.task import Task

if TYPE_CHECKING:
    from vrodent.simulation.gpu import GpuSimulation


@overload
def make(
    task: str | Task, num_worlds: int = 1, seed: int = 0, physics: Variant = "reference", camera: bool = True,
    device: Literal["cpu"] = "cpu", num_threads: int = 0, shadows: bool = False,
) -> CpuSimulation:  # fmt: skip
    """On the CPU."""
    ...


@overload
def make(
    task: str | Task, num_worlds: int = 1, seed: int = 0, physics: Variant = "reference", camera: bool = True,
    *, device: Literal["gpu"], num_threads: int = 0, shadows: bool = False,
) -> GpuSimulation:  # fmt: skip
    """On a GPU."""
    ...


def make(
    task: str | Task,
    num_worlds: int = 1,
    seed: int = 0,
    physics: Variant = "reference",
    camera: bool = True,
    device: Literal["cpu", "gpu"] = "cpu",
    num_threads: int = 0,
    shadows: bool = False,
) -> CpuSimulation | GpuSimulation:
    """Make a simulation of many worlds of one task; see `CpuSimulation` for the arguments.

    Args:
        device: "cpu", or "gpu" for `vrodent.simulation.gpu.GpuSimulation`, which needs a CUDA device and the extra `gpu`.
        num_threads: of the CPU.

    Raises:
        ValueError: an argument is out of range.
        ImportError: device is "gpu" and the extra is not installed.
        NoGpuError: device is "gpu" and there is no GPU, or JAX cannot use it.
    """
    if device not in ("cpu", "gpu"):
        raise ValueError(f"device must be 'cpu' or 'gpu', got {device!r}.")
    if device == "cpu":
        return CpuSimulation(task, num_worlds, seed=seed, physics=physics, camera=camera, num_threads=num_threads, shadows=shadows)
    try:
        from vrodent.simulation.gpu import GpuSimulation
    except ModuleNotFoundError as error:
        if error.name not in ("warp", "mujoco_warp"):
            raise
        raise ImportError(f"device='gpu' needs {error.name}, which is not installed: pip install 'vrodent[gpu]'.") from error
    return GpuSimulation(task, num_worlds, seed=seed, physics=physics, camera=camera, shadows=shadows)
