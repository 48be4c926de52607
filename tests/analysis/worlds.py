"""Two tasks with planted relations between activity and behaviour, prepared for the analyses that look across tasks."""

from __future__ import annotations

import numpy as np
from tests.analysis.signals import red_noise
from tests.analysis.synthetic import make_session

from vrodent.analysis.data import Data, prepare

TASKS = ("gaps", "two_tap")


def two_tasks(*, trials: int = 5, length: int = 400, tell: float = 1.5, seed: int = 0) -> Data:
    """Joint angles follow quick noise; `policy0` is the same map of them in both tasks; `core` is slow and unrelated, and its mean tells
    the task by `tell` standard deviations."""
    mixing = np.random.default_rng(99).normal(size=(30, 12)) / np.sqrt(30)
    low = np.random.default_rng(98).normal(size=(6, 30))
    sessions = []
    for number, task in enumerate(TASKS):
        rng = np.random.default_rng(seed * 10 + number)
        total = trials * length
        joints = red_noise(rng, total, 6, 0.15) @ low + 0.3 * rng.normal(size=(total, 30))
        planted = {
            "joint_angles": joints,
            "activity_policy0_h": joints @ mixing + 0.1 * rng.normal(size=(total, 12)),
            "activity_core_h": red_noise(rng, total, 10, 0.5) + tell * number * np.sign(np.arange(10) - 4.5),
        }
        sessions.append(make_session((length,) * trials, {"core": 10, "policy0": 12}, planted=planted, task=task, seed=seed * 10 + number))
    return prepare(sessions)
