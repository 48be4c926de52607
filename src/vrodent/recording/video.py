"""Videos: what the animal sees, without loss, and what a bystander sees, for a browser.

What the animal sees is H.264 in RGB at quantiser 0 (`libx264rgb`, in a Matroska file): it decodes to the very pixels that were given to the
agent. Browsers do not play that; the bystander's is plain H.264 (`yuv420p`, MP4), which all play.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import av
import numpy as np

from vrodent.recording.errors import RecordingError

Kind = Literal["lossless", "browser"]
SUFFIX: dict[Kind, str] = {"lossless": ".mkv", "browser": ".mp4"}


class VideoWriter:
    """Pictures to a file, one by one, in a fixed frame rate.

    Args:
        path: the file to be made.
        rate: frames a second.
        kind: "lossless" keeps every pixel; "browser" looks the same and plays everywhere.
    """

    def __init__(self, path: Path, rate: float, kind: Kind) -> None:
        self._path = path
        self._rate = Fraction(rate).limit_denominator(1000)
        self._kind: Kind = kind
        self._container = av.open(str(path), mode="w")
        self._open = True
        self._stream: av.VideoStream | None = None
        self.num_frames = 0

    def _open_stream(self, height: int, width: int) -> av.VideoStream:
        lossless = self._kind == "lossless"
        stream = self._container.add_stream("libx264rgb" if lossless else "libx264", rate=self._rate)
        stream.width, stream.height = width, height
        stream.pix_fmt = "rgb24" if lossless else "yuv420p"
        stream.options = {"qp": "0", "preset": "veryfast"} if lossless else {"crf": "20", "preset": "veryfast", "movflags": "+faststart"}
        stream.codec_context.thread_count = 1
        return stream

    def add(self, picture: np.ndarray) -> None:
        """Append one picture.

        Args:
            picture: (height, width, 3) uint8, RGB; height and width even, the same for all.

        Raises:
            RecordingError: another shape or type.
            OSError: the disk is full.
        """
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise RecordingError(f"{self._path.name}: a picture must be (height, width, 3) uint8, got {picture.shape} {picture.dtype}.")
        if self._stream is None:
            self._stream = self._open_stream(*picture.shape[:2])
        if picture.shape[:2] != (self._stream.height, self._stream.width):
            raise RecordingError(f"{self._path.name}: picture {self.num_frames} is {picture.shape}, the ones before it were not.")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = self.num_frames
        frame.time_base = 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self.num_frames += 1

    def close(self) -> None:
        """Write what is left and close the file. Harmless a second time."""
        if not self._open:
            return
        self._open = False
        try:
            if self._stream is not None:
                self._container.mux(self._stream.encode())
        finally:
            self._container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read_video(path: Path) -> Iterator[np.ndarray]:
    """The pictures of a video, one by one, (height, width, 3) uint8."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")
