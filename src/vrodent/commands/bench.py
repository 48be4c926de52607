"""`vrodent bench`: how fast the tasks run here: on the CPU beside dm_control's original and the limit that MuJoCo sets, or on a GPU."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from typing import Literal

from vrodent.config import TaskName, UsageError, usage


@dataclass(frozen=True, kw_only=True)
class Command:
    """Measure control steps a second with and without camera: ours, dm_control's original, and a bare loop over mj_step, by turns.

    Takes some six minutes; --quick less than one. Anything else that runs on the machine disturbs the numbers.

    On a GPU: control steps a second of many worlds, with and without camera, in training and reference physics, what memory they take, and
    where the time goes. The first run compiles kernels for some minutes.

    example: vrodent bench --quick
    example: vrodent bench --device gpu --worlds 1024 4096
    """

    tasks: tuple[TaskName, ...] = ("gaps", "forage", "bowl", "two_tap")
    """Which tasks."""
    quick: bool = False
    """A look, in under a minute; the other settings keep their defaults."""
    num_worlds: int = 16
    """Worlds of ours that are stepped together."""
    cores: int = 0
    """Cores to use; 0 for all."""
    turns: int = 5
    """Turns of each contestant."""
    device: Literal["cpu", "gpu"] = "cpu"
    """Where to measure. With gpu, only --tasks, --worlds, --quick, --turns and --json count."""
    worlds: tuple[int, ...] = (256, 1024, 4096, 16384)
    """Numbers of worlds on a GPU."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Measure and print."""
        if self.device == "gpu":
            return self._run_on_gpu()
        from vrodent.simulation import benchmark

        with usage():
            config = benchmark.BenchConfig(tasks=self.tasks, num_worlds=self.num_worlds, cores=self.cores, turns=self.turns)
            if self.quick:
                config = dataclasses.replace(benchmark.quick(), tasks=self.tasks, cores=self.cores)
        result = benchmark.run_bench(config, progress=lambda text: print(text, file=sys.stderr, flush=True))
        print(result.to_json() if self.json else result.table())
        return 0

    def _run_on_gpu(self) -> int:
        try:
            from vrodent.simulation import gpu_benchmark
        except ModuleNotFoundError as error:
            raise UsageError(f"--device gpu needs {error.name}, which is not installed: pip install 'vrodent[gpu]'.") from error
        with usage():
            config = gpu_benchmark.GpuBenchConfig(tasks=self.tasks, worlds=self.worlds, turns=self.turns)
            if self.quick:
                config = dataclasses.replace(config, worlds=self.worlds[:2], physics=("training",), turns=2)
        result = gpu_benchmark.run_gpu_bench(config, progress=lambda text: print(text, file=sys.stderr, flush=True))
        print(result.to_json() if self.json else result.table())
        return 0
