"""A small study with planted contents, as recording and analysis would leave it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.analysis.settings import quick
from tests.analysis.signals import red_noise
from tests.analysis.synthetic import make_session, write_session

from vrodent.analysis import AnalysisConfig, EncodingConfig, analyze
from vrodent.analysis.fixed_point_tables import Condition, Layer, network_result
from vrodent.recording.video import VideoWriter

TASKS = ("gaps", "two_tap")
LENGTHS = (410, 420, 430, 150)
"""Frames of each trial; the last is too short for the analyses."""


def make_study(folder: Path) -> Path:
    """Two tasks, one filmed; `policy0` follows the joints."""
    identifiers = []
    for seed, task in enumerate(TASKS):
        rng = np.random.default_rng(seed)
        total = sum(LENGTHS)
        joints = red_noise(rng, total, 30, 0.1).astype(np.float32)
        planted = {"joint_angles": joints, "activity_policy0_h": joints[:, :6], "activity_core_h": red_noise(rng, total, 8, 1.0)}
        events = [("gap_crossed", 100), ("gap_crossed", 500)] if task == "gaps" else []
        session = make_session(LENGTHS, planted=planted, task=task, agent="tiny<&>", seed=seed, events=events)
        write_session(folder / "sessions" / f"tiny-{task}", session)
        identifiers.append(session.identifier)
    network_result([weights("core", 8), weights("policy0", 6)], tuple(identifiers), "{}").save(folder / "results")
    film(folder / "sessions" / "tiny-gaps")
    paths = [folder / "sessions" / f"tiny-{task}" for task in TASKS]
    analyze(paths, folder / "results", quick(AnalysisConfig(num_bootstrap=200, encoding=EncodingConfig(num_null=39))))
    return folder


def weights(name: str, units: int) -> Layer:
    """A layer as an agent's weights would give it, drawn at random, with a fixed point near 0."""
    rng = np.random.default_rng(units)
    conditions = [
        Condition(name=task, behaviour=False, drive=rng.normal(0, 0.5, 4 * units), h=rng.normal(0, 0.2, (40, units)),
                  c=rng.normal(0, 0.4, (40, units))) for task in TASKS
    ]  # fmt: skip
    return Layer(name=name, weight_hidden=rng.normal(0, 0.5 / np.sqrt(units), (units, 4 * units)), conditions=conditions)


def film(session: Path) -> None:
    """Two seconds of trial 0 from outside (25 Hz) and through the eyes (50 Hz), brightness counting the time."""
    film, eye = ("third_person/trial_000.mp4", "browser", 25, (120, 160)), ("egocentric/trial_000.mkv", "lossless", 50, (64, 64))
    for name, kind, rate, size in (film, eye):
        path = session / name
        path.parent.mkdir()
        with VideoWriter(path, rate, kind) as writer:
            for i in range(2 * rate):
                writer.add(np.full((*size, 3), 20 + round(200 * i / (2 * rate)), np.uint8))
