"""Recorded videos cut and shrunk to what a page can carry."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError

from vrodent.report.errors import ReportError

EGOCENTRIC, THIRD_PERSON = "egocentric", "third_person"
"""Folders that a recording keeps its videos in."""


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """How videos are shrunk.

    Attributes:
        seconds: longest part shown, from the trial's start.
        rate: pictures a second.
        film_width: pixels of the film from outside; it keeps its shape.
        eye_width: pixels of what the rat sees, enlarged without smoothing.
        quality: H.264 constant rate factor, higher is smaller and worse.
    """

    seconds: float = 12.0
    rate: int = 25
    film_width: int = 480
    eye_width: int = 192
    quality: int = 28

    def __post_init__(self) -> None:
        for name in ("film_width", "eye_width"):
            if getattr(self, name) < 16 or getattr(self, name) % 2:
                raise ReportError(f"ClipConfig.{name} must be an even number of pixels, 16 or more; got {getattr(self, name)}.")
        if not self.seconds > 0 or self.rate < 1:
            raise ReportError(f"ClipConfig needs positive seconds and rate, got {self.seconds} and {self.rate}.")


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Videos of one trial as data addresses, "" where there is none, and their sizes in bytes."""

    trial: int
    film: str
    eye: str
    size: int


def first_clips(session: Path, config: ClipConfig) -> Clips | None:
    """The first filmed trial of a session, from outside and through the rat's eyes; None if nothing was filmed.

    Raises:
        ReportError: a video is there but cannot be read.
    """
    films = sorted((session / THIRD_PERSON).glob("trial_*.mp4"))
    eyes = sorted((session / EGOCENTRIC).glob("trial_*.mkv"))
    if not films and not eyes:
        return None
    stem = (films or eyes)[0].stem
    eye_path = next((path for path in eyes if path.stem == stem), None)
    film = shrink(films[0], config, config.film_width) if films else b""
    eye = shrink(eye_path, config, config.eye_width, smooth=False) if eye_path else b""
    return Clips(trial=int(stem.removeprefix("trial_")), film=_address(film), eye=_address(eye), size=len(film) + len(eye))


def shrink(path: Path, config: ClipConfig, width: int, *, smooth: bool = True, start: float = 0.0) -> bytes:
    """A video as MP4 that every browser plays: its first seconds, at the given width and rate.

    Args:
        path: any video.
        config: length, rate and quality.
        width: pixels, even.
        smooth: interpolate when resizing; else repeat pixels.
        start: s, where the part begins.

    Raises:
        ReportError: it cannot be read or holds no pictures.
    """
    buffer = io.BytesIO()
    try:
        with av.open(buffer, mode="w", format="mp4") as target:
            stream: av.VideoStream | None = None
            for count, frame in enumerate(_frames(path, config, start)):
                height = round(frame.height * width / frame.width / 2) * 2
                if stream is None:
                    stream = _stream(target, config, width, height)
                resized = frame.reformat(width=width, height=height, format="yuv420p", interpolation="BICUBIC" if smooth else "POINT")
                resized.pts, resized.time_base = count, Fraction(1, config.rate)
                target.mux(stream.encode(resized))
            if stream is None:
                raise ReportError(f"{path} holds no pictures; record the session again.")
            target.mux(stream.encode())
    except (FFmpegError, OSError) as error:
        raise ReportError(f"{path} cannot be read as a video ({error}); record the session again.") from error
    return buffer.getvalue()


def _frames(path: Path, config: ClipConfig, start: float) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as source:
        rate = float(source.streams.video[0].average_rate or config.rate)
        step = max(1, round(rate / config.rate))
        for i, frame in enumerate(source.decode(video=0)):
            if i / rate >= start + config.seconds:
                return
            if i % step == 0 and i / rate >= start:
                # By way of RGB: converting the lossless video's planes directly would stretch its brightness.
                yield av.VideoFrame.from_ndarray(np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8), format="rgb24")


def _stream(target: OutputContainer, config: ClipConfig, width: int, height: int) -> av.VideoStream:
    stream = target.add_stream("libx264", rate=config.rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.options = {"crf": str(config.quality), "preset": "faster", "movflags": "+faststart"}
    stream.codec_context.thread_count = 1
    return stream


def video_address(path: Path, config: ClipConfig, width: int) -> str:
    """A video, shrunk, as a data address.

    Raises:
        ReportError: it cannot be read or holds no pictures.
    """
    return _address(shrink(path, config, width))


def _address(video: bytes) -> str:
    return "data:video/mp4;base64," + base64.b64encode(video).decode() if video else ""


def video_part(path: Path, config: ClipConfig, width: int, start: float, *, smooth: bool = True) -> str:
    """A part of a video, shrunk, as a data address; "" if the video ends before it.

    Raises:
        ReportError: it cannot be read.
    """
    try:
        with av.open(str(path)) as source:
            length = float(source.duration or 0) / av.time_base
    except (FFmpegError, OSError) as error:
        raise ReportError(f"{path} cannot be read as a video ({error}); record the session again.") from error
    return _address(shrink(path, config, width, smooth=smooth, start=start)) if length - start > 0.3 else ""
