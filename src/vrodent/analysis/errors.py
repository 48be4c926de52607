"""What can be wrong with what the analysis is given."""


class SessionError(RuntimeError):
    """A session is missing, truncated, not a session, or lacks what was asked of it. The message says which and what to do."""
