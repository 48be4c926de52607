# Warp builds its types when it runs; its names are taken on trust here and checked when the tests run.
from typing import Any

def __getattr__(name: str) -> Any: ...
