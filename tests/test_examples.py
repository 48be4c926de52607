"""The examples run, and show what they say."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def load(name: str) -> ModuleType:
    return importlib.import_module(f"examples.{name}")  # the repository's root is on the path, see pyproject.toml


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"step_a_task", "change_the_reward", "record_and_read"}


def test_step_a_task() -> None:
    total = load("step_a_task").run(num_worlds=2, steps=5)
    assert total.shape == (2,) and np.isfinite(total).all()


def test_change_the_reward() -> None:
    stroll, still = load("change_the_reward").run(steps=20)
    # exp(-0.5 (0.2 / 0.1)^2) = 0.135 for a rat that does not move, and 1 for one that is asked not to.
    assert still > 0.8
    assert stroll == pytest.approx(0.135, abs=0.1)


def test_record_and_read(tmp_path: Path) -> None:
    means = load("record_and_read").run(tmp_path, trials=1, seconds=0.5)
    assert means["intact"] > 0.0
    assert means["clamped"] == 0.0
