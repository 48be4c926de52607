"""How fast the tasks run on a GPU: control steps a second against the number of worlds, what memory they take, and where the time goes.

Actions are drawn beforehand and lie on the device. Worlds whose episode ends are reset, and their arenas drawn on the host, as in learning.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import warp as wp

from vrodent.simulation.gpu import GpuSimulation, gpu_devices
from vrodent.simulation.physics import Variant
from vrodent.task import TASK_NAMES

_SPREAD = 0.3  # of the actions around standing
_WARM_UP = 4  # steps: kernels are loaded in the first and graphs captured in the second


@dataclass(frozen=True, kw_only=True)
class GpuBenchConfig:
    """What to measure: every task with every physics, with and without camera, for each number of worlds.

    Attributes:
        tasks: names of tasks.
        worlds: numbers of worlds, ascending; after one for which memory does not suffice, larger ones are left out.
        physics: variants.
        cameras: without, with, or both.
        turns: of each.
        turn_seconds: s, of each turn.
        seed: of arenas and actions.
    """

    tasks: tuple[str, ...] = TASK_NAMES
    worlds: tuple[int, ...] = (256, 1024, 4096, 16384)
    physics: tuple[Variant, ...] = ("training", "reference")
    cameras: tuple[bool, ...] = (False, True)
    turns: int = 3
    turn_seconds: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.tasks:
            if name not in TASK_NAMES:
                raise ValueError(f"There is no task {name!r}; the tasks are {', '.join(TASK_NAMES)}.")
        if not self.worlds or min(self.worlds) < 1:
            raise ValueError(f"worlds must be numbers of at least 1, got {self.worlds}.")
        for key in ("turns", "turn_seconds"):
            if getattr(self, key) <= 0:
                raise ValueError(f"{key} must be positive, got {getattr(self, key)}.")


@dataclass(frozen=True, kw_only=True)
class GpuRate:
    """What was measured of one task with one number of worlds.

    Attributes:
        task, physics, camera, num_worlds: what was measured.
        turns: control steps a second, of all worlds together, in each turn.
        build_seconds: s, until the first observation: arenas drawn, memory taken, kernels compiled unless they were kept.
        memory: bytes of the device in use, of all programs.
        shares: ms of a control step in each part, measured apart: "physics", "judging and senses", "camera"; and "resets", the rest.
        failure: why there are no numbers, or "".
    """

    task: str
    physics: str
    camera: bool
    num_worlds: int
    turns: tuple[float, ...] = ()
    build_seconds: float = 0.0
    memory: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    @property
    def median(self) -> float:
        """Control steps a second; NaN if there are no numbers."""
        return median(self.turns) if self.turns else float("nan")


@dataclass(frozen=True, kw_only=True)
class GpuBenchResult:
    """All rates, and what they were measured on."""

    rates: tuple[GpuRate, ...]
    config: GpuBenchConfig
    machine: dict[str, str]

    def to_json(self) -> str:
        """Everything."""
        return json.dumps(asdict(self), indent=2)

    def table(self) -> str:
        """A table for people."""
        lines = [f"{key}: {value}" for key, value in self.machine.items()]
        head = ("task", "physics", "camera", "worlds", "control steps/s", "least", "most", "GB", "build s", "ms a step in")
        lines += ["", f"{head[0]:<9}{head[1]:<11}{head[2]:<8}{head[3]:>7}" + "".join(f"{name:>17}" for name in head[4:9]) + "  " + head[9]]
        for r in self.rates:
            start = f"{r.task:<9}{r.physics:<11}{'yes' if r.camera else 'no':<8}{r.num_worlds:>7}"
            if r.failure:
                lines.append(f"{start}  {r.failure}")
                continue
            numbers = (
                f"{r.median:,.0f}",
                f"{min(r.turns):,.0f}",
                f"{max(r.turns):,.0f}",
                f"{r.memory / 1e9:.1f}",
                f"{r.build_seconds:.0f}",
            )
            parts = ", ".join(f"{name} {ms:.2f}" for name, ms in r.shares.items())
            lines.append(start + "".join(f"{number:>17}" for number in numbers) + "  " + parts)
        return "\n".join(lines)


def run_gpu_bench(
    config: GpuBenchConfig | None = None,
    progress: Callable[[str], None] = lambda text: None,
    warp_device: str | None = None,
    found: Callable[[GpuRate], None] = lambda rate: None,
    until: float = float("inf"),
) -> GpuBenchResult:
    """Measure.

    Args:
        config: what.
        progress: told what is being measured.
        warp_device: see `GpuSimulation`.
        found: given each rate as soon as it is known.
        until: `time.monotonic()` after which nothing new is begun.

    Raises:
        NoGpuError: there is no GPU, or JAX cannot use it.
    """
    wp.config.log_level = wp.LOG_WARNING  # standard output is for the numbers
    config = config or GpuBenchConfig()
    device, _ = gpu_devices(warp_device)
    rates: list[GpuRate] = []
    for task in config.tasks:
        for physics in config.physics:
            for camera in config.cameras:
                for num_worlds in config.worlds:
                    if time.monotonic() > until:
                        break
                    progress(f"{task}, {physics}, camera {'on' if camera else 'off'}, {num_worlds} worlds")
                    rates.append(_rate(task, physics, camera, num_worlds, config, warp_device))
                    found(rates[-1])
                    if rates[-1].failure:
                        break
    return GpuBenchResult(rates=tuple(rates), config=config, machine=describe(device))


def _rate(task: str, physics: Variant, camera: bool, num_worlds: int, config: GpuBenchConfig, warp_device: str | None) -> GpuRate:
    start = time.perf_counter()
    try:
        simulation = GpuSimulation(task, num_worlds, seed=config.seed, physics=physics, camera=camera, warp_device=warp_device)
        jax.block_until_ready(simulation.reset())
        build = time.perf_counter() - start
        actions = _actions(simulation, config.seed)
        step = _stepper(simulation, actions)
        for _ in range(_WARM_UP):
            step()
        turns = [_turn(step, num_worlds, config.turn_seconds) for _ in range(config.turns)]
        shares = _shares(simulation, actions[0])
    except RuntimeError as error:  # memory that does not suffice is one, in Warp and in JAX; so is want of room for contacts
        return GpuRate(task=task, physics=physics, camera=camera, num_worlds=num_worlds, failure=str(error).splitlines()[0][:120])
    shares["resets"] = max(0.0, 1e3 * num_worlds / median(turns) - sum(shares.values()))
    device = simulation.device
    memory = device.total_memory - device.free_memory if device.is_cuda else 0
    return GpuRate(
        task=task, physics=physics, camera=camera, num_worlds=num_worlds, turns=tuple(turns), build_seconds=build, memory=memory,
        shares=shares,
    )  # fmt: skip


def _actions(simulation: GpuSimulation, seed: int) -> list[jax.Array]:
    rng = np.random.default_rng(seed)
    shape = (simulation.num_worlds, simulation.action_size)
    drawn = (np.clip(simulation.standing_ctrl + _SPREAD * rng.standard_normal(shape), -1, 1) for _ in range(8))
    return [jax.device_put(jnp.asarray(action, jnp.float32), simulation.jax_device) for action in drawn]


def _stepper(simulation: GpuSimulation, actions: Sequence[jax.Array]) -> Callable[[], Any]:
    count = iter(range(10**12))

    def step() -> Any:
        result = simulation.step(actions[next(count) % len(actions)])
        over = np.asarray(result.terminated | result.truncated)
        return simulation.reset(over) if over.any() else result

    return step


def _turn(step: Callable[[], Any], num_worlds: int, seconds: float) -> float:
    """Control steps a second."""
    count, start, elapsed = 0, time.perf_counter(), 0.0
    while elapsed < seconds:
        jax.block_until_ready(step())
        count += num_worlds
        elapsed = time.perf_counter() - start
    return count / elapsed


def _shares(simulation: GpuSimulation, action: jax.Array, repeats: int = 5) -> dict[str, float]:
    """ms of a control step, part by part."""
    physics, camera = simulation.physics, simulation.eye
    jax.block_until_ready(simulation.step(action))

    def timed(work: Callable[[], Any]) -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            jax.block_until_ready(work())
        return 1e3 * (time.perf_counter() - start) / repeats

    shares = {"physics": timed(lambda: physics.step(action))}
    picture = timed(camera.frames) if camera is not None else 0.0
    whole = timed(lambda: simulation.step(action).reward) if camera is None else timed(lambda: simulation.step(action).observation)
    shares["judging and senses"] = max(0.0, whole - shares["physics"] - picture)
    if camera is not None:
        shares["camera"] = picture
    return shares


def describe(device: Any) -> dict[str, str]:
    """A Warp device, its driver, and the versions that numbers depend on."""
    from importlib.metadata import version

    found = {"device": str(device.name)}
    if device.is_cuda:
        found["memory"] = f"{device.total_memory / 1e9:.0f} GB"
        found["CUDA driver"] = ".".join(map(str, wp.get_cuda_driver_version()))
    found["versions"] = ", ".join(f"{name} {version(name)}" for name in ("mujoco", "mujoco-warp", "warp-lang", "jax"))
    return found
