"""What the body does, as sets of columns on the frames of a session: forces, joints, poses, movement, at several timescales."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from vrodent.analysis.checks import AnalysisError, check_trials
from vrodent.analysis.session import Session
from vrodent.analysis.wavelets import HIGHEST_FREQUENCY, log_frequencies, morlet_amplitude

BANDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"fast": (5.0, HIGHEST_FREQUENCY), "medium": (1.0, HIGHEST_FREQUENCY), "slow": (0.3, 5.0)}
)
"""Hz. The paper's timescales, with its 25 Hz brought down from the Nyquist frequency to 24."""

BANDED = ("joint_angles", "joint_velocities", "pose")
"""Signals that are also taken apart by timescale."""

MOVEMENT = ("forward", "sideways", "upward", "turning", "height", "pitch", "roll", "head_speed", "head_height")
"""Columns of `movement`: torso velocity along, across (m/s, left positive) and above the heading; rate of turn (rad/s, left positive);
torso height (m); torso pitch (rad, nose up positive) and roll (left side up positive); speed (m/s) and height (m) of the head."""

Signals = Mapping[str, np.ndarray]
"""One trial: set name -> (time, column)."""


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """How signals become feature sets.

    Attributes:
        num_components: leading principal components of the scaled signal that are taken apart by timescale.
        num_frequencies: logarithmically spaced frequencies in each band.
        omega0: of the Morlet wavelet.
        min_duration: s, shortest trial used; one period of the slowest wavelet is 3.3 s.
    """

    num_components: int = 10
    num_frequencies: int = 4
    omega0: float = 5.0
    min_duration: float = 4.0

    def __post_init__(self) -> None:
        for name in ("num_components", "num_frequencies"):
            if getattr(self, name) < 1:
                raise AnalysisError(f"FeatureConfig.{name} must be at least 1, got {getattr(self, name)}.")
        least = 1 / min(low for low, _ in BANDS.values())
        if self.min_duration < least:
            raise AnalysisError(
                f"FeatureConfig.min_duration must be at least {least:.2f} s, one period of the slow band; got {self.min_duration}."
            )


