"""Learning curves of teachers and students, one panel a ground or task, from the CSV files that every run leaves.

    python benchmarks/learning_curves.py runs/walker runs/jumper runs/student --out docs/images/learning_curves.png

A teacher's run has `progress.csv`, a student's `metrics.csv`; a run's name is its folder's, or the file's for a bare CSV.
"""

from __future__ import annotations

import argparse
import csv
import math
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's
LINES = ("-", "--", ":")  # when colours have run out
GROUNDS = {
    "OpenGround": ("tracking", "share of the told speed", "open ground"),
    "Corridor": ("difficulty", "gap width, share of the task's", "corridors"),
    "Slopes": ("difficulty", "difficulty of the terrain", "slopes"),
    "Hollow": ("tracking", "share of standing still upright", "hollows"),
    "Orbs": ("double_taps", "correct double taps a minute", "orbs"),
}
TASKS = ("gaps", "forage", "bowl", "two_tap")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of one panel."""

    panel: str
    label: str
    run: str
    steps: np.ndarray
    values: np.ndarray


def smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """Means over `width` neighbours, fewer at the ends."""
    ones = np.ones(width)
    return np.convolve(values, ones, "same") / np.convolve(np.ones_like(values), ones, "same")


def curves_of(path: Path) -> list[Curve]:
    """All curves of a run.

    Raises:
        FileNotFoundError: the folder holds neither `progress.csv` nor `metrics.csv`.
    """
    files = [path] if path.suffix == ".csv" else [path / name for name in ("progress.csv", "metrics.csv") if (path / name).is_file()]
    if not files:
        raise FileNotFoundError(f"{path} holds neither progress.csv nor metrics.csv: give folders of runs, or such files.")
    with files[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    return _teacher(rows, path.stem) if "ground" in rows[0] else _student(rows, path.stem)


def _teacher(rows: list[dict[str, str]], run: str) -> list[Curve]:
    curves = []
    for ground, (column, label, title) in GROUNDS.items():
        own = [row for row in rows if row["ground"] == ground]
        if own:
            steps, values = (np.array([float(row[name]) for row in own]) for name in ("steps", column))
            curves.append(Curve(panel=title, label=label, run=run, steps=steps, values=smoothed(values, 9)))
    return curves


def _student(rows: list[dict[str, str]], run: str) -> list[Curve]:
    curves = []
    for task in TASKS:
        name = f"teaching_distance/{task}"
        own = [row for row in rows if row.get(name)]
        if own:
            steps, values = (np.array([float(row[column]) for row in own]) for column in ("step", name))
            label = "rms from the teacher's action"
            curves.append(Curve(panel=f"student: {task}", label=label, run=run, steps=steps, values=smoothed(values, 9)))
    return curves


def draw(curves: list[Curve], out: Path) -> None:
    """Draw the panels, three a row."""
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    runs = list(dict.fromkeys(curve.run for curve in curves))
    columns = min(3, len(panels))
    figure, axes = plt.subplots(math.ceil(len(panels) / columns), columns, squeeze=False, layout="constrained",
                                figsize=(4 * columns, 2.8 * math.ceil(len(panels) / columns)))  # fmt: skip
    for axis, panel in zip(axes.flat, panels, strict=False):
        for curve in (c for c in curves if c.panel == panel):
            again, colour = divmod(runs.index(curve.run), len(COLOURS))
            axis.plot(curve.steps / 1e6, curve.values, color=COLOURS[colour], ls=LINES[again % len(LINES)], label=curve.run, lw=1.3)
            axis.set(title=panel, xlabel="control steps of the run (millions)", ylabel=curve.label)
        axis.set_ylim(bottom=0)
        axis.legend(frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(panels):]:  # fmt: skip
        axis.set_visible(False)
    figure.savefig(out, dpi=110)


def main() -> None:
    """From folders of runs to a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs, or their CSV files")
    parser.add_argument("--out", type=Path, required=True, help="the picture, .png or .svg")
    arguments = parser.parse_args()
    draw([curve for path in arguments.runs for curve in curves_of(path)], arguments.out)


if __name__ == "__main__":
    main()
