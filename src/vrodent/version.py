"""The version of this code, and the Python versions it runs on."""

from __future__ import annotations

import sys

__version__ = "0.1.0"


def require_supported_python(version: tuple[int, ...] = tuple(sys.version_info[:2])) -> None:
    """Stop on a Python that cannot run this package, before an import fails for a reason nobody could guess.

    Raises:
        ImportError: the version is not 3.11 or 3.12; says what to do.
    """
    if not (3, 11) <= tuple(version[:2]) < (3, 13):
        raise ImportError(
            f"vrodent runs on Python 3.11 and 3.12; this is {version[0]}.{version[1]}. labmaze, which draws the mazes, is not built for "
            "others. Make an environment with one of them, for example: uv venv --python 3.12 .venv "
            "(or: make study PYTHON=/path/to/python3.12)."
        )
