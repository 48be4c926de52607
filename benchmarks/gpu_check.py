"""On a machine with a GPU, within half an hour: is the GPU simulator right, how fast is it, how does the packaged agent fare in it, and
does it learn on?

    pip install 'vrodent[gpu]'
    python benchmarks/gpu_check.py --out gpu_check [--minutes 28] [--tasks gaps forage bowl two_tap]

Every stage leaves a file in the folder as soon as it has something, so that a run that is cut short is of use:

    machine.json           the device, drivers, versions
    parity.json            fields, senses, rewards and touches after one control step beside the CPU simulator's, by task and physics
    failure.json           a world of NaN ends its own trial alone
    episodes.json          falls, touches, rewards and more over some hundred control steps, beside the CPU's, see benchmarks/episodes.py
    camera.json, *.png     CPU's picture, GPU's picture, their difference
    bench.json, bench.txt  control steps a second by worlds, camera and physics; memory; where the time goes
    train/                 a run of `vrodent train gpu` that starts from the packaged agent: checkpoints, metrics.csv
    train.json             its steps and updates, steps a second, returns as it went on
    agent.json             returns of the packaged agent in whole episodes
    log.txt                what was said, with errors

A stage that fails says so in log.txt and the next one begins. Exit status 1 if one failed or parity is out of bounds. Everything in the
folder together takes some 25 MB. Where there is no GPU, in an hour, to see whether the script runs:

    python benchmarks/gpu_check.py --warp-device cpu --minutes 90 --worlds 2 --steps 2 --agent-steps 2 --bench-worlds 2 --turn-seconds 0.1 \
        --train-worlds 4 --train-unroll 4 --train-steps 48
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")  # before mujoco is imported
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # before JAX sees the device
sys.path.insert(0, str(Path(__file__).parent.parent))  # for `benchmarks.episodes`

import jax
import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.simulation.gpu import GpuSimulation
from vrodent.simulation.gpu_benchmark import GpuBenchConfig, describe, run_gpu_bench
from vrodent.task import TASK_NAMES

# After one control step from the same start, in single precision; see tests/simulation/test_gpu.py. On the bowl MuJoCo Warp keeps four
# contacts of a geom with the terrain where MuJoCo keeps fifty: no bound is set there, the numbers are for a person to read.
BOUNDS = {"reference": {"qpos": 2e-3, "xpos": 2e-4}, "training": {"qpos": 2e-4, "xpos": 2e-5}}
FIELDS = ("qpos", "qvel", "act", "xpos", "xmat", "site_xpos", "sensordata", "ten_length", "ten_velocity")


class Check:
    """The run: where results go, how much time is left, what has failed."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.out: Path = options.out
        self.out.mkdir(parents=True, exist_ok=True)
        self.end = time.monotonic() + 60 * options.minutes
        self.failed: list[str] = []

    def say(self, text: str) -> None:
        """Print, and keep in log.txt."""
        line = f"[{(self.end - time.monotonic()) / 60:5.1f} min left] {text}"
        print(line, flush=True)
        with (self.out / "log.txt").open("a") as file:
            file.write(line + "\n")

    def write(self, name: str, value: Any) -> None:
        """Leave a JSON file."""
        (self.out / name).write_text(json.dumps(value, indent=2, default=float) + "\n")

    def stage(self, name: str, work: Callable[[], None], needs: float = 0.0) -> None:
        """Run a stage, unless fewer than `needs` minutes are left."""
        if self.end - time.monotonic() < 60 * needs:
            self.say(f"{name}: no time left for it")
            return
        self.say(f"{name} begins")
        try:
            work()
        except Exception:
            self.failed.append(name)
            self.say(f"{name} failed:\n{traceback.format_exc()}")

    def make(self, task: str, worlds: int, physics: Any, camera: bool = False) -> GpuSimulation:
        """A simulation on the device."""
        return GpuSimulation(task, worlds, seed=self.options.seed, physics=physics, camera=camera, warp_device=self.options.warp_device)

    def both(self, task: str, worlds: int, physics: Any, camera: bool = False) -> tuple[GpuSimulation, CpuSimulation]:
        """The same worlds on the device and on the CPU, reset."""
        gpu = self.make(task, worlds, physics, camera)
        cpu = CpuSimulation(task, worlds, seed=self.options.seed, physics=physics, camera=camera)
        gpu.reset()
        cpu.reset()
        return gpu, cpu


def actions(simulation: Any, step: int, spread: float = 0.3) -> np.ndarray:
    """(world, 38) around standing, of single precision."""
    noise = np.random.default_rng(step).standard_normal((simulation.num_worlds, simulation.action_size))
    return np.clip(simulation.standing_ctrl + spread * noise, -1, 1).astype(np.float32)


