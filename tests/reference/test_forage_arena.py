"""The mazes are the original's: geometry, materials and variety."""

from __future__ import annotations

from collections import Counter

import labmaze
import mujoco
import numpy as np
import pytest
from dm_control.locomotion.arenas import covering
from scipy import stats
from tests.reference.original import Original

from vrodent.simulation.arena_writer import ArenaWriter
from vrodent.task import get_task, maze

_GEOM_FIELDS = (
    "type", "size", "quat", "contype", "conaffinity", "condim", "group", "margin", "gap", "friction", "solref", "solimp", "priority",
    "solmix", "rgba", "rbound",
)  # fmt: skip
_MATERIAL_FIELDS = ("texrepeat", "texuniform", "rgba", "specular", "shininess", "emission", "reflectance")


def _ours(name: str, tiles: list[str]) -> str:
    return f"floor_{tiles.index(name)}" if name in tiles else name


@pytest.mark.parametrize("seed", [0, 1, 2, 4])
def test_every_geom_of_the_original_is_in_ours_with_the_same_numbers(seed: int) -> None:
    episode = Original("forage", seed)
    task = get_task("forage")
    model = task.spec().compile()
    ArenaWriter(model, task.movable_geoms, task.movable_materials).write(model, episode.arena(model))
    data = mujoco.MjData(model)
    data.qpos[:] = episode.data.qpos
    mujoco.mj_forward(model, data)
    names = [episode.model.geom(i).name for i in range(episode.model.ngeom)]
    tiles = [name for name in names if name.startswith("floor_")]
    compared = []
    for i, name in enumerate(names):
        ours, theirs = model.geom(_ours(name, tiles)), episode.model.geom(i)
        for field in _GEOM_FIELDS:
            same = np.array_equal(getattr(ours, field), getattr(theirs, field))
            # An unused field is 1 where we fill in the original's default and .5 where it does not.
            assert same, (name, field, getattr(ours, field), getattr(theirs, field))
        np.testing.assert_array_equal(data.geom_xpos[ours.id], episode.data.geom_xpos[i], err_msg=name)
        np.testing.assert_array_equal(data.geom_xmat[ours.id], episode.data.geom_xmat[i], err_msg=name)
        compared.append(ours.id)
    spare = np.setdiff1d(np.arange(model.ngeom), compared)
    assert (model.geom_rgba[spare, 3] == 0).all() and (data.geom_xpos[spare, 2] < -5).all()
    assert (np.diff(compared) > 0).all(), "the order of geoms, and so of contacts, is the original's"
    assert model.stat.extent == episode.model.stat.extent
    assert (model.vis.map.znear, model.vis.map.zfar) == (episode.model.vis.map.znear, episode.model.vis.map.zfar)
    for field in ("ambient", "diffuse", "specular"):
        np.testing.assert_array_equal(getattr(model.vis.headlight, field), getattr(episode.model.vis.headlight, field))


@pytest.mark.parametrize("seed", [0, 1])
def test_every_face_has_the_picture_and_repeat_of_the_original(seed: int) -> None:
    episode = Original("forage", seed)
    task = get_task("forage")
    model = task.spec().compile()
    ArenaWriter(model, task.movable_geoms, task.movable_materials).write(model, episode.arena(model))
    theirs = episode.model
    names = [theirs.geom(i).name for i in range(theirs.ngeom)]
    tiles = [name for name in names if name.startswith("floor_")]
    seen = Counter()
    for i, name in enumerate(names):
        if theirs.geom_matid[i] < 0:
            continue
        a, b = model.mat(int(model.geom(_ours(name, tiles)).matid[0])), theirs.mat(int(theirs.geom_matid[i]))
        for field in _MATERIAL_FIELDS:
            if not (field == "rgba" and name.startswith("target_")):  # alpha 0 there where an orb is taken at the start; ours is a Look
                np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=f"{name} {field}")
        np.testing.assert_array_equal(_picture(model, int(a.texid[1])), _picture(theirs, int(b.texid[1])), err_msg=name)
        seen[name.split("_")[0]] += 1
    assert seen["wall*"] >= 30 and seen["floor"] >= 7 and seen["target"] >= 6


def _picture(model: mujoco.MjModel, texture: int) -> np.ndarray:
    shape = model.tex_height[texture], model.tex_width[texture], model.tex_nchannel[texture]
    start = model.tex_adr[texture]
    return model.tex_data[start : start + int(np.prod(shape))].reshape(shape)


def test_covering_equals_dm_controls() -> None:
    for seed in range(300):
        drawn = maze.draw_maze(np.random.default_rng(seed))
        for grid, tokens in ((drawn.entities, "*"), (drawn.variations, ".ABCD")):
            for token in tokens:
                theirs = covering.make_walls(grid, token, make_odd_sized_walls=True)
                assert maze.cover(grid, token) == [(*wall.start, *wall.end) for wall in theirs]


def _orbs_and_walls(entities: np.ndarray) -> tuple[int, int]:
    return int((entities == "G").sum()), int((entities == "*").sum())


def test_fresh_mazes_vary_as_one_regenerated_maze_does() -> None:
    """The original regenerates one maze from episode to episode; we draw each afresh. Two-sample chi-squared tests."""
    number = 1500
    ours = [_orbs_and_walls(maze.draw_maze(np.random.default_rng(seed)).entities) for seed in range(number)]
    original = labmaze.RandomMaze(
        height=11, width=11, max_rooms=4, room_min_size=4, room_max_size=5, spawns_per_room=1, objects_per_room=3, random_seed=12345
    )
    theirs = []
    for _ in range(number):
        original.regenerate()
        theirs.append(_orbs_and_walls(np.array(original.entity_layer)))
    for ours_counted, theirs_counted in zip(map(Counter, zip(*ours, strict=True)), map(Counter, zip(*theirs, strict=True)), strict=True):
        common = [value for value in ours_counted | theirs_counted if ours_counted[value] + theirs_counted[value] >= 10]
        assert len(common) >= 2
        table = [[counted[value] for value in common] for counted in (ours_counted, theirs_counted)]
        assert stats.chi2_contingency(table).pvalue > 1e-3
