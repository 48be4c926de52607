"""The rat: its model, its named parts, its senses and its standing posture. Knows no task."""

from vrodent.body.index import RatIndex
from vrodent.body.rat import add_rat, arena_spec, rat_asset
from vrodent.body.senses import PROPRIOCEPTION, PROPRIOCEPTION_SIZE, Sense, proprioception, sense_slices
from vrodent.body.stance import standing_ctrl

__all__ = [
    "PROPRIOCEPTION",
    "PROPRIOCEPTION_SIZE",
    "RatIndex",
    "Sense",
    "add_rat",
    "arena_spec",
    "proprioception",
    "rat_asset",
    "sense_slices",
    "standing_ctrl",
]
