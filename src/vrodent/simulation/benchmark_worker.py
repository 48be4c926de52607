"""The process that measures one contestant of `vrodent.simulation.benchmark` in one task.

It prints the number of cores that it uses; then, for every line with a number of seconds that it reads, the control steps that it
made in about that time, the seconds, and the seconds of processor time. Actions are those of a struggling rat: around the standing
posture, new at every step. Episodes restart when they end, and the restart counts.
"""

from __future__ import annotations

import copy
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from vrodent.simulation.benchmark import LIMIT, ORIGINAL, ORIGINAL_BLIND, ORIGINAL_PLAIN, OURS, OURS_BLIND

_SPREAD = 0.3  # standard deviation of the actions around the standing control
_ORIGINALS = {
    "gaps": "rodent_run_gaps", "forage": "rodent_maze_forage", "bowl": "rodent_escape_bowl", "two_tap": "rodent_two_touch",
}  # fmt: skip


def _actions(standing: np.ndarray, num_worlds: int) -> Callable[[], np.ndarray]:
    rng = np.random.default_rng(0)
    drawn = np.clip(standing + _SPREAD * rng.standard_normal((100, num_worlds, len(standing))), -1, 1)
    count = iter(range(10**12))
    return lambda: drawn[next(count) % len(drawn)]


def ours(task: str, num_worlds: int, cores: int, camera: bool) -> tuple[int, Callable[[], int]]:
    """Cores used, and a function that steps all worlds once and returns how many."""
    from vrodent.simulation import make

    simulation = make(task, num_worlds=num_worlds, camera=camera, num_threads=cores)
    simulation.reset()
    action = _actions(simulation.standing_ctrl, num_worlds)

    def step() -> int:
        result = simulation.step(action())
        over = result.terminated | result.truncated
        if over.any():
            simulation.reset(over)
        return num_worlds

    return cores, step


def original(task: str, camera: bool, shadows: bool) -> tuple[int, Callable[[], int]]:
    """One environment of dm_control."""
    from dm_control.locomotion.examples import basic_rodent_2020

    from vrodent.body import standing_ctrl
    from vrodent.task import get_task

    env: Any = getattr(basic_rodent_2020, _ORIGINALS[task])(random_state=np.random.RandomState(0))
    eye = env.task._walker.observables.egocentric_camera
    eye.enabled = camera
    if not shadows:
        eye.render_flag_overrides = {"shadow": False, "reflection": False}
    env.reset()
    action = _actions(standing_ctrl(get_task(task).spec().compile()), 1)

    def step() -> int:
        env.step(action()[0])  # resets by itself after the end of an episode
        return 1

    return 1, step


def _bare_worlds(definition: Any, model: Any, num_worlds: int) -> list[tuple[Any, Any, np.ndarray]]:
    """A model, its data and the start of each world of a task, as `CpuSimulation` draws them from seed 0."""
    import mujoco

    from vrodent.simulation.arena_writer import ArenaWriter

    whole = definition.spec().compile()
    writer = ArenaWriter(model, definition.movable_geoms)
    worlds = []
    for world in range(num_worlds):
        arena = definition.draw(np.random.default_rng(np.random.SeedSequence(0, spawn_key=(world, 0))), whole)
        own = copy.copy(model)
        writer.write(own, arena)
        data = mujoco.MjData(own)
        data.qpos[:] = arena.qpos
        worlds.append((own, data, arena.qpos))
    return worlds


def limit(task: str, num_worlds: int, cores: int) -> tuple[int, Callable[[], int]]:
    """`mj_step` alone, 20 for a control step, of the same worlds as ours with the same actions, shared out among the cores."""
    import mujoco

    from vrodent.body import standing_ctrl
    from vrodent.simulation.physics import physics_model
    from vrodent.task import CONTROL_STEP, get_task

    definition = get_task(task)
    model = physics_model(definition.spec(), "reference")
    worlds = _bare_worlds(definition, model, num_worlds)
    substeps = round(CONTROL_STEP / model.opt.timestep)
    action = _actions(standing_ctrl(model), num_worlds)
    chunk = 5  # control steps between two meetings of the threads

    def run(share: np.ndarray, actions: list[np.ndarray]) -> None:
        for each in actions:
            for world in share:
                own, data, start = worlds[world]
                if data.time >= definition.time_limit:
                    mujoco.mj_resetData(own, data)
                    data.qpos[:] = start
                data.ctrl[:] = each[world]
                mujoco.mj_step(own, data, substeps)

    shares = np.array_split(np.arange(num_worlds), min(cores, num_worlds))

    def step() -> int:
        actions = [action() for _ in range(chunk)]
        threads = [threading.Thread(target=run, args=(share, actions)) for share in shares[1:]]
        for thread in threads:
            thread.start()
        run(shares[0], actions)
        for thread in threads:
            thread.join()
        return chunk * num_worlds

    return cores, step


def main(arguments: str) -> None:
    """Measure until standard input ends."""
    wanted = json.loads(arguments)
    task, contestant, cores = wanted["task"], wanted["contestant"], wanted["cores"]
    makers: dict[str, Callable[[], tuple[int, Callable[[], int]]]] = {
        LIMIT: lambda: limit(task, wanted["num_worlds"], cores),
        OURS: lambda: ours(task, wanted["num_worlds"], cores, True),
        OURS_BLIND: lambda: ours(task, wanted["num_worlds"], cores, False),
        ORIGINAL: lambda: original(task, True, True),
        ORIGINAL_PLAIN: lambda: original(task, True, False),
        ORIGINAL_BLIND: lambda: original(task, False, True),
    }
    used, step = makers[contestant]()
    step()
    _say(used)
    for line in sys.stdin:
        start, start_cpu, count = time.perf_counter(), time.process_time(), 0
        while (elapsed := time.perf_counter() - start) < float(line):
            count += step()
        _say(count, elapsed, time.process_time() - start_cpu)


def _say(*values: float) -> None:
    sys.stdout.write(" ".join(map(str, values)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
