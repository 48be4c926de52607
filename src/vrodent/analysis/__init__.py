"""Sessions in, arrays and tables out. Imports neither JAX nor MuJoCo."""

from vrodent.analysis.errors import SessionError
from vrodent.analysis.reader import load_session
from vrodent.analysis.session import Events, Series, Session, Trials

__all__ = ["Events", "Series", "Session", "SessionError", "Trials", "load_session"]
