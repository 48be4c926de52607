"""An ethogram: a label for every frame of a trial, and its bouts, the stretches of one label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vrodent.analysis.checks import AnalysisError


class Bouts(NamedTuple):
    """Stretches of one label, in order and without gaps.

    Attributes:
        start: (bout,) first frame.
        stop: (bout,) one past the last.
        label: (bout,).
    """

    start: np.ndarray
    stop: np.ndarray
    label: np.ndarray


def bouts(labels: np.ndarray, least: int = 1) -> Bouts:
    """Cut one trial's labels into bouts of at least so many frames.

    The shortest stretch below `least` (the first of equals) is given to its longer neighbour (to the earlier of equals), stretches that
    now touch and are alike become one, and so on until none is too short. A trial shorter than `least` is one bout.

    Args:
        labels: (time,) of integers.
        least: fewest frames of a bout.

    Raises:
        AnalysisError: no frames, labels that are not one whole number a frame, or `least` below 1.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iu":
        raise AnalysisError(f"bouts: expected one whole number a frame, got shape {labels.shape} of {labels.dtype}.")
    if least < 1:
        raise AnalysisError(f"bouts: the least duration must be at least 1 frame, got {least}.")
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    lengths = np.diff(edges).tolist()
    kinds = labels[edges[:-1]].tolist()
    while len(lengths) > 1 and min(lengths) < least:
        _absorb(lengths, kinds, lengths.index(min(lengths)))
    stop = np.cumsum(lengths)
    return Bouts(start=stop - lengths, stop=stop, label=np.array(kinds))


def _absorb(lengths: list[int], kinds: list[int], short: int) -> None:
    """Give the stretch `short` to its longer neighbour, and join what is alike."""
    before = lengths[short - 1] if short > 0 else -1
    after = lengths[short + 1] if short + 1 < len(lengths) else -1
    kinds[short] = kinds[short - 1] if before >= after else kinds[short + 1]
    for right in (short + 1, short):
        if 0 < right < len(kinds) and kinds[right - 1] == kinds[right]:
            lengths[right - 1] += lengths.pop(right)
            kinds.pop(right)


def spread_out(bouts_: Bouts) -> np.ndarray:
    """(time,) labels of the frames of bouts."""
    return np.repeat(bouts_.label, bouts_.stop - bouts_.start)
