"""How much does it change what an agent does if its eyes compute in bfloat16?

    MUJOCO_GL=egl python benchmarks/precision.py [--agent four-tasks] [--worlds 2] [--steps 100]

The agent acts in float32; the same with eyes of bfloat16 looks on, with a memory of its own. Printed for each task: the root mean square
and the largest difference of their mean actions, in standard deviations of the policy; the log ratio of the densities of what was done,
its root mean square and largest; what the mean action itself varies by from moment to moment, for scale.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("MUJOCO_GL", "egl")  # before mujoco is imported

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Agent, in_precision
from vrodent.agent.gaussian import log_prob
from vrodent.simulation import CpuSimulation
from vrodent.task import TASK_NAMES
from vrodent.training import load_agent


@eqx.filter_jit
def look_on(agent: Agent, observation: dict, memory, key) -> tuple:
    """A step of an agent."""
    return agent.act(observation, memory, key)


def measure(agent: Agent, task: str, worlds: int, steps: int) -> dict[str, float]:
    """Let both see one course of events."""
    simulation, other = CpuSimulation(task, worlds, seed=0, physics="training"), in_precision(agent, "bfloat16")
    observation = simulation.reset()
    memories = [agent.initial_memory(worlds)] * 2
    differences, ratios, means = [], [], []
    for step in range(steps):
        key, outputs = jax.random.key(step), []
        for i, each in enumerate((agent, other)):
            output, memories[i] = look_on(each, observation, memories[i], key)
            outputs.append(output)
        exact, rounded = outputs
        differences.append((rounded.mean - exact.mean) / jnp.exp(exact.log_std))
        ratios.append(log_prob(exact.action, rounded.mean, rounded.log_std) - exact.log_prob)
        means.append(exact.mean / jnp.exp(exact.log_std))
        result = simulation.step(np.asarray(agent.ctrl(exact.action)))
        over = result.terminated | result.truncated
        observation = result.observation
        if over.any():
            observation = simulation.reset(over)
            memories = jax.tree.map(lambda leaf, over=over: jnp.where(over[:, None], 0.0, leaf), memories)
    simulation.close()
    difference, ratio = np.asarray(differences), np.asarray(ratios)
    return {
        "rms": float(np.sqrt((difference**2).mean())), "largest": float(np.abs(difference).max()),
        "ratio rms": float(np.sqrt((ratio**2).mean())), "ratio largest": float(np.abs(ratio).max()),
        "varies": float(np.std(means, axis=0).mean()),
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="four-tasks")
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    agent = load_agent(options.agent)
    for task in TASK_NAMES:
        found = measure(agent, task, options.worlds, options.steps)
        print(f"{task:8}" + "  ".join(f"{name} {value:.4f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
