"""Do episodes on the GPU's simulator go as they do on the CPU's? Single precision parts the two after some tenths of a second: not the
courses of events are compared then, but how often, how much, how far.

    python benchmarks/episodes.py [--tasks gaps two_tap] [--worlds 24] [--steps 200] [--warp-device cpu] [--json episodes.json]

Both are given the same arenas and the same actions, step by step, drawn from a seed beforehand: of a rat that stands and trembles, of one
that thrashes about, and those with which a packaged teacher has mastered the arena of the world beside it on the CPU (in its own, the CPU's
simulator would be at home), trembling.

Of every world's episode eight numbers are taken. For each of them, whether the simulators' means and whether their distributions
(Kolmogorov and Smirnov's distance) differ is tested by exchanging the two within pairs of like worlds at random: were the simulators
alike, it would not matter which number came from which. That makes 192 tests for all tasks; probabilities are corrected for it (Holm).
What happens in no world on either side tells nothing.
Differences below `RESOLUTION` are not looked for: rounding alone may shift a quantity of all worlds a little to one side.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")  # before mujoco is imported

import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.task import TASK_NAMES

ACTORS = ("standing", "thrashing", "teacher")
RESOLUTION = {
    "return": 1e-3,  # in the task's units
    "ended": 1.0,  # by the task's rule, a fall for example
    "steps": 1.0,  # until then
    "touches": 1.0,  # physics steps in which some target was touched
    "paws": 1e-3,  # part of the time for which the touch sensors of paws feel something
    "lying": 1e-2,  # part of the time for which the torso's up-vector is below 0.3 of the vertical
    "height": 1e-4,  # m, of the torso, on average
    "way": 1e-3,  # m, from where the torso was at first to where it was at last
}
"""What is taken of each world's episode, and the smallest difference that is looked for."""

_TREMBLE, _THRASH, _LYING = 0.05, 0.3, 0.3
_TEACHERS = ("gaps", "locomotion", "slopes", "tapping")


def drawn_actions(actor: str, task: str, worlds: int, steps: int, seed: int, physics: Any) -> np.ndarray:
    """(step, world, 38), of single precision."""
    rng = np.random.default_rng([seed, ACTORS.index(actor), TASK_NAMES.index(task)])
    spread = _THRASH if actor == "thrashing" else _TREMBLE
    with_camera = {"seed": seed, "physics": physics, "camera": False, "num_threads": 1}
    simulation = CpuSimulation(task, worlds, **with_camera)
    centre = np.broadcast_to(simulation.standing_ctrl, (steps, worlds, simulation.action_size))
    if actor == "teacher":
        centre = np.roll(_mastered(simulation, task, steps), 1, axis=1)
    simulation.close()
    return np.clip(centre + spread * rng.standard_normal(centre.shape), -1.0, 1.0).astype(np.float32)


def _mastered(simulation: CpuSimulation, task: str, steps: int) -> np.ndarray:
    """What the packaged teacher does; where an episode ends it goes on in the next."""
    from vrodent.commands.teachers import SPEEDS, find_teachers

    teacher = find_teachers(tuple(map(Path, _TEACHERS)), Path("righting"), Path("locomotion"), SPEEDS, (task,))[task]
    simulation.reset()
    taken = []
    for _ in range(steps):
        taken.append(teacher.ctrl(simulation))
        result = simulation.step(taken[-1])
        over = result.terminated | result.truncated
        if over.any():
            simulation.reset(over)
    return np.stack(taken)


