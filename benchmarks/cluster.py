"""Steps a second that workers of a cluster collect, by their number; no learner takes part.

    pip install 'vrodent[cluster]'
    python benchmarks/cluster.py [--address local] [--workers 1 2 4] [--worlds 8] [--task gaps] [--seconds 20] [--turns 2]

Every worker has `worlds` worlds and the agent of the preset `laptop`. Numbers of workers take turns, so that other work on the machine
falls on all of them alike. Also printed: the bytes of an unroll and of an agent, which is what travels.
"""

from __future__ import annotations

import argparse
import threading
import time
from dataclasses import replace

import jax
import numpy as np

from vrodent.agent import Agent
from vrodent.training.cluster import Cluster, ClusterConfig, RemoteActor
from vrodent.training.preset import laptop
from vrodent.training.unroll import unroll_shapes


def rate(actors: list[RemoteActor], agent: Agent, seconds: float, steps: int) -> float:
    """Steps a second of some workers at once, in whole unrolls of `steps` steps."""
    begin = time.perf_counter()
    finished = [0] * len(actors)

    def work(index: int) -> None:
        while time.perf_counter() < begin + seconds:
            actors[index].collect(agent)
            finished[index] += steps

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(actors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(finished) / (time.perf_counter() - begin)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="local")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--worlds", type=int, default=8, help="of each worker")
    parser.add_argument("--task", default="gaps")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    most = max(options.workers)
    base = laptop()
    config = replace(base, tasks=(options.task,), agent=replace(base.agent, num_value_heads=1))
    agent, length = Agent(config.agent), config.collection.unroll_length
    cluster = Cluster(ClusterConfig(address=options.address, workers=most), config)
    try:
        actors = [actor for _, _, actor in cluster.enlist(config, (most * options.worlds,), {}, lambda: False)]
        rate(actors, agent, 0.1, 0)  # every worker compiles
        rates = {count: [] for count in options.workers}
        for _ in range(options.turns):
            for count in options.workers:
                rates[count].append(rate(actors[:count], agent, options.seconds, options.worlds * length))
                print(f"{count} workers: {rates[count][-1]:.0f} steps/s", flush=True)
    finally:
        cluster.close()
    shapes = jax.tree.leaves(unroll_shapes(config.agent, length, False))
    unroll = sum(int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize for leaf in shapes)
    print(f"an unroll of a world: {unroll / 1e6:.2f} MB, an agent: {sum(leaf.nbytes for leaf in jax.tree.leaves(agent)) / 1e6:.2f} MB")
    for count, values in rates.items():
        print(
            f"{count} workers, {options.worlds} worlds each: {np.median(values):.0f} steps/s, {np.min(values):.0f} to {np.max(values):.0f}"
        )


if __name__ == "__main__":
    main()
