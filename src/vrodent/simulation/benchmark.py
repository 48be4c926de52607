"""How fast the tasks run on this machine: ours, dm_control's original, and the limit that MuJoCo itself sets.

Everything is measured in one run, by turns, so that whatever else the machine does weighs on all alike. Each contestant runs in a
process of its own, for two OpenGL users in one process disturb each other. A turn is a second or so of control steps; the numbers
are the median of the turns and their spread. Beside the rate by the clock stands the rate by processor time, which other work on the
machine disturbs less, but which does not see threads wait for each other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import IO, Any

from vrodent.task import TASK_NAMES

OURS, OURS_BLIND = "ours, camera", "ours, no camera"
ORIGINAL, ORIGINAL_PLAIN, ORIGINAL_BLIND = "dm_control, as shipped", "dm_control, shadows off", "dm_control, no camera"
LIMIT = "bare mj_step"
CONTESTANTS = (LIMIT, OURS_BLIND, OURS, ORIGINAL, ORIGINAL_PLAIN, ORIGINAL_BLIND)
"""What is measured: many worlds of a task on all cores with `mj_step` and nothing else; the same worlds and actions with ours,
without and with the camera; and one environment of dm_control, on one core, with its camera, with the camera's shadows and reflections
off, and blind."""


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What to measure.

    Attributes:
        tasks: names of tasks.
        num_worlds: of ours.
        cores: 0 for all. dm_control uses one, whatever is set here.
        turns: of each contestant and task.
        turn_seconds: s, of each turn.
    """

    tasks: tuple[str, ...] = TASK_NAMES
    num_worlds: int = 16
    cores: int = 0
    turns: int = 5
    turn_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name in self.tasks:
            if name not in TASK_NAMES:
                raise ValueError(f"There is no task {name!r}; the tasks are {', '.join(TASK_NAMES)}.")
        for key in ("num_worlds", "turns"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be at least 1, got {getattr(self, key)}.")
        if self.cores < 0:
            raise ValueError(f"cores must be 0 (all) or more, got {self.cores}.")
        if self.turn_seconds <= 0:
            raise ValueError(f"turn_seconds must be positive, got {self.turn_seconds}.")


def quick() -> BenchConfig:
    """A look, in under a minute."""
    return BenchConfig(num_worlds=8, turns=2, turn_seconds=0.3)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Control steps a second of one contestant in one task.

    Attributes:
        task, contestant: what was measured.
        cores: it ran on.
        turns: control steps a second in each turn.
        median, least, most: of the turns.
        per_core: control steps a second of processor time, the median of the turns.
    """

    task: str
    contestant: str
    cores: int
    turns: tuple[float, ...]
    median: float
    least: float
    most: float
    per_core: float


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """All rates, and what they were measured on.

    Attributes:
        rates: one for each task and contestant.
        config: what was asked for.
        machine: processor, cores, versions.
    """

    rates: tuple[Rate, ...]
    config: BenchConfig
    machine: dict[str, str] = field(default_factory=dict)

    def rate(self, task: str, contestant: str) -> Rate:
        """One of the rates. Raises KeyError if it was not measured."""
        for rate in self.rates:
            if (rate.task, rate.contestant) == (task, contestant):
                return rate
        raise KeyError((task, contestant))

    def to_json(self) -> str:
        """Everything, with the ratios."""
        return json.dumps({**asdict(self), "ratios": self.ratios()}, indent=2)

    def ratios(self) -> dict[str, dict[str, float]]:
        """By task: ours to the limit, without and with camera, by the clock and by processor time; and ours with camera to the
        original as shipped and without shadows, by processor time, that is per core."""
        table: dict[str, dict[str, float]] = {}
        for task in self.config.tasks:
            limit, blind, ours = (self.rate(task, name) for name in (LIMIT, OURS_BLIND, OURS))
            table[task] = {
                "no camera / limit": blind.median / limit.median,
                "camera / limit": ours.median / limit.median,
                "no camera / limit, per core": blind.per_core / limit.per_core,
                "camera / limit, per core": ours.per_core / limit.per_core,
                "camera / dm_control, per core": ours.per_core / self.rate(task, ORIGINAL).per_core,
                "camera / dm_control without shadows, per core": ours.per_core / self.rate(task, ORIGINAL_PLAIN).per_core,
            }
        return table

    def table(self) -> str:
        """A table for people."""
        lines = [f"control steps/s, median (least-most) of {self.config.turns} turns of {self.config.turn_seconds:g} s by turns"]
        lines += [f"{key}: {value}" for key, value in self.machine.items()]
        lines += ["", f"{'':<10}" + "".join(f"{name:>26}" for name in CONTESTANTS)]
        for task in self.config.tasks:
            row = [self.rate(task, name) for name in CONTESTANTS]
            lines.append(f"{task:<10}" + "".join(f"{f'{r.median:.0f} ({r.least:.0f}-{r.most:.0f})':>26}" for r in row))
        lines.append(f"{'cores':<10}" + "".join(f"{self.rate(self.config.tasks[0], name).cores:>26}" for name in CONTESTANTS))
        lines += ["", "by processor time, one core"]
        for task in self.config.tasks:
            lines.append(f"{task:<10}" + "".join(f"{self.rate(task, name).per_core:>26.0f}" for name in CONTESTANTS))
        ratios = self.ratios()
        names = list(ratios[self.config.tasks[0]])
        lines += ["", f"{'':<48}" + "".join(f"{task:>10}" for task in self.config.tasks)]
        lines += [f"{name:<48}" + "".join(f"{ratios[task][name]:>10.2f}" for task in self.config.tasks) for name in names]
        return "\n".join(lines)


class _Contestant:
    """A process that measures when asked: see `vrodent.simulation.benchmark_worker`."""

    def __init__(self, task: str, contestant: str, config: BenchConfig, cores: int) -> None:
        self.task, self.contestant = task, contestant
        arguments = {"task": task, "contestant": contestant, "num_worlds": config.num_worlds, "cores": cores}
        environment = {"MUJOCO_GL": "egl", **os.environ, "OMP_NUM_THREADS": "1"}
        self._process: Any = subprocess.Popen(
            [sys.executable, "-m", "vrodent.simulation.benchmark_worker", json.dumps(arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.cores = int(self._read(self._process.stdout))

    def turn(self, seconds: float) -> tuple[float, float]:
        """Control steps a second by the clock, and by processor time."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        count, elapsed, processor = map(float, self._read(self._process.stdout).split())
        return count / elapsed, count / processor

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.stderr.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, pipe: IO[str]) -> str:
        line = pipe.readline()
        if not line:
            trouble = self._process.stderr.read().strip().splitlines()
            raise RuntimeError(f"Measuring {self.contestant} in {self.task} failed: {trouble[-1] if trouble else 'no message'}")
        return line