def play(simulation: Any, actions: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """The first episode of every world with a seed, up to its end or that of the actions.

    Args:
        simulation: of either kind.
        actions: (step, world, 38).
        seed: of the arenas.

    Returns:
        (world,) for each name in `RESOLUTION`.
    """
    simulation.seed, simulation.episode[:] = seed, -1
    simulation.reset()
    index, worlds, fields = simulation.index, simulation.num_worlds, simulation.physics.fields
    touched = _listened(simulation)
    first = np.array(fields.xpos)[:, index.torso, :2]
    found = {name: np.zeros(worlds) for name in RESOLUTION}
    going, last = np.ones(worlds, bool), first.copy()
    for action in actions:
        step = simulation.step(action)
        place, upright = np.array(fields.xpos)[:, index.torso], np.array(fields.xmat)[:, index.torso].reshape(worlds, -1)[:, 8]
        now = {
            "return": np.asarray(step.reward), "steps": 1.0, "ended": np.asarray(step.terminated), "height": place[:, 2],
            "touches": touched.pop().any(axis=2).sum(axis=1), "lying": upright < _LYING,
            "paws": (np.array(fields.sensordata)[:, index.touch] > 0).mean(axis=1),
        }  # fmt: skip
        for name, value in now.items():
            found[name] += np.where(going, value, 0.0)
        last[going] = place[going, :2]
        going &= ~np.asarray(step.terminated | step.truncated)
    del simulation.physics.step  # the instance's; the class's own is back
    for name in ("paws", "lying", "height"):
        found[name] /= found["steps"]
    return found | {"way": np.linalg.norm(last - first, axis=1)}


def _listened(simulation: Any) -> list[np.ndarray]:
    """A list that is given the touches (world, substep, target) of every step to come."""
    heard, step = [], simulation.physics.step

    def listening(action: Any) -> Any:
        result = step(action)
        heard.append(np.asarray(result[0] if isinstance(result, tuple) else result))
        return result

    simulation.physics.step = listening
    return heard


def compare(ours: np.ndarray, theirs: np.ndarray, resolution: float, rng: np.random.Generator, exchanges: int = 9999) -> dict[str, Any]:
    """One number of like worlds, (world,) each: means, their difference with an interval of 95 percent (bootstrap of worlds), and the
    probabilities, were the simulators alike, of a difference of means and of a distance of distributions as large."""
    difference = ours - theirs
    drawn = rng.integers(len(difference), size=(2000, len(difference)))
    a, b = (np.round(x / resolution) for x in (ours, theirs))
    sign = rng.choice((-1.0, 1.0), (exchanges, len(a)))
    sign = np.concatenate([np.ones((1, len(a))), sign])  # the first is what was found
    means, distances = np.abs(sign @ (a - b)), _distances(a, b, sign)
    return {
        "gpu": ours.mean(), "cpu": theirs.mean(), "difference": difference.mean(),
        "interval": np.quantile(difference[drawn].mean(axis=1), (0.025, 0.975)).tolist(),
        "p_mean": float((means >= means[0] - 1e-9).mean()), "p_distribution": float((distances >= distances[0] - 1e-9).mean()),
    }  # fmt: skip


def _distances(a: np.ndarray, b: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Kolmogorov and Smirnov's distance, for each row of signs, of which -1 exchanges a pair."""
    pooled = np.concatenate([a, b])
    order = np.argsort(pooled, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(pooled[order]) > 0, True))
    member = np.concatenate([sign, -sign], axis=1)[:, order] / len(a)
    return np.abs(np.cumsum(member, axis=1)[:, ends]).max(axis=1)


def corrected(p: Sequence[float]) -> np.ndarray:
    """Holm's probabilities: were all alike, any of them is below 0.05 in one of twenty runs at most."""
    order, count = np.argsort(p), len(p)
    raised = np.maximum.accumulate((count - np.arange(count)) * np.asarray(p)[order])
    result = np.empty(count)
    result[order] = np.minimum(raised, 1.0)
    return result


def compare_episodes(gpu: Any, cpu: Any, actions: np.ndarray, seed: int = 0) -> list[dict[str, Any]]:
    """One task with one sequence of actions in both simulators: a row for each number."""
    ours, theirs = play(gpu, actions, seed), play(cpu, actions, seed)
    rng = np.random.default_rng(seed)
    return [{"number": name} | compare(ours[name], theirs[name], least, rng) for name, least in RESOLUTION.items()]


def judge(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write the smaller corrected probability into each row as `p`, and return the rows in which the simulators differ."""
    p = corrected([row[name] for row in rows for name in ("p_mean", "p_distribution")]).reshape(-1, 2).min(axis=1)
    for row, value in zip(rows, p, strict=True):
        row["p"] = float(value)
    return [row for row in rows if row["p"] < 0.05]


def run(
    make: Callable[[str], Any], options: argparse.Namespace, say: Callable[[str], None], keep: Callable[[Any], None]
) -> list[dict[str, Any]]:
    """All tasks and actors, by the options `tasks`, `actors`, `steps` and `seed`; `make` gives a GPU's simulation of a task. Returns the
    rows that differ."""
    rows: list[dict[str, Any]] = []
    for task in options.tasks:
        gpu = make(task)
        cpu = CpuSimulation(task, gpu.num_worlds, physics=gpu.variant, camera=False)
        for actor in options.actors:
            actions = drawn_actions(actor, task, gpu.num_worlds, options.steps, options.seed, gpu.variant)
            new = compare_episodes(gpu, cpu, actions, options.seed)
            rows += [{"task": task, "actor": actor} | row for row in new]
            judge(rows)
            keep(rows)
            told = ", ".join(f"{row['number']} {row['gpu']:.4g}/{row['cpu']:.4g}" for row in new)
            say(f"{task}, {actor}, GPU/CPU: {told}; least p of one test {min(min(r['p_mean'], r['p_distribution']) for r in new):.4f}")
        gpu.close()
        cpu.close()
    differing = judge(rows)
    for row in differing:
        say(f"DIFFERENT: {row['task']}, {row['actor']}, {row['number']}: {row['difference']:.4g} in {row['interval']}, p {row['p']:.4f}")
    return differing


def main() -> int:
    """Compare, print, write. Returns 1 if the simulators differ."""
    from vrodent.simulation.gpu import GpuSimulation

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASK_NAMES, default=list(TASK_NAMES))
    parser.add_argument("--actors", nargs="+", choices=ACTORS, default=list(ACTORS))
    parser.add_argument("--worlds", type=int, default=24)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--physics", choices=("training", "reference"), default="training")
    parser.add_argument("--gravity", type=float, default=1.0, help="factor of the GPU's gravity, to see whether a difference is found")
    parser.add_argument("--warp-device", help='another than the first GPU; "cpu" is slow')
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args()

    def make(task: str) -> GpuSimulation:
        gpu = GpuSimulation(task, options.worlds, physics=options.physics, camera=False, warp_device=options.warp_device)
        gravity = gpu.physics.warp_model.opt.gravity
        gravity.assign(options.gravity * gravity.numpy())
        return gpu

    def keep(rows: Any) -> None:
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1, default=float) + "\n")

    return 1 if run(make, options, lambda line: print(line, flush=True), keep) else 0


if __name__ == "__main__":
    sys.exit(main())
