# docval builds these classes when they are imported; there is nothing to check before the tests run.
from typing import Any

def __getattr__(name: str) -> Any: ...
