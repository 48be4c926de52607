"""Linear centred kernel alignment: how alike two sets of columns arrange the same frames.

With kernels K = X X^T and L = Y Y^T, everything the debiased estimator needs is linear in per-frame moments once the frame is widened
to (x, |x|^2, 1): the (p + 2, q + 2) matrix of sums of products. It adds over trials, so leaving a trial out, pooling tasks and shifting
trials cost O(n p q) and no n x n matrix is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from vrodent.analysis.checks import AnalysisError, check_paired, check_trials
from vrodent.analysis.statistics import Interval, jackknife_interval

MIN_FRAMES = 4
"""The debiased estimator divides by n - 3."""

Null = Literal["circular", "trial"]


def widen(frames: np.ndarray) -> np.ndarray:
    """(time, column) -> (time, column + 2): the frame, its squared length, and 1."""
    squared = np.einsum("tc,tc->t", frames, frames)
    return np.column_stack([frames, squared, np.ones(len(frames), dtype=frames.dtype)])


def products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(p + 2, q + 2) sums over frames of products of two widened arrays; adds over trials."""
    return left.T @ right


def hsic_from_products(sums: np.ndarray) -> np.ndarray:
    """Unbiased HSIC of linear kernels, from the summed products of widened frames.

    Args:
        sums: (..., p + 2, q + 2), as `products` makes.

    Returns:
        (...), HSIC_1; it may be below 0.

    Source: Song et al. 2012, JMLR 13, eq. 5.
    """
    num = sums[..., -1, -1]
    if np.any(num < MIN_FRAMES):
        raise AnalysisError(f"CKA: {int(np.min(num))} frames, at least {MIN_FRAMES} needed.")
    cross = sums[..., :-2, :-2]
    sum_x, sum_y = sums[..., :-2, -1], sums[..., -1, :-2]  # sum of x, sum of y
    x_len_y, len_x_y = sums[..., :-2, -2], sums[..., -2, :-2]  # sum of x |y|^2, sum of |x|^2 y
    len_len = sums[..., -2, -2]
    trace = (cross**2).sum(axis=(-2, -1)) - len_len
    total_k = (sum_x**2).sum(axis=-1) - sums[..., -2, -1]
    total_l = (sum_y**2).sum(axis=-1) - sums[..., -1, -2]
    rows = (
        np.einsum("...p,...pq,...q->...", sum_x, cross, sum_y)
        - (sum_x * x_len_y).sum(axis=-1)
        - (sum_y * len_x_y).sum(axis=-1)
        + len_len
    )
    return (trace + total_k * total_l / ((num - 1) * (num - 2)) - 2 / (num - 2) * rows) / (num * (num - 3))


def cka_from_hsic(hsic_xy: np.ndarray, hsic_xx: np.ndarray, hsic_yy: np.ndarray) -> np.ndarray:
    """HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)); NaN where a set of columns does not vary."""
    power = np.maximum(hsic_xx, 0.0) * np.maximum(hsic_yy, 0.0)
    return np.divide(hsic_xy, np.sqrt(power), out=np.full(np.broadcast(hsic_xy, power).shape, np.nan), where=power > 0)


def cka(x: np.ndarray, y: np.ndarray, *, debiased: bool = True) -> float:
    """Linear CKA of two arrays over the same frames.

    Args:
        x: (time, p), finite.
        y: (time, q), finite.
        debiased: the U-statistic, near 0 for independent data whatever p, q and time; else the plug-in, which is not.

    Returns:
        1 for equal arrays up to rotation, isotropic scale and shift. Debiased values may lie a little below 0.

    Raises:
        AnalysisError: fewer than 4 frames, unequal lengths, values not finite, or an array that does not vary.

    Source: Kornblith et al. 2019, arXiv:1905.00414; Song et al. 2012 for the debiased estimator.
    """
    for name, value in (("x", x), ("y", y)):
        check_trials([value], f"CKA, {name}", min_frames=MIN_FRAMES)
        if not np.ptp(value, axis=0).any():
            raise AnalysisError(f"CKA, {name}: no column varies over the {len(value)} frames.")
    check_paired([x], [y], ("CKA, x", "y"))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    if not debiased:
        norm = np.linalg.norm
        return float(norm(y.T @ x) ** 2 / (norm(x.T @ x) * norm(y.T @ y)))
    wide_x, wide_y = widen(x), widen(y)
    hsic = [hsic_from_products(products(a, b)) for a, b in ((wide_x, wide_y), (wide_x, wide_x), (wide_y, wide_y))]
    return float(cka_from_hsic(*(np.asarray(value) for value in hsic)))


