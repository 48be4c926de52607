"""vrodent: a virtual-rodent laboratory.

    env = vrodent.make("gaps", num_worlds=64, seed=0)
    observation = env.reset()
    step = env.step(action)
    agent = vrodent.load_agent("four-tasks")
    session = vrodent.load_session(vrodent.record(agent, "two_tap", trials=25, seed=0, out="sessions"))

Each name is imported when it is first used, so that `import vrodent` is fast and an analysis never loads the simulator.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vrodent.registration import register_environments
from vrodent.version import __version__, require_supported_python

require_supported_python()
register_environments()

if TYPE_CHECKING:
    from vrodent.analysis import load_session
    from vrodent.recording import record
    from vrodent.simulation import dm_env, make
    from vrodent.training import load_agent

__all__ = ["__version__", "dm_env", "load_agent", "load_session", "make", "record"]

_ROOM_OF = {
    "make": "vrodent.simulation",
    "dm_env": "vrodent.simulation",
    "load_agent": "vrodent.training",
    "record": "vrodent.recording",
    "load_session": "vrodent.analysis",
}


def __getattr__(name: str) -> Any:
    """Import one of the public functions from its room.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'vrodent' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_ROOM_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOM_OF])
