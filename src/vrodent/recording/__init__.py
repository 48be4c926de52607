"""Runs an agent through trials, perturbed or not, and writes a session."""

from vrodent.recording.errors import RecordingError
from vrodent.recording.record import RecordConfig, record
from vrodent.recording.rollout import Listener, RecordingProgress, VideoConfig

__all__ = ["Listener", "RecordConfig", "RecordingError", "RecordingProgress", "VideoConfig", "record"]
