# optax names its arguments "trees of arrays", which an equinox module is, and pyright cannot know.
from typing import Any

def __getattr__(name: str) -> Any: ...
