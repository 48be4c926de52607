"""Draws what a rat sees with the back end that MUJOCO_GL names and says how that went; run by `vrodent doctor` in a process of its own,
because MuJoCo chooses its back end once and a broken driver can end the process."""

from __future__ import annotations

import time

import numpy as np

from vrodent.simulation import GraphicsError, make


def main() -> None:
    """Draw through the simulation's own camera, and fail when the frame shows nothing.

    Raises:
        SystemExit: the back end does not work, or every pixel has one colour.
    """
    start = time.perf_counter()
    try:
        env = make("two_tap", num_threads=1)
        frame = env.reset()["egocentric"][0]
        env.close()
    except GraphicsError as error:
        raise SystemExit(str(error)) from None
    if frame.std() < 1.0:
        raise SystemExit("the frame is of one colour: the driver draws nothing")
    colours = len(np.unique(frame.reshape(-1, 3), axis=0))
    print(f"the rat's first 64x64 frame after {time.perf_counter() - start:.1f} s, {colours} colours")


if __name__ == "__main__":
    main()
