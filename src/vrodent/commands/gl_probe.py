"""Draws one frame of the rat with the back end that MUJOCO_GL names and prints how that went; run by `vrodent doctor` in a process of its
own, because MuJoCo chooses its back end when it is imported and a broken driver can end the process."""

from __future__ import annotations

import time

import mujoco
import numpy as np

from vrodent.body import add_rat, arena_spec
from vrodent.body.rat import PREFIX


def draw() -> np.ndarray:
    """One egocentric-sized frame of a rat on a floor, (64, 64, 3) uint8."""
    spec = arena_spec()
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1.0, 1.0, 0.1], rgba=[0.2, 0.6, 0.2, 1.0])
    spec.worldbody.add_light(pos=[0.0, 0.0, 2.0], castshadow=False)
    add_rat(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, height=64, width=64) as renderer:
        renderer.update_scene(data, camera=f"{PREFIX}egocentric")
        renderer.render()
        start = time.perf_counter()
        frame = renderer.render()
        print(f"a 64x64 frame in {1e3 * (time.perf_counter() - start):.1f} ms, {len(np.unique(frame.reshape(-1, 3), axis=0))} colours")
    return frame


def main() -> None:
    """Draw, and fail when the frame shows nothing.

    Raises:
        SystemExit: every pixel has one colour.
    """
    if draw().std() < 1.0:
        raise SystemExit("the frame is of one colour: the driver draws nothing")


if __name__ == "__main__":
    main()
