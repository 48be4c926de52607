"""Where no picture can be made, the error says what to do; a simulation without camera needs no graphics."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from vrodent.simulation.gl import GlThread

_TRY = """
import vrodent
try:
    vrodent.make("two_tap")
except vrodent.simulation.GraphicsError as error:
    print("caught:", error)
simulation = vrodent.make("two_tap", camera=False)
simulation.reset()
try:
    simulation.render()
except vrodent.simulation.GraphicsError as error:
    print("caught:", error)
"""
_DRAW = """
import numpy, sys, vrodent
simulation = vrodent.make("two_tap", num_worlds=2, num_threads=2)
frames = simulation.reset()["egocentric"]
numpy.save(sys.argv[1], frames)
"""


def _run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key not in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "MUJOCO_EGL_DEVICE_ID")}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "broken",
    [{"MUJOCO_GL": "off"}, {"MUJOCO_GL": "egl", "MUJOCO_EGL_DEVICE_ID": "97"}, {"MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "osmesa"}],
    ids=lambda broken: "-".join(broken.values()),
)
def test_missing_graphics(broken: dict[str, str]) -> None:
    ran = _run(_TRY, **broken)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.strip().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("caught:")
        for hint in ("MUJOCO_GL=osmesa", "libegl1", "vrodent doctor", "camera=False"):
            assert hint in line


def test_back_end_is_chosen_without_a_display_and_ends_quietly(tmp_path: os.PathLike[str]) -> None:
    """Nothing set, no display, contexts left open: it draws, and the interpreter ends without a word."""
    ran = _run(_DRAW, str(tmp_path / "default.npy"), DISPLAY="")  # type: ignore[operator]
    assert (ran.returncode, ran.stderr) == (0, "")


def test_threads_of_one_lane_take_turns_and_those_of_two_do_not():
    """Of threads made one after another, every second shares a lane: one of those waits while the other draws, its neighbour need not."""
    first, second, third = threads = [GlThread(f"test-{i}") for i in range(3)]
    assert first.lane == third.lane != second.lane
    release, begun = threading.Event(), threading.Event()

    def draw() -> None:
        begun.set()
        release.wait(10.0)

    drawing = first.submit(draw)
    assert begun.wait(10.0)
    assert second.submit(lambda: "drawn").result(timeout=10.0) == "drawn"
    waiting = third.submit(lambda: "drawn")
    with pytest.raises(TimeoutError):
        waiting.result(timeout=0.2)
    release.set()
    assert waiting.result(timeout=10.0) == "drawn" and drawing.done()
    for thread in threads:
        thread.stop()


def test_a_job_that_fails_leaves_its_lane_free():
    thread = GlThread("test")
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 // 0)
    assert thread.call(lambda: 1) == 1
    thread.stop()
