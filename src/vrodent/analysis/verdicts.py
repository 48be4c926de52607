"""The paper's claims beside our numbers: statistic, interval, null, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.statistics import null_p_value

Verdict = Literal["reproduced", "opposite", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One claim and what we find.

    Attributes:
        claim: of the paper.
        statistic: what was measured, in words.
        unit: its SI unit.
        expected: sign that the claim expects of the statistic, 1 or -1.
        value, low, high: estimate and 95 % interval over trials.
        p_value: two-sided, of no difference.
        section: part of the report that shows it.
    """

    claim: str
    statistic: str
    unit: str
    expected: int
    value: float
    low: float
    high: float
    p_value: float
    section: str

    @property
    def verdict(self) -> Verdict:
        """`reproduced` or `opposite` where the interval lies on one side of 0 and p < 0.05, else `undecided`."""
        low, high = (self.low, self.high) if self.expected > 0 else (-self.high, -self.low)
        if not np.isfinite([low, high, self.p_value]).all() or self.p_value >= 0.05:
            return "undecided"
        return "reproduced" if low > 0 else "opposite" if high < 0 else "undecided"


_CONTRASTS = (
    ("Policy layers fluctuate faster than the core", "centroid", "spectral centroid", "Hz", 1),
    ("The core remembers longer than policy layers", "autocorrelation_time", "autocorrelation time", "s", -1),
)
_SETS = (
    ("Policy layers reflect fast movement more than the core does", "joint_angles_fast", "CKA with joint angles, fast", 1),
    ("The core reflects slow movement more than policy layers do", "pose_slow", "CKA with pose, slow", -1),
)


def findings(spectra: Result, encoding: Result) -> list[Finding]:
    """Judge the claims that compare the core with the last policy layer, over all tasks. Empty with a single layer.

    Args:
        spectra, encoding: results of those analyses.
    """
    layers = encoding["layer"].tolist()
    if len(layers) < 2:
        return []
    out = []
    for claim, name, words, unit, expected in _CONTRASTS:
        value, low, high, p = (float(spectra[f"{name}_contrast{part}"][-1, -1]) for part in ("", "_low", "_high", "_p_trial"))
        says = f"{words} of {layers[-1]} less that of {layers[0]}"
        out.append(Finding(claim=claim, statistic=says, unit=unit, expected=expected, value=value, low=low, high=high, p_value=p,
                           section="timescales"))  # fmt: skip
    for claim, name, words, expected in _SETS:
        if name not in encoding["set"]:
            continue
        at = encoding["set"].tolist().index(name)
        value, low, high = (float(encoding[f"contrast{part}"][-1, -1, at]) for part in ("", "_low", "_high"))
        null = encoding["null"][-1, :, -1, at] - encoding["null"][-1, :, 0, at]
        p = float(null_p_value(np.asarray(value), null, "two-sided"))
        says = f"{words}: {layers[-1]} less {layers[0]}"
        out.append(Finding(claim=claim, statistic=says, unit="1", expected=expected, value=value, low=low, high=high, p_value=p,
                           section="encoding"))  # fmt: skip
    return out


def findings_result(spectra: Result, encoding: Result) -> Result:
    """The findings as a table on disk."""
    rows = findings(spectra, encoding)

    def column(name: str, meaning: str, *, words: bool = False) -> Quantity:
        values = [getattr(row, name) for row in rows]
        return Quantity(
            values=np.array(values, dtype=str if words else float), axes=("finding",), unit="" if words else "1", meaning=meaning
        )

    arrays = {
        "claim": column("claim", "of the paper", words=True),
        "statistic": column("statistic", "what was measured", words=True),
        "unit": column("unit", "of the value", words=True),
        "expected": column("expected", "sign that the claim expects"),
        "value": column("value", "estimate over all tasks"),
        "low": column("low", "95 % interval over trials"),
        "high": column("high", "95 % interval over trials"),
        "p_value": column("p_value", "two-sided, of no difference"),
        "verdict": column("verdict", "reproduced, opposite or undecided", words=True),
        "section": column("section", "part of the report that shows it", words=True),
    }
    return Result(name="findings", kind="findings", arrays=arrays)
