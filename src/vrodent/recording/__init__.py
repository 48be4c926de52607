"""Runs an agent through trials, perturbed or not, and writes a session."""

from vrodent.recording.errors import RecordingError
from vrodent.recording.record import RecordConfig, record
from vrodent.recording.rollout import Listener, RecordingProgress, VideoConfig
from vrodent.recording.schedule import Moment, Scheduled, Window, Within

__all__ = [
    "Listener",
    "Moment",
    "RecordConfig",
    "RecordingError",
    "RecordingProgress",
    "Scheduled",
    "VideoConfig",
    "Window",
    "Within",
    "record",
]
