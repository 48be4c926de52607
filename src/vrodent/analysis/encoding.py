"""Which layers carry which features: debiased CKA of every layer with every feature set, per task and over tasks, with nulls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vrodent.analysis.checks import AnalysisError, check_paired, check_trials
from vrodent.analysis.cka import Null, cka_from_hsic, hsic_from_products, hsic_with_left_out, null_orders, products, widen
from vrodent.analysis.statistics import jackknife_interval, max_corrected, null_p_value

Layers = Mapping[str, np.ndarray]
Features = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class EncodingConfig:
    """How similarity is judged.

    Attributes:
        null: `circular` shifts of the joined frames, `trial` order, or `auto`: `trial` where a session has 8 trials or more.
        num_null: shifted pairings.
        min_shift: s, least circular shift.
        level: coverage of the intervals.
    """

    null: str = "auto"
    num_null: int = 100
    min_shift: float = 5.0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.null not in ("auto", "circular", "trial"):
            raise AnalysisError(f"EncodingConfig.null must be 'auto', 'circular' or 'trial', got {self.null!r}.")
        if self.num_null < 1:
            raise AnalysisError(f"EncodingConfig.num_null must be at least 1, got {self.num_null}.")
        if not 0 < self.level < 1:
            raise AnalysisError(f"EncodingConfig.level must lie between 0 and 1, got {self.level}.")

    def kind(self, num_trials: int) -> Null:
        """The null used for a session of so many trials."""
        if self.null == "auto":
            return "trial" if num_trials >= 8 else "circular"
        return "trial" if self.null == "trial" else "circular"


class Encoding(NamedTuple):
    """CKA of layers with feature sets, in one task or over several.

    Attributes:
        cka: (layer, set).
        low, high: (layer, set), jackknife interval over trials.
        null: (draw, layer, set).
        null_mean, null_high: (layer, set), mean of the null and the value that a twentieth of its draws exceed.
        p_value: (layer, set), one-sided.
        p_corrected: (layer, set), p-values corrected for the number of layers and sets, see `max_corrected`.
        contrast: (layer, set), CKA less that of the first layer; 0 for the first.
        contrast_low, contrast_high: (layer, set), its jackknife interval.
    """

    cka: np.ndarray
    low: np.ndarray
    high: np.ndarray
    null: np.ndarray
    null_mean: np.ndarray
    null_high: np.ndarray
    p_value: np.ndarray
    p_corrected: np.ndarray
    contrast: np.ndarray
    contrast_low: np.ndarray
    contrast_high: np.ndarray


class Moments(NamedTuple):
    """Summed products of widened frames: everything CKA needs of one session.

    Attributes:
        cross: (layer)(set) -> (trial, p + 2, q + 2).
        left: (layer) -> (trial, p + 2, p + 2).
        right: (set) -> (trial, q + 2, q + 2).
        null: (layer)(set) -> (draw, p + 2, q + 2) under shifted pairings.
    """

    cross: list[list[np.ndarray]]
    left: list[np.ndarray]
    right: list[np.ndarray]
    null: list[list[np.ndarray]]


def session_moments(
    layers: Sequence[Layers],
    features: Sequence[Features],
    config: EncodingConfig,
    rng: np.random.Generator,
    rate: float,
    tick: Callable[[], None] = lambda: None,
) -> Moments:
    """Moments of one session.

    Args:
        layers: one mapping layer -> (time, unit) a trial.
        features: one mapping set -> (time, column) a trial, scaled alike in every session that is to be pooled.
        config: how.
        rng: source of the null pairings.
        rate: frames a second, Hz.
        tick: called once a null draw.

    Raises:
        AnalysisError: fewer than 2 trials, frames that do not pair up, or NaN.
    """
    if len(layers) < 2:
        raise AnalysisError(f"encoding: {len(layers)} trial(s), at least 2 needed for an interval over trials; record more trials.")
    for name in layers[0]:
        check_trials([trial[name] for trial in layers], f"activity of {name}", min_frames=4)
    first = next(iter(features[0]))
    activity = [next(iter(trial.values())) for trial in layers]
    check_paired(activity, [trial[first] for trial in features], ("activity", f"features {first!r}"))
    wide_x = [[widen(np.asarray(trial[name], dtype=float)) for trial in layers] for name in layers[0]]
    wide_y = [[widen(np.asarray(trial[name], dtype=float)) for trial in features] for name in features[0]]
    cross = [[_stack(x, y) for y in wide_y] for x in wide_x]
    lengths = [len(trial) for trial in activity]
    orders = null_orders(lengths, config.kind(len(lengths)), config.num_null, rng, min_shift=int(config.min_shift * rate))
    null = _null_products(wide_x, wide_y, orders, tick)
    return Moments(cross, [_stack(x, x) for x in wide_x], [_stack(y, y) for y in wide_y], null)


def _stack(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([products(a, b) for a, b in zip(left, right, strict=True)])


def _null_products(
    wide_x: Sequence[Sequence[np.ndarray]], wide_y: Sequence[Sequence[np.ndarray]], orders: Sequence[np.ndarray], tick: Callable[[], None]
) -> list[list[np.ndarray]]:
    """All layers and all sets in one matrix product a draw."""
    x = np.concatenate([np.concatenate(trials) for trials in wide_x], axis=1)
    y = np.concatenate([np.concatenate(trials) for trials in wide_y], axis=1)
    rows = np.cumsum([trials[0].shape[1] for trials in wide_x])[:-1]
    columns = np.cumsum([trials[0].shape[1] for trials in wide_y])[:-1]
    drawn = []
    for order in orders:
        drawn.append(x[order].T @ y)
        tick()
    stacked = np.stack(drawn)
    return [np.split(part, columns, axis=2) for part in np.split(stacked, rows, axis=1)]


def encoding(sessions: Sequence[Moments], *, level: float = 0.95) -> Encoding:
    """CKA of every layer with every set over the frames of all given sessions.

    The null shifts frames within each session, so over several tasks it keeps what a task's mean activity and mean behaviour share.

    Args:
        sessions: moments of one or more sessions with the same layers and sets.
        level: coverage of the intervals.
    """
    num_layers, num_sets = len(sessions[0].left), len(sessions[0].right)
    left = [np.concatenate([s.left[i] for s in sessions]) for i in range(num_layers)]
    right = [np.concatenate([s.right[j] for s in sessions]) for j in range(num_sets)]
    cross = [[np.concatenate([s.cross[i][j] for s in sessions]) for j in range(num_sets)] for i in range(num_layers)]
    null_sums = [[np.sum([s.null[i][j] for s in sessions], axis=0) for j in range(num_sets)] for i in range(num_layers)]
    hsic_left, hsic_right = (np.stack([hsic_with_left_out(part) for part in side]) for side in (left, right))
    hsic_cross = np.stack([np.stack([hsic_with_left_out(part) for part in row]) for row in cross])
    values = np.moveaxis(cka_from_hsic(hsic_cross, hsic_left[:, None], hsic_right[None]), -1, 0)  # (1 + trial, layer, set)
    null_hsic = np.stack([np.stack([hsic_from_products(part) for part in row]) for row in null_sums])
    null = np.moveaxis(cka_from_hsic(null_hsic, hsic_left[:, None, :1], hsic_right[None, :, :1]), -1, 0)
    interval = jackknife_interval(values[0], values[1:], level=level)
    contrast = values - values[:, :1]
    difference = jackknife_interval(contrast[0], contrast[1:], level=level)
    p_value = np.where(np.isnan(values[0]), np.nan, null_p_value(values[0], null))
    high = np.quantile(null, 0.95, axis=0)
    return Encoding(
        values[0], interval.low, interval.high, null, null.mean(axis=0), high, p_value, max_corrected(values[0], null), *difference
    )
