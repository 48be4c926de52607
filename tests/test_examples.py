"""The examples run, and show what they say."""

from __future__ import annotations

import importlib
import json
import runpy
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


def test_the_notebook_goes_from_a_session_to_a_figure(tmp_path: Path) -> None:
    """Its cells run one after another on a session of the packaged animal; every layer is drawn and no share of power is negative."""
    pytest.importorskip("pynapple")
    notebook = json.loads((EXAMPLES / "session_to_figure.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    cells.insert(1, f"SESSION, TRIALS, SECONDS = Path({str(tmp_path / 'session')!r}), 2, 1.0")
    (tmp_path / "cells.py").write_text("\n\n".join(cells))
    figure = runpy.run_path(str(tmp_path / "cells.py"))["figure"]
    lines = [trace for trace in figure.data if trace.name is not None]
    assert [line.name for line in lines] == ["core", "policy0", "policy1", "policy2"]
    for line in lines:
        assert len(line.x) > 10 and (np.asarray(line.y) >= 0).all() and 0 < line.x[0] < line.x[-1] < 25