def parity(check: Check) -> None:
    """Differences after a reset and after each of three control steps: eager, then captured, then replayed."""
    found: dict[str, Any] = {}
    for task in check.options.tasks:
        for physics in ("training", "reference"):
            gpu, cpu = check.both(task, min(16, check.options.worlds), physics)
            rows = [{name: _difference(gpu, cpu, name) for name in FIELDS}]
            for step in range(3):
                action = actions(cpu, step)
                ours, theirs = gpu.step(action), cpu.step(action)
                row = {name: _difference(gpu, cpu, name) for name in FIELDS}
                row["reward"] = float(np.abs(np.asarray(ours.reward) - theirs.reward).max())
                row["endings differ"] = float((np.asarray(ours.terminated) != theirs.terminated).sum())
                rows.append(row)
            found[f"{task}, {physics}"] = rows
            check.write("parity.json", found)
            first = rows[1]
            bad = {name: first[name] for name, most in BOUNDS[physics].items() if first[name] > most and task != "bowl"}
            check.say(
                f"parity of {task}, {physics}: " + ", ".join(f"{name} {first[name]:.1e}" for name in ("qpos", "qvel", "xpos", "reward"))
            )
            if bad:
                check.failed.append(f"parity of {task}, {physics}")
                check.say(f"parity of {task}, {physics} is out of bounds: {bad}, allowed {BOUNDS[physics]}")


def _difference(gpu: Any, cpu: Any, name: str) -> float:
    return float(np.abs(np.asarray(getattr(gpu.physics.fields, name)) - getattr(cpu.physics.fields, name)).max())


def failure(check: Check) -> None:
    """A world of NaN in the midst of others."""
    gpu = check.make("two_tap", min(64, check.options.worlds), "training")
    gpu.reset()
    for step in range(3):
        gpu.step(actions(gpu, step))
    velocity = gpu.physics.data.qvel.numpy()
    velocity[1] = np.nan
    gpu.physics.data.qvel.assign(velocity)
    ended = gpu.step(actions(gpu, 3))
    diverged = np.asarray(ended.info.diverged)
    after = gpu.step(actions(gpu, 4))
    fine = diverged.tolist() == [world == 1 for world in range(gpu.num_worlds)] and bool(np.isfinite(np.asarray(after.reward)).all())
    check.write("failure.json", {"diverged": np.flatnonzero(diverged).tolist(), "as it should be": fine})
    if not fine:
        check.failed.append("failure")


def episodes(check: Check) -> None:
    """Falls, touches, rewards and more over some hundred control steps, with tests of whether the simulators differ."""
    from benchmarks.episodes import ACTORS, run

    options = argparse.Namespace(**vars(check.options), actors=ACTORS)
    differing = run(
        lambda task: check.make(task, options.worlds, "training"), options, check.say, lambda rows: check.write("episodes.json", rows)
    )
    # The bowl's terrain gives other contacts by design, see docs/gpu.md: its rows are for a person to read.
    if any(row["task"] != "bowl" for row in differing):
        check.failed.append("episodes")


def camera(check: Check) -> None:
    """Pictures side by side."""
    from PIL import Image

    found = {}
    for task in check.options.tasks:
        gpu, cpu = check.both(task, 4, "training", camera=True)
        ours, theirs = np.asarray(gpu._observe()["egocentric"]).astype(int), cpu._observe()["egocentric"].astype(int)
        difference = np.abs(ours - theirs)
        found[task] = {"mean": difference.mean(axis=(1, 2, 3)).tolist(), "most": int(difference.max())}
        rows = [np.concatenate(row, axis=1) for row in zip(theirs, ours, difference, strict=True)]
        picture = Image.fromarray(np.concatenate(rows).astype(np.uint8))
        picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.NEAREST).save(check.out / f"camera_{task}.png")
        check.write("camera.json", found)
        cpu.close()
        check.say(f"camera of {task}: mean difference {difference.mean():.1f} of 255")


def bench(check: Check) -> None:
    """The sweep: what matters most first, and no longer than leaves time for the agent."""
    options, rates, tables = check.options, [], []
    for physics, cameras in (("training", (False, True)), ("reference", (False,))):
        config = GpuBenchConfig(
            tasks=tuple(options.tasks), worlds=tuple(options.bench_worlds), physics=(physics,), cameras=cameras, turns=2,
            turn_seconds=options.turn_seconds, seed=options.seed,
        )  # fmt: skip
        result = run_gpu_bench(config, check.say, options.warp_device, rates.append, check.end - 60 * options.keep)
        tables.append(result.table())
        check.write("bench.json", {"machine": result.machine, "rates": [asdict(rate) for rate in rates]})
        (check.out / "bench.txt").write_text("\n\n".join(tables) + "\n")
    check.say("\n" + "\n\n".join(tables))


class _TimeIsUp(KeyboardInterrupt):
    """Ends a run of training as Ctrl-C does, with a checkpoint."""


