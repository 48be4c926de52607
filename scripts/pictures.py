"""Draw the pictures of the documentation: each task from outside, and what the rat sees. Writes docs/images/TASK.jpg.

usage: python scripts/pictures.py
"""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
from PIL import Image

import vrodent
import vrodent.simulation
from vrodent.task import TASK_NAMES

ROOT = Path(__file__).resolve().parents[1]
SEEDS = {"gaps": 3, "forage": 2, "bowl": 5, "two_tap": 4}
VIEWS = {"gaps": (2.1, 35.0, -24.0), "forage": (2.4, 60.0, -48.0), "bowl": (2.5, 30.0, -14.0), "two_tap": (1.3, 60.0, -16.0)}
"""Distance in m, azimuth and elevation in degrees, of the camera. It looks at the rat; in two_tap between rat and orb, in gaps ahead."""


def camera_of(env: vrodent.simulation.CpuSimulation) -> mujoco.MjvCamera:
    """The camera of `VIEWS`."""
    camera = mujoco.MjvCamera()
    camera.distance, camera.azimuth, camera.elevation = VIEWS[env.task.name]
    camera.lookat = env.physics.fields.xpos[0, env.index.torso]
    if env.task.name == "two_tap":
        camera.lookat = (camera.lookat + env.arenas.targets[0, 0]) / 2
    elif env.task.name == "gaps":
        camera.lookat = camera.lookat + np.array([0.7, 0.0, 0.0])
    return camera


def draw(task: str, width: int = 400, height: int = 300) -> Image.Image:
    """The standing rat in one arena, from outside, with its view in the corner."""
    env = vrodent.make(task, seed=SEEDS[task], shadows=True)
    try:
        observation = env.reset()
        for _ in range(25):
            observation = env.step(env.standing_ctrl[None]).observation
        picture = Image.fromarray(env.render(0, camera=camera_of(env), width=width, height=height))
        eye = Image.fromarray(np.asarray(observation["egocentric"][0])).resize((112, 112), Image.Resampling.NEAREST)
    finally:
        env.close()
    picture.paste((255, 255, 255), (width - 118, 6, width - 4, 120))
    picture.paste(eye, (width - 117, 7))
    return picture


def main() -> None:
    """Draw and save all of them."""
    folder = ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    for task in TASK_NAMES:
        draw(task).save(folder / f"{task}.jpg", quality=85)


if __name__ == "__main__":
    main()