def run_bench(config: BenchConfig | None = None, progress: Callable[[str], None] = lambda text: None) -> BenchResult:
    """Measure.

    Args:
        config: what; the defaults take some minutes, `quick()` less than one.
        progress: told what is being measured.

    Raises:
        RuntimeError: a contestant fails, for want of OpenGL for one.
    """
    config = config or BenchConfig()
    cores = config.cores or len(os.sched_getaffinity(0))
    rates: list[Rate] = []
    for task in config.tasks:
        rates += _measure(task, config, cores, progress)
    return BenchResult(rates=tuple(rates), config=config, machine=_machine())


def _measure(task: str, config: BenchConfig, cores: int, progress: Callable[[str], None]) -> list[Rate]:
    contestants: list[_Contestant] = []
    try:
        for name in CONTESTANTS:
            progress(f"{task}: starting {name}")
            contestants.append(_Contestant(task, name, config, cores))
        turns: list[list[tuple[float, float]]] = [[] for _ in contestants]
        for turn in range(config.turns):
            progress(f"{task}: turn {turn + 1} of {config.turns}")
            for contestant, rates in zip(contestants, turns, strict=True):
                rates.append(contestant.turn(config.turn_seconds))
    finally:
        for contestant in contestants:
            contestant.stop()
    return [_rate(contestant, rates) for contestant, rates in zip(contestants, turns, strict=True)]


def _rate(contestant: _Contestant, turns: Sequence[tuple[float, float]]) -> Rate:
    clock, processor = zip(*turns, strict=True)
    return Rate(
        task=contestant.task, contestant=contestant.contestant, cores=contestant.cores, turns=tuple(clock),
        median=median(clock), least=min(clock), most=max(clock), per_core=median(processor),
    )  # fmt: skip


def _machine() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 (a device, not a path of ours)
            processor = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), processor)
    except OSError:
        pass
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "processor": processor,
        "cores": str(len(os.sched_getaffinity(0))),
        "load at the end": load,
        "versions": f"Python {platform.python_version()}, mujoco {version('mujoco')}, dm_control {version('dm_control')}",
    }
