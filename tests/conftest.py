"""Settings of the whole suite."""

import os

# Must be set before mujoco or dm_control is first imported; dm_control's environments need OpenGL even without a camera.
os.environ.setdefault("MUJOCO_GL", "egl")
