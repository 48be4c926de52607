"""The paper's claims beside our numbers: statistic, interval, null, verdict.

An analysis names the claims it can judge and gives a function from its result to findings (see `pipeline.Analysis`). A claim that it
does not judge, because the sessions cannot carry it, stands in the table as undecided with the reason: no claim is ever left out.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        null: what the p-value compares with, in words.
        null_value: mean of the statistic under the null, NaN where the null has no distribution of its own (a test of signs).
        remark: what limits it, or why it was not measured.
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
    null: str = ""
    null_value: float = float("nan")
    remark: str = ""

    @property
    def verdict(self) -> Verdict:
        """`reproduced` or `opposite` where the interval lies on one side of 0 and p < 0.05, else `undecided`."""
        low, high = (self.low, self.high) if self.expected > 0 else (-self.high, -self.low)
        if not np.isfinite([low, high, self.p_value]).all() or self.p_value >= 0.05:
            return "undecided"
        return "reproduced" if low > 0 else "opposite" if high < 0 else "undecided"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the paper, before anything is measured.

    Attributes:
        claim: in words.
        statistic: what is measured, in words.
        expected: sign that the claim expects of the statistic, 1 or -1.
        section: part of the report that shows it.
        unit: SI unit of the statistic.
        null: what the p-value compares with, in words.
    """

    claim: str
    statistic: str
    expected: int
    section: str
    unit: str = "1"
    null: str = ""

    def measured(
        self, value: float, low: float, high: float, p_value: float, *, null_value: float = float("nan"), statistic: str = "",
        remark: str = "",
    ) -> Finding:  # fmt: skip
        """The finding; `statistic` says more closely what was measured."""
        return Finding(
            claim=self.claim, statistic=statistic or self.statistic, unit=self.unit, expected=self.expected, value=float(value),
            low=float(low), high=float(high), p_value=float(p_value), section=self.section, null=self.null, null_value=float(null_value),
            remark=remark,
        )  # fmt: skip

    def not_measured(self, reason: str) -> Finding:
        """An undecided finding that says why."""
        return self.measured(np.nan, np.nan, np.nan, np.nan, remark=reason)


_SIGNS = "signs of the trials' differences flipped"
_SHIFTS = "activity paired with features shifted against it"

SPECTRA_CLAIMS = (
    Claim(claim="Policy layers fluctuate faster than the core", statistic="spectral centroid of the last layer less that of the first",
          unit="Hz", expected=1, section="timescales", null=_SIGNS),
    Claim(claim="The core remembers longer than policy layers", statistic="autocorrelation time of the last layer less that of the first",
          unit="s", expected=-1, section="timescales", null=_SIGNS),
    Claim(claim="Of three policy layers the first is slower than the last", expected=1, section="timescales", unit="Hz", null=_SIGNS,
          statistic="spectral centroid of the last policy layer less that of the first policy layer"),
)  # fmt: skip
_SPECTRA_ARRAYS = (("centroid", "spectral centroid"), ("autocorrelation_time", "autocorrelation time"))

ENCODING_CLAIMS = (
    Claim(claim="Policy layers reflect fast movement more than the core does", expected=1,
          statistic="CKA with joint angles, fast: last layer less first", section="encoding", null=_SHIFTS),
    Claim(claim="The core reflects slow movement more than policy layers do", expected=-1,
          statistic="CKA with pose, slow: last layer less first", section="encoding", null=_SHIFTS),
)  # fmt: skip
_ENCODING_SETS = (("joint_angles_fast", "CKA with joint angles, fast"), ("pose_slow", "CKA with pose, slow"))


def judge_spectra(spectra: Result) -> list[Finding]:
    """Timescales of the last policy layer against the core's, over all tasks. Empty with a single layer."""
    layers = spectra["layer"].tolist()
    if len(layers) < 2:
        return []
    out = []
    for claim, (name, words) in zip(SPECTRA_CLAIMS[:2], _SPECTRA_ARRAYS, strict=True):
        value, low, high, p = (float(spectra[f"{name}_contrast{part}"][-1, -1]) for part in ("", "_low", "_high", "_p_trial"))
        out.append(claim.measured(value, low, high, p, statistic=f"{words} of {layers[-1]} less that of {layers[0]}"))
    if len(layers) > 2:
        numbers = [float(spectra[f"policy_contrast{part}"][-1]) for part in ("", "_low", "_high", "_p")]
        says = f"spectral centroid of {layers[-1]} less that of {layers[1]}"
        remark = "" if len(layers) == 4 else f"this agent has {len(layers) - 1} policy layers, not three"
        out.append(SPECTRA_CLAIMS[2].measured(*numbers, statistic=says, remark=remark))
    else:
        out.append(SPECTRA_CLAIMS[2].not_measured("not measured: the agent has a single policy layer"))
    return out


def judge_encoding(encoding: Result) -> list[Finding]:
    """Similarity of the last policy layer with fast and slow movement against the core's, over all tasks. Empty with a single layer."""
    layers, sets = encoding["layer"].tolist(), encoding["set"].tolist()
    if len(layers) < 2:
        return []
    out = []
    for claim, (name, words) in zip(ENCODING_CLAIMS, _ENCODING_SETS, strict=True):
        if name not in sets:
            continue
        at = sets.index(name)
        value, low, high = (float(encoding[f"contrast{part}"][-1, -1, at]) for part in ("", "_low", "_high"))
        null = encoding["null"][-1, :, -1, at] - encoding["null"][-1, :, 0, at]
        p = float(null_p_value(np.asarray(value), null, "two-sided"))
        says = f"{words}: {layers[-1]} less {layers[0]}"
        out.append(claim.measured(value, low, high, p, null_value=float(null.mean()), statistic=says))
    return out


def complete(claims: Sequence[Claim], findings: Sequence[Finding], reason: str) -> list[Finding]:
    """Findings in the order of their claims, with an undecided one that gives the reason for every claim that was not judged."""
    judged = {finding.claim: finding for finding in findings}
    unknown = set(judged) - {claim.claim for claim in claims}
    if unknown:
        raise ValueError(f"Findings on claims that their analysis does not name: {', '.join(sorted(unknown))}.")
    undefined = "not measured: the statistic is not defined on these sessions"
    out = []
    for claim in claims:
        finding = judged.get(claim.claim) or claim.not_measured(reason)
        out.append(finding if np.isfinite(finding.value) or finding.remark else claim.not_measured(undefined))
    return out


def findings_result(rows: Sequence[Finding]) -> Result:
    """The findings as a table on disk."""

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
        "null": column("null", "what the p-value compares with", words=True),
        "null_value": column("null_value", "mean of the statistic under the null; NaN for a test of signs or labels"),
        "verdict": column("verdict", "reproduced, opposite or undecided", words=True),
        "remark": column("remark", "what limits it, or why it was not measured", words=True),
        "section": column("section", "part of the report that shows it", words=True),
    }
    return Result(name="findings", kind="findings", arrays=arrays)
