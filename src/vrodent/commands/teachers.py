"""Which teachers a command means: words on the command line become a teacher at work in each task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vrodent.task import TASK_NAMES
from vrodent.training.teachers.network import Teacher
from vrodent.training.teachers.skills import Role
from vrodent.training.teachers.store import find_teacher, load_teacher
from vrodent.training.teachers.task_teacher import (
    GUIDES,
    ROLES,
    SwitchingTeacher,
    TaskTeacher,
    approaching_teacher,
    righting_teacher,
    task_teachers,
)

SPEEDS = (0.8, 0.5, 0.5, 0.4)
"""m/s at which teachers walk in gaps, forage, bowl and two_tap, unless told otherwise."""


def find_teachers(
    words: Sequence[Path], righting: Path | None, approach: Path | None, speeds: Sequence[float], tasks: Sequence[str],
    strike: float = 0.0,
    calmness: tuple[float, float] = (0.0, 0.0),
    mapless: bool = False,
) -> dict[str, TaskTeacher | SwitchingTeacher]:
    """A teacher for each task.

    Args:
        words: folders or names of packaged teachers; one for all tasks, or one for each of the four.
        righting: the one that brings the rat to its feet in the bowl, and in two_tap where `approach` is given, too; None for nobody.
        approach: the one that walks to the orb of two_tap; None leaves that, too, to its teacher.
        speeds: m/s to walk at in each of the four tasks.
        tasks: for which teachers are wanted.
        strike: m, how near a palm that stays must come to the orb of two_tap for its teacher to be told of a tap; 0 tells of touches only.
        calmness: shares of the label before in labels: of who walks, and of who taps.
        mapless: leave the bowl, once righted, by what a student can tell, not by a map.

    Raises:
        ValueError: neither one teacher nor one a task; a strike or share that is none.
        CheckpointError: no such teacher, or a damaged one.
    """
    if len(words) not in (1, len(TASK_NAMES)):
        raise ValueError(f"give one teacher, or {len(TASK_NAMES)}, for {', '.join(TASK_NAMES)}; got {len(words)}.")
    names = list(words) * (len(TASK_NAMES) // len(words))
    loaded = {name: load_teacher(find_teacher(name)).teacher for name in dict.fromkeys(names)}
    experts = {task: loaded[name] for task, name in zip(TASK_NAMES, names, strict=True)}
    told: dict[str, float] = dict(zip(TASK_NAMES, speeds, strict=True))
    found: dict[str, TaskTeacher | SwitchingTeacher] = dict(
        task_teachers(experts, {task: told[task] for task in tasks}, calmness[0])
    )
    righter = None if righting is None else load_teacher(find_teacher(righting)).teacher
    if righter is not None and "bowl" in found:
        found["bowl"] = righting_teacher(experts["bowl"], righter, told["bowl"], calmness[0], mapless)
    if "two_tap" in found:
        tapper, speed = experts["two_tap"], told["two_tap"]
        if approach is None:
            found["two_tap"] = TaskTeacher(tapper, GUIDES["two_tap"](speed), strike=strike, calmness=calmness[1], role=ROLES["two_tap"])
        else:
            walker = load_teacher(find_teacher(approach)).teacher
            found["two_tap"] = approaching_teacher(walker, tapper, speed, righter, strike, calmness)
    return found


def find_skills(words: Sequence[Path], righting: Path | None, approach: Path | None) -> dict[Role, Teacher]:
    """The teachers whose networks a student is to command, by what they are for.

    Args:
        words: one for each of the four tasks.
        righting: the one that brings the rat to its feet.
        approach: the one that walks to the orb, which has to be that of forage: both are one skill.

    Raises:
        ValueError: one is missing, or there are two to walk.
        CheckpointError: no such teacher, or a damaged one.
    """
    if len(words) != len(TASK_NAMES) or righting is None or approach is None:
        raise ValueError("--skills needs a --teacher for each of the four tasks, --righting and --approach: each is a skill.")
    named = dict(zip(TASK_NAMES, words, strict=True))
    if approach != named["forage"]:
        raise ValueError(f"--skills knows one way to walk: give --approach the teacher of forage, {named['forage']}, not {approach}.")
    by_role = {ROLES[task]: name for task, name in named.items()} | {Role.RISE: righting}
    return {role: load_teacher(find_teacher(name)).teacher for role, name in by_role.items()}
