"""Teachers on disk, and the runs that make them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from vrodent.training.lineage import Stage, stage_from_json
from vrodent.training.teachers.network import Teacher, TeacherConfig
from vrodent.training.teachers.reach import critic_with_reach, teacher_with_reach
from vrodent.training.tree_folder import MARKER, CheckpointError, located, read_config, read_tree, write_folder

if TYPE_CHECKING:
    from vrodent.training.teachers.teach import Schooling

_TEACHER, _CRITIC, _REPLAY = "teacher", "critic", "replay"

PACKAGED = Path(__file__).parent / "shipped"
"""Where the teachers that come with the package lie."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredTeacher:
    """A teacher that was read and found whole, with its lineage, oldest stage first, and the numbers saved beside it."""

    teacher: Teacher
    lineage: tuple[Stage, ...]
    numbers: Mapping[str, float | int | str]


def save_teacher(
    path: Path,
    teacher: Teacher,
    *,
    lineage: Sequence[Stage],
    numbers: Mapping[str, float | int | str],
    trees: Mapping[str, object] | None = None,
) -> Path:
    """Write a teacher, whole or not at all.

    Args:
        path: the folder to make or replace.
        teacher: the networks.
        lineage: the stages that made it, oldest first.
        numbers: for a reader.
        trees: what a run needs to go on, by name.

    Raises:
        CheckpointError: the disk is full or the place not writable; nothing has changed then.
    """
    about = {
        "network": dataclasses.asdict(teacher.config),
        "lineage": [dataclasses.asdict(stage) for stage in lineage],
        "numbers": dict(numbers),
    }
    return write_folder(path, about, {_TEACHER: teacher, **(trees or {})})


def load_teacher(path: str | Path) -> StoredTeacher:
    """Read a teacher.

    Raises:
        CheckpointError: nothing there, no teacher, or not whole.
    """
    folder = located(Path(path).absolute())
    config = read_config(folder)
    try:
        network = TeacherConfig(**config["network"])
        lineage = tuple(stage_from_json(stage) for stage in config["lineage"])
        numbers = dict(config["numbers"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder} holds no teacher of this version of vrodent: {error!r}. Give a teacher's folder.") from error
    teacher = read_tree(folder, config, _TEACHER, Teacher(jax.random.key(0), network))
    return StoredTeacher(teacher=teacher, lineage=lineage, numbers=numbers)


def find_teacher(name_or_path: str | Path) -> Path:
    """The folder of a packaged teacher's name or of a path; a packaged name wins.

    Raises:
        CheckpointError: neither; lists the packaged ones.
    """
    packaged = PACKAGED / str(name_or_path)
    if (packaged / MARKER).is_file():
        return packaged
    if Path(name_or_path).exists():
        return Path(name_or_path)
    names = sorted(marker.parent.name for marker in PACKAGED.glob(f"*/{MARKER}"))
    raise CheckpointError(
        f"there is no teacher {str(name_or_path)!r}: no packaged one ({', '.join(names) or 'there are none'}) and no folder. "
        "Train one by `vrodent teach`."
    )


def start_from(run: Schooling, folder: Path) -> tuple[Stage, ...]:
    """Give a fresh run the networks and the normalisation of a stored teacher, taken to the run's reach. Its optimisers and its replay are
    empty: it first collects `warm_up` transitions with what it has.

    Returns:
        the lineage of the stored teacher.

    Raises:
        CheckpointError: nothing there, not whole, or other networks.
    """
    stored = load_teacher(folder)
    before, after = stored.teacher.config.action_scale, run.network.action_scale
    if dataclasses.replace(stored.teacher.config, action_scale=after) != run.network:
        raise CheckpointError(f"{folder} holds a teacher of other sizes: {stored.teacher.config} instead of {run.network}.")
    teacher = stored.teacher if before == after else teacher_with_reach(stored.teacher, after)
    config = read_config(located(Path(folder).absolute()))
    variables = run.variables._replace(actor=teacher.actor)
    if _CRITIC in config["files"]:
        critic = read_tree(located(Path(folder).absolute()), config, _CRITIC, run.variables.critic)
        critic = critic if before == after else critic_with_reach(critic, before, after)
        variables = variables._replace(critic=critic, target_critic=jax.tree.map(jnp.array, critic))
    run.variables = variables
    run.moments.mean = np.asarray(teacher.observation_mean, np.float64)
    run.moments.variance = np.asarray(teacher.observation_variance, np.float64)
    run.moments.count = float(run.config.moments_steps)
    return stored.lineage


def save_run(run: Schooling, out: Path, *, replay: bool = True) -> None:
    """Save all that a run needs to go on. The replay, a gigabyte or two, is written at the end only.

    Raises:
        CheckpointError: the disk is full or the place not writable; what was saved before is whole.
    """
    trees = {
        _CRITIC: run.variables.critic,
        "learning": run.variables,
        "moments": {"count": run.moments.count, "mean": run.moments.mean, "variance": run.moments.variance},
        "practice": [{"difficulty": g.difficulty, "top_speed": g.top_speed} for g in run.classroom.grounds],
    }
    numbers = {"steps": run.steps, "seconds": run.seconds}
    save_teacher(out / _TEACHER, run.teacher(), lineage=run.lineage(), numbers=numbers, trees=trees)
    if replay:
        try:
            _save_replay(run.replay.arrays(), out)
        except OSError as error:
            raise CheckpointError(f"cannot write the replay in {out}: {error.strerror or error}. The teacher itself is saved.") from error


def _save_replay(arrays: Mapping[str, np.ndarray], out: Path) -> None:
    folder = out / _REPLAY
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        fresh = folder / f"{name}.npy.new"
        with fresh.open("wb") as file:
            np.lib.format.write_array(file, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    for name in arrays:
        (folder / f"{name}.npy.new").replace(folder / f"{name}.npy")


def load_run(run: Schooling, out: Path) -> None:
    """Take up a saved run in a freshly made one of the same settings.

    Raises:
        CheckpointError: nothing there, not whole, or of other settings.
    """
    folder = located((out / _TEACHER).absolute())
    config = read_config(folder)
    run.variables = read_tree(folder, config, "learning", run.variables)
    moments = read_tree(
        folder, config, "moments", {"count": run.moments.count, "mean": run.moments.mean, "variance": run.moments.variance}
    )
    run.moments.count, run.moments.mean, run.moments.variance = moments["count"], moments["mean"], moments["variance"]
    practice = read_tree(
        folder, config, "practice", [{"difficulty": g.difficulty, "top_speed": g.top_speed} for g in run.classroom.grounds]
    )
    for ground, stored in zip(run.classroom.grounds, practice, strict=True):
        ground.difficulty[:] = stored["difficulty"]
        ground.top_speed[:] = stored["top_speed"]
    run.origin = tuple(stage_from_json(stage) for stage in config["lineage"])[:-1]
    run.steps, run.seconds = int(config["numbers"]["steps"]), float(config["numbers"]["seconds"])
    stored = {path.stem: np.load(path, allow_pickle=False) for path in sorted((out / _REPLAY).glob("*.npy"))}
    if stored:
        try:
            run.replay.restore(stored)
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"the replay in {out / _REPLAY} is not this run's: {error}. Remove it to go on without.") from error


def config_json(config: object) -> str:
    """A config dataclass as JSON."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"  # type: ignore[call-overload]
