"""Time and memory of the whole analysis on sessions of a chosen size: `python benchmarks/analysis.py --share 0.1`.

Makes four synthetic sessions of 25 trials of 30 s (150 000 frames in all, at --share 1) with four layers of 128 units, writes them as a
recording would, analyses them, and prints seconds of wall clock and of processor by analysis and the largest resident memory. A share of
0.1 keeps the number of trials at 5 a task, the fewest that every analysis takes, and shortens them.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import signal
from tests.analysis.synthetic import make_session, write_session

from vrodent.analysis import AnalysisConfig, Step, analyze
from vrodent.analysis.data import TASK_ORDER

LAYERS = ("core", "policy0", "policy1", "policy2")
TRIALS, FRAMES = 25, 1500


def walking(total: int, units: int, seed: int) -> dict[str, np.ndarray]:
    """Rhythmic joints, layers that follow them more quickly from core to policy, an upright body and paws that touch in turn."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.cumsum(3 + 0.5 * signal.lfilter([0.02], [1, -0.98], rng.normal(size=total))) / 50
    rhythm = np.stack([np.sin(phase), np.cos(phase), np.sin(2 * phase), np.cos(2 * phase)], axis=1)
    joints = rhythm @ rng.normal(size=(4, 30)) + 0.3 * rng.normal(size=(total, 30))
    planted = {"joint_angles": joints, "torso_orientation": np.tile([1.0, 0.0, 0.0, 0.0], (total, 1)) + 1e-4 * rng.normal(size=(total, 4)),
               "touch": (np.sin(phase[:, None] + np.arange(4) * np.pi / 2) > 0).astype(float),
               "torso_velocity": np.tile([0.4, 0.0, 0.0], (total, 1))}  # fmt: skip
    for i, layer in enumerate(LAYERS):
        keep = np.exp(-1 / (50 * 2.0 / 4**i))
        noise = signal.lfilter([np.sqrt(1 - keep**2)], [1, -keep], rng.normal(size=(total, units)), axis=0)
        planted[f"activity_{layer}_h"] = noise + i / 3 * rhythm @ rng.normal(size=(4, units))
    return {name: values.astype(np.float32) for name, values in planted.items()}


def make(folder: Path, share: float, units: int) -> list[Path]:
    """One session a task."""
    trials = max(5, round(TRIALS * share))
    frames = max(250, round(FRAMES * TRIALS * share / trials))
    paths = []
    for seed, task in enumerate(TASK_ORDER):
        total = trials * frames
        taps = np.arange(100, total - 100, 90)
        events = [pair for tap in taps for pair in (("first_tap", int(tap)), ("second_tap", int(tap) + 40))] if task == "two_tap" else []
        session = make_session((frames,) * trials, dict.fromkeys(LAYERS, units), planted=walking(total, units, seed), task=task, seed=seed,
                               events=events)  # fmt: skip
        paths.append(write_session(folder / f"synthetic-{task}", session))
    print(
        f"{len(TASK_ORDER)} tasks of {trials} trials of {frames} frames: {len(TASK_ORDER) * trials * frames} frames, {units} units a layer"
    )
    return paths


class Stopwatch:
    """Seconds of wall clock and processor by label of progress."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self._label, self._wall, self._cpu = "", time.perf_counter(), time.process_time()

    def __call__(self, step: Step) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        entry = self.spent.setdefault(self._label or step.label, [0.0, 0.0])
        entry[0] += wall - self._wall
        entry[1] += cpu - self._cpu
        if step.label != self._label and self._label:
            print(f"  {self._label:20s} {self.spent[self._label][0]:8.1f} s  {self.spent[self._label][1]:8.1f} s of processor", flush=True)
        self._label, self._wall, self._cpu = step.label, wall, cpu


def main() -> None:
    """Make, analyse, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.1, help="of 100 trials of 30 s")
    parser.add_argument("--units", type=int, default=128, help="of each layer")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        files = make(Path(name), arguments.share, arguments.units)
        watch, begun = Stopwatch(), (time.perf_counter(), time.process_time())
        analyze(files, Path(name) / "results", AnalysisConfig(), watch)
        print(f"in all {time.perf_counter() - begun[0]:.1f} s, {time.process_time() - begun[1]:.1f} s of processor")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"largest resident memory {memory:.2f} GiB")


if __name__ == "__main__":
    main()
