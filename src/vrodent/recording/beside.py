"""Two films of one scene side by side: with and without."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import numpy as np

from vrodent.recording.errors import RecordingError
from vrodent.recording.video import VideoWriter, read_video

_GAP = 8  # pixels of white between them


def side_by_side(left: Path, right: Path, out: Path, rate: float) -> Path:
    """Join two films of one height. Where one ends before the other its last picture stays.

    Args:
        left, right: videos of the same size.
        out: the film to be made, mp4.
        rate: pictures a second.

    Raises:
        RecordingError: a film without pictures, or of another height.
    """
    first: np.ndarray | None = None
    second: np.ndarray | None = None
    with VideoWriter(out, rate, "browser") as writer:
        for one, other in zip_longest(read_video(left), read_video(right)):
            first, second = (one if one is not None else first), (other if other is not None else second)
            if first is None or second is None or first.shape[0] != second.shape[0]:
                shapes = [None if picture is None else picture.shape[:2] for picture in (first, second)]
                raise RecordingError(f"{left} and {right} cannot stand side by side: their pictures are {shapes[0]} and {shapes[1]}.")
            white = np.full((first.shape[0], _GAP, 3), 255, np.uint8)
            writer.add(np.concatenate([first, white, second], axis=1))
    if first is None:
        raise RecordingError(f"{left} and {right} hold no pictures.")
    return out