def training(check: Check) -> None:
    """The packaged agent learns on, all on the device, for some minutes; then once more from its last checkpoint."""
    from vrodent.training import find_checkpoint, load_checkpoint
    from vrodent.training.preset import gpu
    from vrodent.training.train import train

    options, out = check.options, check.out / "train"
    first = find_checkpoint("four-tasks")
    round_steps = options.train_worlds * options.train_unroll
    base, architecture = gpu(), load_checkpoint(first).agent.config
    collection = replace(
        base.collection, num_worlds=options.train_worlds, unroll_length=options.train_unroll, replay_steps=12 * round_steps,
        warmup_steps=2 * round_steps, warp_device=options.warp_device,
    )  # fmt: skip
    config = replace(
        base, agent=architecture, collection=collection, batch_unrolls=max(options.train_worlds // 8, 4), log_seconds=10.0,
        total_steps=options.train_steps or base.total_steps, keep_checkpoints=1,
    )  # fmt: skip
    if options.train_steps:  # a rehearsal: of a handful of rows, the critic's loss says nothing
        config = replace(config, divergence=replace(base.divergence, least_critic_loss=1e9))
    ends = [min(time.monotonic() + 60 * options.train_minutes, check.end - 120)]

    def say(line: str) -> None:
        check.say(line)
        if ends and time.monotonic() > ends[-1]:
            ends.pop()  # once: a run that ends has more to say
            raise _TimeIsUp

    for resume in (False, True):  # a run that its time cuts off, and a minute of its resumption
        with suppress(_TimeIsUp):
            train(None if resume else config, out, resume=resume, start=None if resume else first, say=say)
        ends[:] = [time.monotonic() + 60]
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    last = {name: float(rows[-1][name]) for name in ("update", "step", "seconds", "rollbacks")}
    returns = {name: [float(row[name]) for row in rows if row[name]] for name in rows[-1] if name.startswith("episode_return")}
    check.write("train.json", {"last": last, "steps a second, learning included": last["step"] / last["seconds"], "returns": returns})
    check.say(f"training: {last['step']:.0f} steps and {last['update']:.0f} updates in {last['seconds']:.0f} s")


def agent(check: Check) -> None:
    """Whole episodes of the packaged agent."""
    import equinox as eqx

    from vrodent.training import load_agent

    actor, found = load_agent("four-tasks"), {}
    choose = eqx.filter_jit(lambda actor, observation, memory, key: actor.act(observation, memory, key))
    for task in check.options.tasks:
        gpu = check.make(task, check.options.worlds, "reference", camera=True)
        observation, memory = gpu.reset(), actor.initial_memory(gpu.num_worlds)
        total, alive, length = np.zeros(gpu.num_worlds), np.ones(gpu.num_worlds, bool), np.zeros(gpu.num_worlds, int)
        for step in range(check.options.agent_steps or round(gpu.task.time_limit / gpu.control_step)):
            output, memory = choose(actor, observation, memory, jax.random.key(step))
            result = gpu.step(actor.ctrl(output.action))
            observation = result.observation
            total += np.where(alive, np.asarray(result.reward), 0.0)
            length += alive
            alive &= ~np.asarray(result.terminated | result.truncated)
            if not alive.any() or time.monotonic() > check.end:
                break
        found[task] = {"return": total.mean(), "standard error": total.std() / np.sqrt(len(total)), "control steps": length.mean()}
        check.write("agent.json", found)
        check.say(f"agent in {task}: return {total.mean():.2f} in {length.mean():.0f} control steps")


def main() -> int:
    """Run the stages. Returns an exit status."""
    stages = {
        "parity": (parity, 0), "failure": (failure, 0), "camera": (camera, 0), "bench": (bench, 15), "training": (training, 2),
        "agent": (agent, 0.5), "episodes": (episodes, 2),
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu_check"), help="folder for results")
    parser.add_argument("--minutes", type=float, default=28.0, help="time for everything")
    parser.add_argument("--keep", type=float, default=14.0, help="minutes of these that the bench leaves to training and the agent")
    parser.add_argument("--tasks", nargs="+", choices=TASK_NAMES, default=list(TASK_NAMES))
    parser.add_argument("--stages", nargs="+", choices=stages, default=list(stages), help="what to do")
    parser.add_argument("--worlds", type=int, default=64, help="worlds of each stage but the bench")
    parser.add_argument("--bench-worlds", type=int, nargs="+", default=[1024, 4096, 16384], help="worlds of the bench")
    parser.add_argument("--steps", type=int, default=200, help="control steps of the episodes")
    parser.add_argument("--agent-steps", type=int, default=0, help="control steps of the agent; 0 for whole episodes")
    parser.add_argument("--train-worlds", type=int, default=2048, help="worlds of all tasks that learning collects in")
    parser.add_argument("--train-unroll", type=int, default=40, help="control steps of its unrolls")
    parser.add_argument("--train-steps", type=int, default=0, help="control steps to collect; 0 for as many as the minutes give")
    parser.add_argument("--train-minutes", type=float, default=6.0)
    parser.add_argument("--turn-seconds", type=float, default=1.0, help="of each turn of the bench")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warp-device", help='another device than the first GPU; "cpu" to try the script where there is none')
    check = Check(parser.parse_args())
    probe = check.make("two_tap", 1, "training")
    check.write("machine.json", describe(probe.device) | {"jax": str(jax.devices())})
    for name, (work, needs) in stages.items():
        if name in check.options.stages:
            check.stage(name, lambda work=work: work(check), needs)
    check.say("failed: " + ", ".join(check.failed) if check.failed else "all stages passed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
