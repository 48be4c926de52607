"""Compare episodes of ours with dm_control's, step by step, and print the largest difference of every quantity.

    MUJOCO_GL=egl python benchmarks/parity.py [--tasks gaps two_tap] [--seeds 3] [--steps 300] [--json parity.json]

A difference of 0 means equal to the last bit at every step compared. `--steps 1600` plays whole episodes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")  # before mujoco is imported
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from tests.reference.original import Original, compare, wandering

from vrodent.simulation import CpuSimulation
from vrodent.task import TASK_NAMES


def measure(task: str, seeds: int, steps: int) -> dict[str, object]:
    """Play some of a task's episodes and sum up the differences."""
    simulation = CpuSimulation(task, camera=False, num_threads=1)
    compared, ended, agree, largest = 0, [], True, {}
    for seed in range(seeds):
        episode = Original(task, seed)
        simulation.reset_to(np.arange(1), [episode.arena(simulation.model)])
        found = compare(episode, simulation, wandering(seed, simulation.standing_ctrl, steps))
        compared += found.steps
        ended.append(found.ended)
        agree &= found.agree
        for name, worst in found.largest.items():
            largest[name] = max(largest.get(name, 0.0), worst)
    return {
        "task": task,
        "episodes": seeds,
        "steps_compared": compared,
        "ended_at": ended,
        "endings_agree": agree,
        "largest_difference": largest,
    }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASK_NAMES, default=list(TASK_NAMES))
    parser.add_argument("--seeds", type=int, default=3, help="episodes of each task")
    parser.add_argument("--steps", type=int, default=300, help="control steps of each episode, at most")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    results = []
    for task in options.tasks:
        begin = time.perf_counter()
        results.append(measure(task, options.seeds, options.steps))
        print(f"{task}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    names = list(results[0]["largest_difference"])
    width = max(map(len, names)) + 2
    print("largest difference".ljust(width) + "".join(str(result["task"]).rjust(12) for result in results))
    for name in names:
        print(name.ljust(width) + "".join(f"{result['largest_difference'][name]:12.1e}" for result in results))
    for name in ("episodes", "steps_compared", "endings_agree"):
        print(name.ljust(width) + "".join(str(result[name]).rjust(12) for result in results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
