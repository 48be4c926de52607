"""What can go wrong while a page is made."""


class ReportError(RuntimeError):
    """A page could not be made; the message says why and what to do. No half page is left."""
