"""What can go wrong while a session is recorded."""


class RecordingError(RuntimeError):
    """A session could not be recorded or written. Nothing is left under the output's name. The message says what to do."""
