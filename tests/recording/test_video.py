from __future__ import annotations

import av
import numpy as np
import pytest

from vrodent.recording import RecordingError
from vrodent.recording.video import VideoWriter, read_video


def _pictures(count: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_lossless_returns_every_pixel(tmp_path):
    pictures = _pictures(30)
    with VideoWriter(tmp_path / "eye.mkv", 50.0, "lossless") as video:
        for picture in pictures:
            video.add(picture)
    assert np.array_equal(np.stack(list(read_video(tmp_path / "eye.mkv"))), pictures)


def test_time_of_each_picture(tmp_path):
    with VideoWriter(tmp_path / "eye.mkv", 50.0, "lossless") as video:
        for picture in _pictures(10):
            video.add(picture)
    with av.open(str(tmp_path / "eye.mkv")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert np.allclose(times, np.arange(10) / 50.0, atol=5e-4)  # Matroska counts in ms


def test_browser_video_looks_the_same_and_is_what_browsers_play(tmp_path):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    picture = np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64)), np.full((64, 64), 90, np.uint8)], axis=2)
    with VideoWriter(tmp_path / "film.mp4", 25.0, "browser") as video:
        for _ in range(5):
            video.add(picture)
    with av.open(str(tmp_path / "film.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 25)
    shown = np.stack(list(read_video(tmp_path / "film.mp4"))).astype(float)
    assert shown.shape == (5, 64, 64, 3)
    assert np.abs(shown - picture).mean() < 4.0


@pytest.mark.parametrize("picture", [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3)), np.zeros((64, 64, 4), np.uint8)])
def test_not_a_picture(tmp_path, picture):
    with VideoWriter(tmp_path / "eye.mkv", 50.0, "lossless") as video, pytest.raises(RecordingError, match="uint8"):
        video.add(picture)


def test_another_size(tmp_path):
    with VideoWriter(tmp_path / "eye.mkv", 50.0, "lossless") as video:
        video.add(np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(RecordingError, match="picture 1"):
            video.add(np.zeros((32, 64, 3), np.uint8))
