"""The sizes and choices of one agent."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

IMAGE_SIZE = 64
"""Pixels along each side of the rat's camera image, which has 3 colours of 8 bits."""

# No checkpoint had them before there were skills.
_OF_SKILLS = (
    "skill_widths", "skill_sharpness", "tapping_skill", "homing_skill", "told_size", "told_cases", "told_direction", "told_target",
    "body_size", "num_estimates",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """Everything that decides the shapes and the arithmetic of an `Agent`.

    Attributes:
        num_policy_layers: stacked policy LSTMs, 1 to 3.
        core_size: units of the core LSTM.
        policy_size: units of each policy LSTM.
        skip: the second and third policy LSTM also receive what the first receives. The action is always read from the last layer alone.
        proprioception_size: values of the proprioception vector.
        action_size: actions, one an actuator.
        proprioception_layers: widths of the proprioception encoder's layers.
        image_stem: side of the square pixel patches that the first convolution reads, in pixels; it is also that convolution's stride.
        image_channels: channels of each stage of the image encoder; each later stage halves the resolution.
        image_blocks: residual blocks (two 3x3 convolutions each) of each stage.
        image_features: width of the image encoder's output.
        value_layers: widths of the hidden layers between the core and the value heads.
        num_value_heads: values predicted at once. With PopArt each task has a head of its own; the agent is not told the task, the
            learner picks the head.
        policy_trains_encoders: let the policy's gradient reach the encoders through the shortcut. False is the paper's rule: the
            value function alone trains core and encoders. True helps distillation, whose signal is richer than the value's. The core
            is never trained by the policy.
        action_scale: control per unit of action around the standing posture.
        min_std, max_std, initial_std: bounds and first value of the standard deviation of an action, in units of action.
        skill_widths: units of each skill that the policy commands, see `vrodent.agent.motor`; empty for the paper's policy, which moves
            every actuator itself.
        skill_sharpness: how decidedly: a skill's share is the softmax of this times how strongly it is asked for. At 1, asked for two as
            three to one, a body does what neither would do.
        tapping_skill: number of the one that taps an orb, if what it is told beside the orb's place is to be reckoned from that, see
            `vrodent.agent.tapping`; -1 if all is foretold.
        homing_skill: number of the one whose course, `told_direction`, is reckoned, see `vrodent.agent.compass`; -1 if all are foretold.
        told_size: numbers that a skill is told.
        told_cases: first, and one after the last, of those that say by a one among zeros which of several cases it is. Skills get them
            rounded, see `vrodent.agent.motor`; of none if both are alike.
        told_direction: likewise, of those that are a direction. Skills get it with a length of 1.
        told_target: first of the eight that tell of an orb, of which all but the three of its place are reckoned.
        body_size: numbers that a skill knows of its body: all of proprioception first.
        num_estimates: how many of them are estimated.
    """

    num_policy_layers: int = 3
    core_size: int = 128
    policy_size: int = 128
    skip: bool = True
    proprioception_size: int = 158
    action_size: int = 38
    proprioception_layers: tuple[int, ...] = (256, 128)
    image_stem: int = 4
    image_channels: tuple[int, ...] = (16, 32, 32)
    image_blocks: tuple[int, ...] = (0, 1, 1)
    image_features: int = 128
    value_layers: tuple[int, ...] = (128,)
    num_value_heads: int = 1
    policy_trains_encoders: bool = False
    action_scale: float = 0.5
    min_std: float = 0.03
    max_std: float = 1.0
    initial_std: float = 0.3
    skill_widths: tuple[int, ...] = ()
    skill_sharpness: float = 1.0
    tapping_skill: int = -1
    homing_skill: int = -1
    told_size: int = 54
    told_cases: tuple[int, int] = (0, 0)
    told_direction: tuple[int, int] = (0, 0)
    told_target: int = 0
    body_size: int = 167
    num_estimates: int = 14

    def __post_init__(self) -> None:
        if self.num_policy_layers not in (1, 2, 3):
            raise ValueError(f"AgentConfig.num_policy_layers must be 1, 2 or 3, not {self.num_policy_layers!r}")
        for name in ("core_size", "policy_size", "proprioception_size", "action_size", "image_features", "num_value_heads"):
            _positive(name, getattr(self, name))
        for name in ("proprioception_layers", "image_channels", "value_layers", "skill_widths"):
            for width in getattr(self, name):
                _positive(name, width)
        if not self.proprioception_layers or not self.image_channels:
            raise ValueError("AgentConfig.proprioception_layers and image_channels need at least one layer each")
        if len(self.image_blocks) != len(self.image_channels) or any(count < 0 for count in self.image_blocks):
            raise ValueError(
                f"AgentConfig.image_blocks must hold one count >= 0 for each of the {len(self.image_channels)} stages "
                f"in image_channels, not {self.image_blocks!r}"
            )
        _positive("image_stem", self.image_stem)
        shrink = self.image_stem * 2 ** (len(self.image_channels) - 1)
        if IMAGE_SIZE % shrink:
            raise ValueError(
                f"AgentConfig: image_stem {self.image_stem} and {len(self.image_channels)} stages shrink the image {shrink} times, "
                f"which does not divide {IMAGE_SIZE} pixels"
            )
        if not self.action_scale > 0.0:
            raise ValueError(f"AgentConfig.action_scale must be positive, not {self.action_scale!r}")
        if not 0.0 < self.min_std < self.initial_std < self.max_std:
            raise ValueError(
                "AgentConfig needs 0 < min_std < initial_std < max_std, "
                f"not {self.min_std!r}, {self.initial_std!r}, {self.max_std!r}"
            )

        if self.skill_widths:
            self._check_skills()

    def _check_skills(self) -> None:
        _positive("told_size", self.told_size)
        for name in ("told_cases", "told_direction"):
            part = getattr(self, name)
            if not 0 <= part[0] <= part[1] <= self.told_size:
                raise ValueError(f"AgentConfig.{name} must be a part of the {self.told_size} numbers told, not {part!r}")
        count = len(self.skill_widths)
        if not -1 <= self.tapping_skill < count:
            raise ValueError(f"AgentConfig.tapping_skill must be one of the {count} skills, or -1, not {self.tapping_skill!r}")
        if not -1 <= self.homing_skill < count:
            raise ValueError(f"AgentConfig.homing_skill must be one of the {count} skills, or -1, not {self.homing_skill!r}")
        if self.homing_skill >= 0 and self.told_direction[1] - self.told_direction[0] != 2:
            raise ValueError(f"AgentConfig.homing_skill needs a told_direction of two numbers, not {self.told_direction!r}")
        if self.tapping_skill >= 0 and not 0 <= self.told_target <= self.told_size - 8:
            raise ValueError(f"AgentConfig.told_target {self.told_target!r} must be followed by 7 of the {self.told_size} numbers told")
        if not self.skill_sharpness > 0.0:
            raise ValueError(f"AgentConfig.skill_sharpness must be positive, not {self.skill_sharpness!r}")
        if self.body_size < self.proprioception_size or not 1 <= self.num_estimates <= self.body_size:
            raise ValueError(
                f"AgentConfig.body_size {self.body_size} must hold proprioception's {self.proprioception_size} values, and num_estimates "
                f"{self.num_estimates} be a part of it"
            )

    @property
    def command_size(self) -> int:
        """Numbers that the policy's last layer gives: actions, or how strongly it asks for each skill and what it tells them."""
        return len(self.skill_widths) + self.told_size if self.skill_widths else self.action_size

    @property
    def feature_size(self) -> int:
        """Width of the encoded senses: proprioception's features, then the image's."""
        return self.proprioception_layers[-1] + self.image_features

    def with_skills_of(self, other: AgentConfig) -> AgentConfig:
        """This config, but with the other's skills, or without any as it is."""
        return dataclasses.replace(self, **{name: getattr(other, name) for name in _OF_SKILLS})

    def to_json(self) -> str:
        """One line of JSON that `from_json` turns back into an equal config."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> AgentConfig:
        """Read what `to_json` wrote.

        Raises:
            ValueError: not a JSON object, an unknown or missing field, or a value of a wrong type or range.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError(f"an agent's config must be a JSON object, not {type(fields).__name__}")
        return cls.from_dict(fields)

    @classmethod
    def from_dict(cls, fields: dict[str, object]) -> AgentConfig:
        """As `from_json`, from decoded JSON. Every field must be there, but for those of skills, which earlier agents have none of: a
        default may change between versions."""
        defaults = dataclasses.asdict(cls())
        fields = {name: defaults[name] for name in _OF_SKILLS} | fields
        unknown, missing = sorted(fields.keys() - defaults.keys()), sorted(defaults.keys() - fields.keys())
        if unknown or missing:
            raise ValueError(f"an agent's config with unknown fields {unknown} and missing fields {missing}")
        typed: dict[str, Any] = {name: _typed(name, value, defaults[name]) for name, value in fields.items()}
        return cls(**typed)


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"AgentConfig.{name} must be at least 1, not {value!r}")


def _typed(name: str, value: object, default: object) -> object:
    """`value` as the type of `default`; JSON knows no tuples and may drop a float's point."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, tuple) and isinstance(value, (list, tuple)):
        if all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            return tuple(value)
    elif isinstance(default, bool) or isinstance(value, bool):
        if isinstance(default, bool) and isinstance(value, bool):
            return value
    elif isinstance(default, float) and isinstance(value, (int, float)):
        return float(value)
    elif isinstance(default, int) and whole:
        return value
    raise ValueError(f"AgentConfig.{name} must be a {type(default).__name__}, not {value!r}")
