"""Every series that a session holds, once: its name, its columns, its unit, what it means and where in the NWB file it lies.

A session's frame `t` is the moment before action `t`: the posture and the senses on which the action was chosen, the activity of the units
on sensing them, the action, and the reward that followed. Forces are those of the last physics step that led to the posture.

| place | NWB object |
|---|---|
| acquisition | `acquisition/<name>`, a TimeSeries |
| behavior | `processing/behavior/BehavioralTimeSeries/<name>`, a TimeSeries |
| position | `processing/behavior/Position/<name>`, a SpatialSeries |
| pose | `processing/behavior/PoseEstimation/<keypoint>`, an ndx-pose PoseEstimationSeries for each keypoint |

The names of the columns of every series are the rows of the table `processing/misc/series_columns`; units are also in `network_units`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vrodent.body import PROPRIOCEPTION

Place = Literal["acquisition", "behavior", "position", "pose"]
Axis = Literal["joint", "actuator", "tendon", "paw", "sense", "keypoint", "qpos", "qvel", "xyz", "wxyz", "head", "unit"]

RATE = 50.0
"""Frames a second."""

EVENTS_TABLE = "task_events"
UNITS_TABLE = "network_units"
COLUMNS_TABLE = "series_columns"
VIDEO_SERIES = "egocentric_video"


@dataclass(frozen=True, kw_only=True)
class SeriesSpec:
    """One series.

    Attributes:
        name: its name in the file and in `analysis.Session.series`.
        axis: what its columns are; None for one value a frame.
        unit: SI unit, "1" for a pure number, "various" where the table of columns gives each.
        description: what a person should know of it.
        place: where in the file, see above.
    """

    name: str
    axis: Axis | None
    unit: str
    description: str
    place: Place


AGENT_SERIES: tuple[SeriesSpec, ...] = (
    SeriesSpec(name="action_mean", axis="actuator", unit="1", place="acquisition",
               description="mean of the policy's Gaussian, before it is centred on standing"),
    SeriesSpec(name="action", axis="actuator", unit="1", place="acquisition",
               description="action taken: a sample of that Gaussian, or its mean in a deterministic recording"),
    SeriesSpec(name="ctrl", axis="actuator", unit="1", place="acquisition",
               description="control given to the actuators, in [-1, 1]: the action centred on standing and clipped"),
    SeriesSpec(name="value", axis="head", unit="1", place="acquisition",
               description="the agent's estimate of the discounted rewards to come, as each of its value heads gives it"),
    SeriesSpec(name="reward", axis=None, unit="1", place="acquisition", description="reward of the control step that starts at this frame"),
)
"""What the agent did."""

BODY_SERIES: tuple[SeriesSpec, ...] = (
    SeriesSpec(name="qpos", axis="qpos", unit="various", place="behavior",
               description="MuJoCo's generalised position: torso position (m), torso quaternion (1), then every joint angle (rad)"),
    SeriesSpec(name="qvel", axis="qvel", unit="various", place="behavior",
               description="MuJoCo's generalised velocity: torso linear (m/s) and angular (rad/s), then every joint (rad/s)"),
    SeriesSpec(name="joint_angles", axis="joint", unit="rad", place="behavior", description="angle of each directly driven joint"),
    SeriesSpec(name="joint_velocities", axis="joint", unit="rad/s", place="behavior", description="its velocity"),
    SeriesSpec(name="joint_torques", axis="joint", unit="N*m", place="behavior",
               description="torque of the actuators on each directly driven joint (MuJoCo's qfrc_actuator)"),
    SeriesSpec(name="actuator_forces", axis="actuator", unit="N*m", place="behavior",
               description="force of each actuator on its joint or tendon; a tendon here is a sum of angles, so the force is a torque"),
    SeriesSpec(name="tendon_lengths", axis="tendon", unit="rad", place="behavior",
               description="length of each tendon (a sum of joint angles) of spine, neck and tail"),
    SeriesSpec(name="touch", axis="paw", unit="N", place="behavior",
               description="force on each paw's touch sensor; the animal feels only whether it exceeds 1 mN"),
    SeriesSpec(name="accelerometer", axis="xyz", unit="m/s^2", place="behavior",
               description="linear acceleration of the head with gravity, in the head's frame"),
    SeriesSpec(name="gyro", axis="xyz", unit="rad/s", place="behavior", description="angular velocity of the head, in its frame"),
    SeriesSpec(name="velocimeter", axis="xyz", unit="m/s", place="behavior", description="linear velocity of the head, in its frame"),
    SeriesSpec(name="torso_velocity", axis="xyz", unit="m/s", place="behavior",
               description="linear velocity of the torso and all it carries (its subtree), in the world: the gaps task rewards x"),
    SeriesSpec(name="torso_orientation", axis="wxyz", unit="1", place="behavior",
               description="orientation of the torso in the world, a unit quaternion"),
    SeriesSpec(name="proprioception", axis="sense", unit="various", place="behavior",
               description="everything the animal feels, as it was given to the agent"),
    SeriesSpec(name="torso_position", axis="xyz", unit="m", place="position", description="position of the torso in the world, z up"),
    SeriesSpec(name="keypoints", axis="keypoint", unit="m", place="pose",
               description="positions of the named points of the body in the world, z up"),
)
"""What the body did and felt."""

STANDARD_SERIES = AGENT_SERIES + BODY_SERIES

TASK_SERIES: Mapping[str, tuple[SeriesSpec, ...]] = {
    "two_tap": (
        SeriesSpec(name="orb_pos", axis="xyz", unit="m", place="position", description="position of the orb's centre in the world, z up"),
    ),
    "bowl": (
        SeriesSpec(name="distance", axis=None, unit="m", place="behavior", description="distance of the head from the bowl's centre"),
        SeriesSpec(name="upright", axis=None, unit="1", place="behavior",
                   description="uprightness of torso and pelvis in [0, 1], 1 where both tilt by less than 30 degrees"),
    ),
}  # fmt: skip
"""What a task alone has, taken from the event fields of the control step that starts at the frame."""

KEYPOINTS: tuple[tuple[str, str, str], ...] = (
    ("nose", "geom", "skull_T0_collision"),
    ("head", "body", "skull"),
    ("neck", "body", "vertebra_axis"),
    ("torso", "body", "torso"),
    ("spine", "body", "vertebra_3"),
    ("pelvis", "body", "pelvis"),
    ("tail_base", "body", "vertebra_C1"),
    ("tail_middle", "body", "vertebra_C15"),
    ("tail_tip", "body", "vertebra_C30"),
    *((f"{point}_{side}", kind, f"{name}_{side}")
      for side in "LR"
      for point, kind, name in (
          ("shoulder", "body", "upper_arm"), ("elbow", "body", "lower_arm"), ("wrist", "body", "hand"), ("forepaw", "site", "palm"),
          ("hip", "body", "upper_leg"), ("knee", "body", "lower_leg"), ("ankle", "body", "foot"), ("hindpaw", "site", "sole"))),
)  # fmt: skip
"""Name of each keypoint, and kind (`body`, `site`, `geom`) and name of the part of the model it is the centre of.

