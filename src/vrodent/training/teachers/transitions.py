"""n-step transitions and the ring that holds them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Transitions(NamedTuple):
    """n-step transitions, each field (..., batch) first.

    `reward` is the sum of discounted rewards over the steps, `discount` is gamma**n, or 0 where the episode terminated within them.
    `next_observation` is the observation n steps later, or the final one of a truncated episode.
    """

    observation: Any
    action: Any
    reward: Any
    discount: Any
    next_observation: Any


class _Step(NamedTuple):
    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    practised: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ReplayConfig:
    """Size of the ring.

    Attributes:
        capacity: transitions held; the oldest are overwritten. 1 M of a 260-value observation take 1.2 GB.
        num_steps: length n of the returns.
    """

    capacity: int = 1_000_000
    num_steps: int = 3

    def __post_init__(self) -> None:
        if self.capacity < 1 or self.num_steps < 1:
            raise ValueError(f"capacity and num_steps must be at least 1, got {self.capacity} and {self.num_steps}.")


class TransitionReplay:
    """A ring of n-step transitions from many worlds, observations and actions in half precision.

    Args:
        config: its size.
        observation_size, action_size: values of each.
        gamma: discount per control step.
    """

    def __init__(self, config: ReplayConfig, observation_size: int, action_size: int, gamma: float = 0.99):
        self.config, self.gamma = config, gamma
        shape = (config.capacity,)
        self._observation = np.zeros((*shape, observation_size), np.float16)
        self._action = np.zeros((*shape, action_size), np.float16)
        self._reward = np.zeros(shape, np.float32)
        self._discount = np.zeros(shape, np.float32)
        self._next = np.zeros((*shape, observation_size), np.float16)
        self._recent: deque[_Step] = deque(maxlen=config.num_steps)
        self._cursor = 0
        self.size = 0
        self.inserted = 0

    def add(
        self, observation: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray, truncated: np.ndarray,
        next_observation: np.ndarray, practised: np.ndarray | None = None,
    ) -> None:
        """Take one step of every world; store the n-step transitions that it completes.

        Args:
            observation: (world, observation), what the action was taken in.
            action: (world, action).
            reward: (world,).
            terminated: (world,).
            truncated: (world,).
            next_observation: (world, observation), before any reset: the final one where an episode ended.
            practised: (world,), whether the action moved the rat; nothing is kept of a step where it did not. None: everywhere.
        """
        everywhere = np.ones(len(reward), bool)
        self._recent.append(_Step(observation, action, reward, terminated, truncated, everywhere if practised is None else practised))
        if len(self._recent) < self.config.num_steps:
            return
        total, discount, valid = self._fold(len(reward))
        index = np.flatnonzero(valid)
        where = (self._cursor + np.arange(len(index))) % self.config.capacity
        first = self._recent[0]
        self._observation[where] = first.observation[index]
        self._action[where] = first.action[index]
        self._reward[where] = total[index]
        self._discount[where] = discount[index]
        self._next[where] = next_observation[index]
        self._cursor = int((self._cursor + len(index)) % self.config.capacity)
        self.size = min(self.config.capacity, self.size + len(index))
        self.inserted += len(index)

    def _fold(self, num_worlds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Discounted reward sum, remaining discount, and whether the window is one piece: a window truncated before its last step is left
        out, since the observation to bootstrap from is no longer at hand, and so is one with a step that was not practised."""
        total = np.zeros(num_worlds, np.float32)
        discount = np.ones(num_worlds, np.float32)
        running = np.ones(num_worlds, bool)
        valid = np.ones(num_worlds, bool)
        ended_terminated = np.zeros(num_worlds, bool)
        for i, step in enumerate(self._recent):
            total += np.where(running, discount * step.reward, 0.0)
            discount = np.where(running, discount * np.float32(self.gamma), discount)
            valid &= ~running | step.practised
            if i < self.config.num_steps - 1:
                valid &= ~(running & step.truncated & ~step.terminated)
            ended_terminated |= running & step.terminated
            running &= ~(step.terminated | step.truncated)
        return total, np.where(ended_terminated, np.float32(0.0), discount), valid

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Transitions:
        """Transitions drawn uniformly with replacement, each field (*shape, ...), float32."""
        if self.size == 0:
            raise ValueError("The replay is empty: collect some steps before sampling from it.")
        index = rng.integers(0, self.size, shape)
        return Transitions(
            self._observation.take(index, axis=0).astype(np.float32),
            self._action.take(index, axis=0).astype(np.float32),
            self._reward[index],
            self._discount[index],
            self._next.take(index, axis=0).astype(np.float32),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """What is held, as arrays that `restore` takes back."""
        held = slice(0, self.size)
        return {
            "observation": self._observation[held],
            "action": self._action[held],
            "reward": self._reward[held],
            "discount": self._discount[held],
            "next_observation": self._next[held],
            "cursor": np.array([self._cursor, self.inserted]),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave.

        Raises:
            ValueError: it holds more than this ring, or observations of another size.
            KeyError: an array is missing.
        """
        size = len(arrays["reward"])
        if size > self.config.capacity:
            raise ValueError(f"it holds {size} transitions, and the ring {self.config.capacity}")
        names = ("observation", "action", "reward", "discount", "next_observation")
        for name, ring in zip(names, (self._observation, self._action, self._reward, self._discount, self._next), strict=True):
            if arrays[name].shape[1:] != ring.shape[1:] or len(arrays[name]) != size:
                raise ValueError(f"its {name} has shape {arrays[name].shape}, not {(size, *ring.shape[1:])}")
            ring[:size] = arrays[name]
        self.size = size
        self._cursor, self.inserted = (int(value) for value in arrays["cursor"])
        if self.size < self.config.capacity:
            self._cursor = self.size
        self._recent.clear()
