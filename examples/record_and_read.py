"""Record an agent twice, once with part of its core clamped, and read the sessions back.

    python examples/record_and_read.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import vrodent
from vrodent.agent import Agent, AgentConfig, clamp
from vrodent.recording import VideoConfig


def run(out: Path, trials: int = 2, seconds: float = 3.0) -> dict[str, float]:
    """Record both, and return the mean absolute activity of the clamped units in each."""
    agent = Agent(AgentConfig(num_policy_layers=1, core_size=32, policy_size=32))  # weights drawn at random: an untrained animal
    units = tuple(f"core:{i}" for i in range(8))
    means = {}
    for name, perturbation in (("intact", None), ("clamped", clamp(agent.config, dict.fromkeys(units, 0.0)))):
        path = vrodent.record(
            agent, "two_tap", trials=trials, seed=0, perturbation=perturbation, out=out / name, time_limit=seconds,
            video=VideoConfig(third_person_trials=0),
        )  # fmt: skip
        session = vrodent.load_session(path)
        activity = session.series["activity_core_h"]
        first, last = activity.columns[0], activity.columns[-1]
        print(f"{name}: {len(session.trials)} trials, {activity.data.shape[0]} frames, units {first} to {last}")
        means[name] = float(np.abs(activity.data[:, [activity.columns.index(unit) for unit in units]]).mean())
    return means


if __name__ == "__main__":
    print(run(Path(sys.argv[1] if len(sys.argv) > 1 else "sessions")))