A limb body's centre is the joint it hangs from.
"""

KEYPOINT_NAMES: tuple[str, ...] = tuple(name for name, _, _ in KEYPOINTS)

SKELETON: tuple[tuple[str, str], ...] = (
    ("nose", "head"), ("head", "neck"), ("neck", "torso"), ("torso", "spine"), ("spine", "pelvis"),
    ("pelvis", "tail_base"), ("tail_base", "tail_middle"), ("tail_middle", "tail_tip"),
    *((f"{a}_{side}" if a != "torso" and a != "pelvis" else a, f"{b}_{side}")
      for side in "LR"
      for a, b in (("torso", "shoulder"), ("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "forepaw"),
                   ("pelvis", "hip"), ("hip", "knee"), ("knee", "ankle"), ("ankle", "hindpaw"))),
)  # fmt: skip
"""Pairs of keypoints joined by a bone."""

PAWS = ("palm_L", "palm_R", "sole_L", "sole_R")
SENSE_COLUMNS: tuple[tuple[str, str], ...] = tuple(
    (f"{sense.name}:{column}" if sense.size > 1 else sense.name, sense.unit) for sense in PROPRIOCEPTION for column in range(sense.size)
)
"""Name and unit of each value of the proprioception vector."""

FIXED_COLUMNS: Mapping[Axis, tuple[str, ...]] = {
    "paw": PAWS,
    "xyz": ("x", "y", "z"),
    "wxyz": ("w", "x", "y", "z"),
    "sense": tuple(name for name, _ in SENSE_COLUMNS),
    "keypoint": KEYPOINT_NAMES,
}
"""Columns that no model is needed to name; the others (`joint`, `actuator`, `tendon`, `qpos`, `qvel`, `head`) come with the recorded body
and agent."""


def activity_series(layer: str) -> tuple[SeriesSpec, SeriesSpec]:
    """The two series of a layer: output `h` and cell state `c` of its LSTM."""
    meaning = {"h": "output", "c": "cell state"}
    hidden, cell = (
        SeriesSpec(name=f"activity_{layer}_{variable}", axis="unit", unit="1", place="acquisition",
                   description=f"{meaning[variable]} of every unit of the layer {layer}, after it sensed this frame")
        for variable in ("h", "c")
    )  # fmt: skip
    return hidden, cell


def unit_ids(layer: str, size: int) -> tuple[str, ...]:
    """Stable names of a layer's units, as `core:17`."""
    return tuple(f"{layer}:{unit}" for unit in range(size))


def column_unit(spec: SeriesSpec, column: int) -> str:
    """SI unit of one column of a series."""
    if spec.unit != "various":
        return spec.unit
    if spec.axis == "sense":
        return SENSE_COLUMNS[column][1]
    return ("m", "1", "rad")[(column >= 3) + (column >= 7)] if spec.axis == "qpos" else ("m/s", "rad/s")[column >= 3]
