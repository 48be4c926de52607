# MuJoCo's compiled modules carry no type information; its names are taken on trust here and checked when the tests run.
from typing import Any

from . import batch as batch

def __getattr__(name: str) -> Any: ...
