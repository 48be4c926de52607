"""Learning from workers of a local cluster, one of which is killed."""

from __future__ import annotations

import csv
import importlib.util
import ipaddress
import os
import re
import signal
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from vrodent.agent import Agent
from vrodent.training.checkpoint import load_checkpoint
from vrodent.training.cluster import Cluster, ClusterConfig, ClusterError, worker_seed
from vrodent.training.evaluation import HELD_OUT_SEED, VALIDATION_SEED
from vrodent.training.fleet import Fleet
from vrodent.training.preset import tiny
from vrodent.training.settings import TrainConfig
from vrodent.training.train import train


def toy(**changes) -> TrainConfig:
    """Two tasks in two workers."""
    return replace(tiny(), **({"deterministic": False, "checkpoint_seconds": 5.0, "log_seconds": 0.5, "total_steps": 400} | changes))


def _family() -> set[int]:
    """This process and all that it started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    family = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _listening() -> list[str]:
    """Addresses that this process and those it started listen on."""
    addresses = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A":
                words = re.findall(".{8}", columns[1].split(":")[0])
                number = b"".join(bytes.fromhex(word)[::-1] for word in words)
                address: Any = ipaddress.ip_address(number)
                addresses[f"socket:[{columns[9]}]"] = str(getattr(address, "ipv4_mapped", None) or address)
    found = []
    for process in _family():
        with suppress(OSError):
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    found.append(addresses.get(str(descriptor.readlink())))
    return [address for address in found if address]


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_training_goes_on_to_its_end(tmp_path, monkeypatch) -> None:
    """A worker is killed with signal 9 in the middle of learning. Nothing is unlearned: updates go up by one each, to the last."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install ray")
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    sample, fleets, said, lives = Fleet.sample, [], [], []
    killed: dict[str, Any] = {}

    def watching(self, update, salt=0):
        if not fleets:
            fleets.append(self)
        if update == 8 and not killed:
            actor = self.actors[1]
            killed["process"] = actor._cluster.ray.get(actor.worker.process.remote(), timeout=120)
            killed["listening"] = _listening()
            os.kill(killed["process"], signal.SIGKILL)
            killed["inserted"], killed["worker"] = self.replays[1].inserted, actor.worker
        lives.append((update, int(self.sampled), [replay.inserted for replay in self.replays]))
        return sample(self, update, salt)

    monkeypatch.setattr(Fleet, "sample", watching)
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        last = train(toy(), tmp_path, cluster=ClusterConfig(workers=2), say=said.append)
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
    (told,) = [line for line in said if line.startswith("LOST worker 1, with 2 worlds")]
    assert "another takes its place" in told
    assert set(killed["listening"]) == {"127.0.0.1"}, "nothing of it can be reached from another machine"
    (fleet,) = fleets
    assert fleet.actors[1].worker is not killed["worker"]
    assert fleet.replays[1].inserted > killed["inserted"] + 2 * 2, "beyond what may have been on its way, the new one's unrolls came in"
    assert [update for update, _, _ in lives] == list(range(toy().total_updates))
    assert all(a <= b for one, other in pairwise(lives) for a, b in zip(one[2], other[2], strict=True))
    assert load_checkpoint(last).numbers["updates"] == toy().total_updates
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert float(rows[-1]["samples_per_insert"]) == pytest.approx(2.0, rel=0.2)
    newest = fleet.replays[0].latest(4)
    assert np.isfinite(newest.reward).all() and newest.egocentric.any() and newest.acted.any()
    with pytest.raises(ProcessLookupError):
        os.kill(killed["process"], 0)


def test_no_two_workers_have_one_seed_and_none_has_an_evaluations() -> None:
    seeds = {worker_seed(seed, number, generation) for seed in range(3) for number in range(20) for generation in range(20)}
    assert len(seeds) == 1200 and not seeds & {HELD_OUT_SEED, VALIDATION_SEED}
    assert worker_seed(0, 1, 2) == worker_seed(0, 1, 2)


class _Nowhere(Cluster):
    """Never connects."""

    def __init__(self, workers: int) -> None:
        self.workers = workers


def test_what_a_cluster_cannot_do_is_said_before_it_is_started() -> None:
    with pytest.raises(ValueError, match="workers >= 0"):
        ClusterConfig(workers=-1)
    with pytest.raises(ValueError, match="is empty"):
        ClusterConfig(address="")
    on_gpu = replace(toy(), collection=replace(toy().collection, device="gpu"))
    for config, workers, words in (
        (toy(), 1, "1 workers are too few for 2 tasks"),
        (toy(deterministic=True), 0, "cluster cannot be deterministic"),
        (on_gpu, 0, "actors simulate on CPUs"),
    ):
        with pytest.raises(ValueError, match=words):
            Cluster(ClusterConfig(workers=workers), config)
    with pytest.raises(ValueError, match="2 worlds of gaps are too few for its 4 workers"):
        Fleet(toy(), (2, 2), Agent(toy().agent), crew=_Nowhere(8))


def test_without_ray_it_says_what_to_install(monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install 'vrodent\[cluster\]'"):
        Cluster(ClusterConfig(), toy())