def rotation_matrices(quaternion: np.ndarray) -> np.ndarray:
    """(time, 4) unit quaternions, w first -> (time, 3, 3) rotations from the body's frame to the world's."""
    w, x, y, z = np.moveaxis(quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def pose(keypoints: np.ndarray, torso: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """Keypoints as seen from the torso.

    Args:
        keypoints: (time, keypoint, 3), m, in the world.
        torso: (time, 3), m, in the world.
        quaternion: (time, 4), the torso's orientation, w first.

    Returns:
        (time, 3 * keypoint), m, in the torso's frame: unchanged when the animal is moved or turned as a whole.
    """
    offset = keypoints - torso[:, None]
    return np.einsum("tki,tij->tkj", offset, rotation_matrices(quaternion)).reshape(len(keypoints), -1)


def movement(velocity: np.ndarray, quaternion: np.ndarray, torso: np.ndarray, head: np.ndarray, rate: float) -> np.ndarray:
    """How the animal as a whole moves and is held, the columns of `MOVEMENT`.

    Args:
        velocity: (time, 3), m/s, of the torso, in the world.
        quaternion: (time, 4), the torso's orientation, w first; its x axis points to the nose.
        torso: (time, 3), m, in the world.
        head: (time, 3), m, in the world.
        rate: frames a second, Hz.

    Raises:
        AnalysisError: fewer than 3 frames: there is no derivative.
    """
    check_trials([velocity], "movement", min_frames=3)
    rotation = rotation_matrices(quaternion)
    nose, left = rotation[:, :, 0], rotation[:, :, 1]
    heading = np.unwrap(np.arctan2(nose[:, 1], nose[:, 0]))
    cos, sin = np.cos(heading), np.sin(heading)
    return np.column_stack([
        cos * velocity[:, 0] + sin * velocity[:, 1],
        cos * velocity[:, 1] - sin * velocity[:, 0],
        velocity[:, 2],
        np.gradient(heading) * rate,
        torso[:, 2],
        np.arcsin(np.clip(nose[:, 2], -1, 1)),
        np.arcsin(np.clip(left[:, 2], -1, 1)),
        np.linalg.norm(np.gradient(head, axis=0), axis=1) * rate,
        head[:, 2],
    ])  # fmt: skip


def session_signals(session: Session, trials: Sequence[int]) -> list[dict[str, np.ndarray]]:
    """Signals of the given trials of a session: forces, joint angles and velocities, pose, movement; value and reward where recorded.

    Raises:
        SessionError: the session lacks a series.
    """
    rate = 1 / session.control_step
    needed = {name: session.get(name) for name in ("actuator_forces", "joint_angles", "joint_velocities", "keypoints", "torso_position",
                                                   "torso_orientation", "torso_velocity")}  # fmt: skip
    head = session.keypoint("head")
    out = []
    for trial in trials:
        at = session.frames(trial)
        cut = {name: np.asarray(values[at], dtype=float) for name, values in needed.items()}
        torso, quaternion = cut["torso_position"], cut["torso_orientation"]
        signals = {
            "forces": cut["actuator_forces"],
            "joint_angles": cut["joint_angles"],
            "joint_velocities": cut["joint_velocities"],
            "pose": pose(cut["keypoints"], torso, quaternion),
            "movement": movement(cut["torso_velocity"], quaternion, torso, np.asarray(head[at], dtype=float), rate),
        }
        for name in ("value", "reward"):
            if name in session.series:
                signals[name] = np.asarray(session.get(name)[at], dtype=float).reshape(at.stop - at.start, -1)
        out.append(signals)
    return out


def feature_sets(
    signals: Sequence[Signals], rate: float, config: FeatureConfig | None = None, tick: Callable[[], None] = lambda: None
) -> list[dict[str, np.ndarray]]:
    """Feature sets of many trials on one scale: every column has mean 0 and standard deviation 1 over all trials given.

    The sets are the signals themselves and, for each of `BANDED` and each of `BANDS`, wavelet amplitudes of the signal's leading
    principal components. A column that never varies is left out; a set of which nothing varies is left out whole.

    Args:
        signals: one mapping of (time, column) arrays a trial, of any number of sessions.
        rate: frames a second, Hz.
        config: how.
        tick: called once a trial.

    Returns:
        One mapping of float32 (time, column) arrays a trial.

    Raises:
        AnalysisError: no trials, NaN, or a trial shorter than one period of the slowest wavelet.
    """
    config = config or FeatureConfig()
    if not signals:
        raise AnalysisError("features: 0 trials given, at least 1 needed; record more trials.")
    names = [name for name in signals[0] if all(name in trial for trial in signals)]
    sets: list[dict[str, np.ndarray]] = [{} for _ in signals]
    for name in names:
        for out, values in zip(sets, _standardised([trial[name] for trial in signals], name), strict=True):
            out[name] = values
    bases = {name: _principal_axes([trial[name] for trial in sets], config.num_components) for name in BANDED if name in names}
    for out in sets:
        for name, axes in bases.items():
            out.update(_banded(out[name] @ axes, name, rate, config))
        tick()
    for name in [name for name in sets[0] if name not in names]:
        for out, values in zip(sets, _standardised([trial[name] for trial in sets], name), strict=True):
            out[name] = values
    varying = [name for name in sets[0] if sets[0][name].shape[1]]
    return [{name: out[name].astype(np.float32) for name in varying} for out in sets]


def _banded(components: np.ndarray, name: str, rate: float, config: FeatureConfig) -> dict[str, np.ndarray]:
    frequencies = {band: log_frequencies(low, high, config.num_frequencies) for band, (low, high) in BANDS.items()}
    amplitude = morlet_amplitude(components, np.concatenate(list(frequencies.values())), rate, omega0=config.omega0)
    cut = np.split(amplitude, len(frequencies), axis=2)
    return {f"{name}_{band}": part.reshape(len(components), -1) for band, part in zip(frequencies, cut, strict=True)}


def _standardised(trials: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
    check_trials(trials, name)
    joined = np.concatenate(trials)
    mean, scale = joined.mean(axis=0), joined.std(axis=0)
    varies = scale > 1e-9 * np.maximum(1.0, np.abs(mean))
    return [(trial[:, varies] - mean[varies]) / scale[varies] for trial in trials]


def _principal_axes(trials: Sequence[np.ndarray], num: int) -> np.ndarray:
    """(column, component) leading eigenvectors of the covariance of standardised trials, signs fixed so that reruns agree."""
    covariance = np.sum([trial.T @ trial for trial in trials], axis=0)
    _, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :num]
    largest = np.abs(axes).argmax(axis=0)
    return axes * np.sign(axes[largest, np.arange(axes.shape[1])])
