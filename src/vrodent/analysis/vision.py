"""What the animal saw, from the videos beside a session, as few numbers a frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

FOLDER = "egocentric"
CELLS = 8
"""Brightness is averaged over so many cells along each side of the picture."""

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Luminance of red, green and blue (ITU-R BT.601)."""


def read_brightness(path: Path) -> np.ndarray:
    """(time, cell) float32 mean brightness, 0 to 1, of the cells of every picture of a video, row by row.

    Raises:
        ValueError: it cannot be read, or its pictures do not divide into cells.
    """
    rows = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                rows.append(brightness(np.asarray(frame.to_ndarray(format="rgb24"))))
    except (FFmpegError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a video ({error}); record the session again.") from error
    return np.stack(rows) if rows else np.zeros((0, CELLS * CELLS), np.float32)


def brightness(picture: np.ndarray) -> np.ndarray:
    """(cell,) mean brightness, 0 to 1, of a (height, width, 3) picture of bytes.

    Raises:
        ValueError: a height or width that is no multiple of `CELLS`.
    """
    height, width = picture.shape[:2]
    if height % CELLS or width % CELLS:
        raise ValueError(f"pictures of {width} x {height} do not divide into {CELLS} x {CELLS} cells.")
    cells = picture.reshape(CELLS, height // CELLS, CELLS, width // CELLS, 3).mean(axis=(1, 3), dtype=np.float32)
    return ((cells @ _GREY) / 255).ravel()


def session_vision(folder: Path | None, trials: Sequence[int], lengths: Sequence[int]) -> tuple[list[np.ndarray] | None, str]:
    """Brightness in every frame of the given trials of a session.

    Args:
        folder: of the session; None for one made in memory.
        trials: numbers of the trials.
        lengths: frames of each.

    Returns:
        One (time, cell) array a trial, or None and the reason.
    """
    found = []
    for trial, length in zip(trials, lengths, strict=True):
        path = folder / FOLDER / f"trial_{trial:03d}.mkv" if folder else None
        if path is None or not path.is_file():
            return None, "no video of what the animal saw"
        try:
            seen = read_brightness(path)
        except ValueError as error:
            return None, str(error)
        if len(seen) != length:
            return None, f"the video of trial {trial} has {len(seen)} pictures, the trial {length} frames"
        found.append(seen)
    return found, ""
