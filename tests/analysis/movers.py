"""Synthetic animals whose movements are known frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vrodent.analysis.features import MOVEMENT

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
    """Signals of a trial in which the movements of `labels` are made, and nothing else but noise."""
    time = np.arange(len(labels)) / RATE
    joints = noise * rng.normal(size=(len(labels), 12))
    for kind, (frequency, which) in enumerate(PATTERNS):
        phase = 2 * np.pi * frequency * time[:, None] + np.linspace(0, np.pi, 4)
        joints[:, which] += np.where(labels[:, None] == kind, np.sin(phase), 0.0)
    return {"joint_angles": joints, "pose": joints @ MIX, "movement": noise * rng.normal(size=(len(labels), len(MOVEMENT)))}


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


MIX = np.random.default_rng(99).normal(size=(12, 15)) / 4
