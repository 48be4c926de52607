"""Synthetic animals whose movements are known frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vrodent.analysis.data import Data, Prepared
from vrodent.analysis.features import MOVEMENT
from vrodent.analysis.gait import PAWS
from vrodent.analysis.session import Events, Trials

RATE = 50.0
PATTERNS = ((2.0, slice(0, 4)), (5.0, slice(4, 8)), (9.0, slice(8, 12)))
"""Frequency (Hz) of each movement and the joints that make it."""


def script(rng: np.random.Generator, frames: int, shortest: int = 60, longest: int = 120, kinds: int = 3) -> np.ndarray:
    """(time,) which movement is made: bouts of random length, never the same twice in a row."""
    labels: list[int] = []
    last = -1
    while len(labels) < frames:
        last = int(rng.choice([k for k in range(kinds) if k != last]))
        labels += [last] * int(rng.integers(shortest, longest))
    return np.array(labels[:frames])


def mover(rng: np.random.Generator, labels: np.ndarray, noise: float = 0.1) -> dict[str, np.ndarray]:
    """Signals of a trial in which the movements of `labels` are made, by some joints and with the whole trunk, and else there is noise."""
    time = np.arange(len(labels)) / RATE
    joints = noise * rng.normal(size=(len(labels), 12))
    trunk = 2 * noise * rng.normal(size=(len(labels), len(MOVEMENT)))
    for kind, (frequency, which) in enumerate(PATTERNS):
        phase = 2 * np.pi * frequency * time[:, None] + np.linspace(0, np.pi, 4)
        joints[:, which] += np.where(labels[:, None] == kind, np.sin(phase), 0.0)
        trunk += np.where(labels[:, None] == kind, np.sin(phase[:, :1] + np.arange(len(MOVEMENT))), 0.0)
    return {"joint_angles": joints, "pose": joints @ MIX, "movement": trunk}


def fidget(rng: np.random.Generator, frames: int) -> dict[str, np.ndarray]:
    """Signals of a trial of white noise."""
    joints = rng.normal(size=(frames, 12))
    return {"joint_angles": joints, "pose": joints @ MIX, "movement": rng.normal(size=(frames, len(MOVEMENT)))}


def inside(labels: np.ndarray, margin: int) -> np.ndarray:
    """(time,) bool, frames at least so far from any change of movement."""
    edges = np.flatnonzero(np.diff(labels)) + 0.5
    return np.array([not len(edges) or np.abs(edges - t).min() > margin for t in range(len(labels))])


def crowd(seed: int, lengths: Sequence[int]) -> tuple[list[dict[str, np.ndarray]], list[np.ndarray]]:
    """Trials and what is done in them."""
    rng = np.random.default_rng(seed)
    labels = [script(rng, n) for n in lengths]
    return [mover(rng, part) for part in labels], labels


def prepared(task: str, signals: list[dict[str, np.ndarray]], raw: list[dict[str, np.ndarray]] | None = None) -> Prepared:
    """A session of these trials, ready to be analysed; upright on flat ground where `raw` says nothing else."""
    stop = np.cumsum([len(trial["movement"]) for trial in signals])
    num = len(signals)
    trials = Trials(
        start=np.concatenate([[0], stop[:-1]]), stop=stop, total_reward=np.zeros(num), terminated=np.zeros(num, bool),
        truncated=np.ones(num, bool), seed=np.zeros(num, int), arena_seed=np.array(["0/0/0"] * num),
    )  # fmt: skip
    none = np.array([], int)
    return Prepared(
        task=task, agent="mover", identifier=task, lineage="{}", folder=f"mover-{task}", trials=trials,
        events=Events(name=none.astype(str), frame=none, trial=none), used=np.ones(num, bool), notes=(), activity=[{} for _ in signals],
        signals=signals, features=[{} for _ in signals], raw=raw or [upright(len(trial["movement"])) for trial in signals],
        keypoint_names=KEYPOINTS,
    )  # fmt: skip


def upright(frames: int, touch: bool = False) -> dict[str, np.ndarray]:
    """Raw series of a trunk that stands 6 cm over its paws."""
    points = np.zeros((frames, len(KEYPOINTS), 3))
    series = {
        "keypoints": points,
        "torso_position": np.tile([0.0, 0.0, 0.06], (frames, 1)),
        "torso_orientation": np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1)),
    }
    return series | ({"touch": np.zeros((frames, 4))} if touch else {})


def together(*sessions: Prepared) -> Data:
    """Sessions of one agent."""
    return Data(sessions=sessions, rate=RATE, layers=())


KEYPOINTS = (*PAWS, "head")
MIX = np.random.default_rng(99).normal(size=(12, 15)) / 4
