"""What can be wrong with a session."""


class SessionError(ValueError):
    """A session is missing, damaged, or lacks what was asked of it; the message says which, where, and what to do."""
