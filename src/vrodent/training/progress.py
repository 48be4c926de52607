"""One line about how a run is going."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence


def say(line: str) -> None:
    """Print a line to standard error at once."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def duration(seconds: float) -> str:
    """A length of time in the two largest units that matter: 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    whole = max(round(seconds), 0)
    for size, name, small, lower in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {name}" + (f" {rest} {lower}" if rest else "")
    return f"{whole} s"


def line(row: Mapping[str, float], tasks: Sequence[str], total_steps: int, wanted_ratio: float) -> str:
    """The progress line of a row of metrics: part done, time left, rates, realised samples per insert, mean return per task."""
    step, rate = row["step"], row["steps_per_second"]
    left = duration((total_steps - step) / rate) if rate > 0.0 else "?"
    returns = [f"{task} {row[f'episode_return/{task}']:.1f}" for task in tasks if f"episode_return/{task}" in row]
    parts = [
        f"{100 * step / total_steps:.1f} %, {left} left",
        f"step {step:,.0f} ({rate:.0f}/s)",
        f"update {row['update']:,.0f} ({row['updates_per_second']:.2f}/s)",
        f"{row['samples_per_insert']:.2f} samples/insert (wanted {wanted_ratio:g})" if "samples_per_insert" in row else "warming up",
        "returns: " + (", ".join(returns) or "no episode has ended yet"),
    ]
    if row.get("loss/teaching"):
        distances = [f"{row[f'teaching_distance/{task}']:.3f}" for task in tasks if f"teaching_distance/{task}" in row]
        own = [f"{task} {row[f'episode_own_distance/{task}']:.2f}" for task in tasks if f"episode_own_distance/{task}" in row]
        parts.append("from teacher " + " ".join(distances) + (f" (by itself: {', '.join(own)})" if own else ""))
    return " | ".join(parts)