def cka_over_trials(x: Sequence[np.ndarray], y: Sequence[np.ndarray], *, level: float = 0.95) -> Interval:
    """Debiased linear CKA over the frames of all trials, with a jackknife interval over trials.

    Args:
        x: one (time, p) array a trial.
        y: one (time, q) array a trial, of the same lengths.
        level: coverage aimed at.

    Raises:
        AnalysisError: fewer than 2 trials, or trials that do not pair up or hold values that are not finite.
    """
    check_trials(x, "CKA, x", min_trials=2)
    check_trials(y, "CKA, y", min_trials=2)
    check_paired(x, y, ("CKA, x", "y"))
    mean_x, mean_y = np.concatenate(x).mean(axis=0), np.concatenate(y).mean(axis=0)
    wide = [(widen(a - mean_x), widen(b - mean_y)) for a, b in zip(x, y, strict=True)]
    sums = [np.stack([products(left, right) for left, right in _pairs(wide, which)]) for which in ("xy", "xx", "yy")]
    return jackknife(sums[0], sums[1], sums[2], level=level)


def _pairs(wide: Sequence[tuple[np.ndarray, np.ndarray]], which: str) -> list[tuple[np.ndarray, np.ndarray]]:
    pick = {"x": 0, "y": 1}
    return [(pair[pick[which[0]]], pair[pick[which[1]]]) for pair in wide]


def jackknife(sums_xy: np.ndarray, sums_xx: np.ndarray, sums_yy: np.ndarray, *, level: float = 0.95) -> Interval:
    """Debiased CKA and its interval from the per-trial products, each (trial, ., .)."""
    values = cka_from_hsic(*(hsic_with_left_out(sums) for sums in (sums_xy, sums_xx, sums_yy)))
    return jackknife_interval(values[0], values[1:], level=level)


def hsic_with_left_out(sums: np.ndarray) -> np.ndarray:
    """(1 + trial,) HSIC of all trials, then without each in turn, from the per-trial products (trial, ., .)."""
    total = sums.sum(axis=0)
    return hsic_from_products(np.concatenate([total[None], total[None] - sums]))


def null_orders(lengths: Sequence[int], kind: Null, num: int, rng: np.random.Generator, *, min_shift: int = 250) -> list[np.ndarray]:
    """Reorderings of the joined frames that keep each signal's own dynamics and break the pairing of two signals.

    Args:
        lengths: frames of each trial.
        kind: `circular` shifts the joined frames by a random number, at least `min_shift` from either end. `trial` puts the trials in a
            random order in which none keeps its place: it also keeps what is locked to the time within a trial, and needs 4 trials.
        num: number of draws.
        rng: source of the draws.
        min_shift: frames; 5 s at 50 Hz. Where fewer than 3 times as many frames exist, a quarter of them.

    Returns:
        `num` arrays (frame,) of indices into the joined frames.

    Raises:
        AnalysisError: too few trials for `trial`.
    """
    total = int(np.sum(lengths))
    if kind == "circular":
        least = min(min_shift, total // 4)
        shifts = rng.integers(least, total - least + 1, size=num)
        return [np.roll(np.arange(total), int(shift)) for shift in shifts]
    if len(lengths) < 4:
        raise AnalysisError(f"null by whole trials: {len(lengths)} trials, at least 4 needed; use the circular null.")
    pieces = np.split(np.arange(total), np.cumsum(lengths)[:-1])
    return [np.concatenate([pieces[i] for i in _derangement(len(lengths), rng)]) for _ in range(num)]


def _derangement(num: int, rng: np.random.Generator) -> np.ndarray:
    while True:
        order = rng.permutation(num)
        if not np.any(order == np.arange(num)):
            return order
