"""Forage: mazes from a seed, orbs counted once, an ending."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from scipy import stats

from vrodent.simulation import CpuSimulation
from vrodent.simulation.arena_writer import ArenaWriter
from vrodent.task import Arena, get_task, maze, stack_arenas
from vrodent.task.forage import MAX_ORBS, MAX_TILES, MAX_WALLS, Forage

TASK = Forage()


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return TASK.spec().compile()


def _draw(model: mujoco.MjModel, seed: int) -> Arena:
    return TASK.draw(np.random.default_rng(seed), model)


def _arrays(arena: Arena) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in vars(arena).items() if value is not None}


def test_one_seed_twice_gives_the_same_bytes_and_two_seeds_differ(model: mujoco.MjModel) -> None:
    np.random.seed(0)  # noqa: NPY002 - the global generator must have no say
    first = _arrays(_draw(model, 3))
    np.random.seed(1)  # noqa: NPY002
    again, other = _arrays(_draw(model, 3)), _arrays(_draw(model, 4))
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    assert any(first[name].tobytes() != other[name].tobytes() for name in first)


def test_all_that_an_arena_places_exists_once(model: mujoco.MjModel) -> None:
    names = TASK.movable_geoms
    assert len(set(names)) == len(names) == MAX_WALLS * 6 + MAX_TILES + MAX_ORBS
    arena = _draw(model, 0)
    for name in names:
        assert model.geom(name).id >= 0
    assert len(TASK.movable_materials) == len(arena.material_texture) == len(arena.material_texrepeat)
    assert TASK.movable_geoms[-MAX_ORBS:] == TASK.target_geoms
    np.testing.assert_array_equal(arena.geom_pos[-MAX_ORBS:], arena.targets)


@pytest.mark.parametrize("seed", range(20))
def test_walls_fill_the_wall_cells_and_nothing_else(model: mujoco.MjModel, seed: int) -> None:
    drawn = maze.draw_maze(np.random.default_rng(seed))
    centre, half = maze.wall_boxes(maze.cover(drawn.entities, maze.WALL))
    for row in range(maze.CELLS):
        for column in range(maze.CELLS):
            middle = np.array([(column - 5) * 0.5, (5 - row) * 0.5])
            inside = (np.abs(middle - centre[:, :2]) < half[:, :2]).all(axis=1).sum()
            assert inside == (drawn.entities[row, column] == "*"), "each wall cell lies in exactly one wall"
    assert (2 * half[:, :2] / 0.5 % 2 == 1).all(), "odd sides"
    np.testing.assert_array_equal(centre[:, 2] + half[:, 2], 0.3)


def test_three_orbs_and_one_start_in_every_room(model: mujoco.MjModel) -> None:
    rooms_seen = set()
    for seed in range(60):
        drawn = maze.draw_maze(np.random.default_rng(seed))
        rooms = sorted(set(drawn.variations.ravel()) - {"."})
        rooms_seen.add(len(rooms))
        for room in rooms:
            tokens = drawn.entities[drawn.variations == room].tolist()
            assert (tokens.count("G"), tokens.count("P")) == (3, 1)
        assert (drawn.entities == "G").sum() == 3 * len(rooms)
    assert rooms_seen >= {3, 4}


def test_the_rat_starts_in_a_start_cell_and_faces_anywhere(model: mujoco.MjModel) -> None:
    turns, chosen = [], set()
    for seed in range(200):
        arena = _draw(model, seed)
        starts = maze.draw_maze(np.random.default_rng(seed)).positions("P")
        distance = np.abs(starts - arena.qpos[:3]).max(axis=1)
        assert distance.min() == 0
        chosen.add(int(distance.argmin()))
        np.testing.assert_array_equal(arena.qpos[7:], model.qpos0[7:])
        turns.append(2 * np.arctan2(arena.qpos[6], arena.qpos[3]) % (2 * np.pi))
    assert chosen == {0, 1, 2, 3}
    assert stats.kstest(turns, stats.uniform(0, 2 * np.pi).cdf).pvalue > 1e-3


def test_orbs_are_the_mazes_in_random_order_and_colours_vary(model: mujoco.MjModel) -> None:
    first, colours = [], []
    for seed in range(400):
        arena = _draw(model, seed)
        orbs = maze.draw_maze(np.random.default_rng(seed)).positions("G") + np.array([0, 0, 0.125])
        used = arena.targets[: arena.num_targets]
        assert {tuple(p) for p in used} == {tuple(p) for p in orbs} and len(used) == len(orbs)
        if len(orbs) == MAX_ORBS:
            first.append(int(np.abs(orbs - used[0]).sum(axis=1).argmin()))
        walls = arena.material_texture[: 3 * MAX_WALLS]
        assert (walls == walls[0]).all(), "one colour in a maze"
        colours.append(model.texture(int(walls[0])).name)
    assert stats.chisquare(np.bincount(first, minlength=MAX_ORBS)).pvalue > 1e-3
    names, counts = np.unique(colours, return_counts=True)
    assert len(names) == 8 and stats.chisquare(counts).pvalue > 1e-3


def test_a_maze_too_rich_for_the_model_is_refused(model: mujoco.MjModel) -> None:
    grid = np.full((maze.CELLS, maze.CELLS), " ")
    grid[::2, ::2] = "*"
    drawn = maze.Maze(entities=grid, variations=np.full(grid.shape, "."))
    with pytest.raises(ValueError, match=rf"needs 36 walls and the model holds {MAX_WALLS}"):
        TASK.arena(drawn, model, colour=0, orbs=np.zeros((0, 3)), start=np.zeros(3), turn=0.0)


def test_every_movable_geom_moves(model: mujoco.MjModel) -> None:
    """MuJoCo pins geoms that coincide with their body's frame when compiled; none of ours may be."""
    moved = TASK.spec().compile()
    arena = _draw(model, 2)
    ids = ArenaWriter(moved, TASK.movable_geoms, TASK.movable_materials).geom_ids
    moved.geom_pos[ids] = arena.geom_pos
    data = mujoco.MjData(moved)
    mujoco.mj_kinematics(moved, data)
    np.testing.assert_array_equal(data.geom_xpos[ids], arena.geom_pos)


def _touched(targets: list[tuple[int, int, int]], worlds: int) -> np.ndarray:
    touched = np.zeros((worlds, 20, MAX_ORBS), bool)
    for world, substep, target in targets:
        touched[world, substep, target] = True
    return touched


def _arenas(model: mujoco.MjModel, num_orbs: list[int]) -> tuple:
    """Worlds with given numbers of orbs, none in the centre."""
    arenas = []
    for number in num_orbs:
        orbs = np.array([[1.0 + i, 0.0, 0.0] for i in range(number)])
        drawn = maze.draw_maze(np.random.default_rng(0))
        arenas.append(TASK.arena(drawn, model, colour=0, orbs=orbs, start=np.zeros(3), turn=0.0))
    return stack_arenas(arenas)


@pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])
def test_fifty_for_each_orb_once_and_an_end_when_all_are_taken(model: mujoco.MjModel, xp: object) -> None:
    arenas = _arenas(model, [3, 2])
    progress = TASK.start(arenas, xp)
    plan = [  # (world, substep, orb) touched; reward and ending of both worlds
        ([], [0, 0], [False, False]),
        ([(0, 0, 1), (0, 7, 1), (0, 19, 2)], [100, 0], [False, False]),
        ([(0, 3, 1), (1, 0, 0)], [0, 50], [False, False]),
        ([(1, 5, 7)], [0, 0], [False, False]),  # a spare orb is no orb
        ([(0, 0, 0), (1, 19, 1)], [50, 50], [True, True]),
    ]
    visible = []
    for touches, reward, ended in plan:
        progress, targets = TASK.before_step(progress, arenas, xp)
        assert targets is None
        outcome = TASK.step(progress, None, xp.asarray(_touched(touches, 2)), None, arenas, None, xp)
        progress = outcome.progress
        np.testing.assert_array_equal(outcome.reward, reward)
        np.testing.assert_array_equal(outcome.terminated, ended)
        np.testing.assert_array_equal(outcome.discount, [1, 1])
        visible.append(np.asarray(TASK.look(progress, arenas, xp).target_visible[0, :4]).tolist())
    np.testing.assert_array_equal(outcome.events.orbs_taken, [3, 2])
    np.testing.assert_array_equal(outcome.events.orbs_left, [0, 0])
    assert visible == [[True, True, True, False]] + [[True, False, False, False]] * 3 + [[False] * 4]


def test_an_orb_in_the_centre_is_taken_at_the_start_and_rewarded_in_the_first_step(model: mujoco.MjModel) -> None:
    drawn = maze.draw_maze(np.random.default_rng(0))
    orbs = np.array([[1.0, 0, 0], [0, 0, 0], [0.5, 0, 0]])
    arenas = stack_arenas([TASK.arena(drawn, model, colour=0, orbs=orbs, start=np.zeros(3), turn=0.0)])
    progress = TASK.start(arenas, np)
    assert progress.taken[0].nonzero()[0].tolist() == [1], "and no spare, though parked below the centre"
    rewards = []
    for _ in range(2):
        outcome = TASK.step(progress, None, _touched([], 1), None, arenas, None, np)
        progress = outcome.progress
        rewards.append(outcome.reward[0])
    assert rewards == [50, 0]


def test_only_the_centre_is_within_reach_of_a_rat_at_the_origin(model: mujoco.MjModel) -> None:
    own = TASK.spec().compile()
    orb = own.geom(TASK.target_geoms[0]).id
    data = mujoco.MjData(own)
    touched = []
    for x in (-1, -0.5, 0, 0.5, 1):
        for y in (-0.5, 0, 0.5):
            own.geom_pos[orb] = x, y, TASK.orb_height
            mujoco.mj_forward(own, data)
            if (data.contact.geom == orb).any():
                touched.append((x, y))
    assert touched == [(0, 0)]


def test_an_impossible_orb_is_refused() -> None:
    with pytest.raises(ValueError, match="orb_radius must be positive, got 0"):
        Forage(orb_radius=0)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_rat_stands_on_every_wall(model: mujoco.MjModel, seed: int) -> None:
    """A wall moved after compilation must still carry: a stale collision tree lets the rat fall through."""
    drawn = maze.draw_maze(np.random.default_rng(seed))
    centre, half = maze.wall_boxes(maze.cover(drawn.entities, maze.WALL))
    simulation = CpuSimulation("forage", len(centre), seed=seed, camera=False)
    simulation.reset()
    arenas = []
    for middle, size in zip(centre, half, strict=True):
        turn = np.pi / 2 if size[1] > size[0] else 0.0
        start = [*middle[:2], maze.WALL_HEIGHT]
        arenas.append(TASK.arena(drawn, simulation.model, colour=0, orbs=drawn.positions("G"), start=np.array(start), turn=turn))
    simulation.reset_to(np.arange(len(arenas)), arenas)
    for _ in range(25):
        simulation.step(np.tile(simulation.standing_ctrl, (len(arenas), 1)))
    height = simulation.physics.fields.xpos[:, simulation.index.torso, 2]
    assert (np.abs(height - maze.WALL_HEIGHT - 0.06) < 0.02).all(), height


def _free_way(drawn: maze.Maze, start: np.ndarray, direction: np.ndarray) -> float:
    """Distance from a cell's centre to the first wall in one of the four directions, m."""
    row, column = round(5 - start[1] / 0.5), round(start[0] / 0.5 + 5)
    cells = 0
    while drawn.entities[row - (cells + 1) * int(direction[1]), column + (cells + 1) * int(direction[0])] != "*":
        cells += 1
    return 0.5 * cells + 0.25


def test_walls_stop_a_rat_thrown_at_them(model: mujoco.MjModel) -> None:
    """A rat thrown at 2.5 m/s stops at the wall; where there is none it flies on."""
    throws, ways = [], []
    for seed in range(4):
        drawn = maze.draw_maze(np.random.default_rng(seed))
        for start in drawn.positions("P"):
            for direction in np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]):
                inner = np.abs(start[:2] + 0.5 * direction).max() < 2.5
                if inner and (way := _free_way(drawn, start, direction)) < 0.5:
                    throws.append((drawn, start, direction))
                    ways.append(way)
    throws, ways = throws[:5], np.array(ways[:5])
    blank = maze.Maze(entities=np.pad(np.full((9, 9), " "), 1, constant_values="*"), variations=np.full((11, 11), "."))
    arenas = []
    for walled in (True, False):
        for drawn, start, direction in throws:
            turn = float(np.arctan2(direction[1], direction[0]))
            empty = np.zeros((0, 3))
            arena = TASK.arena(drawn if walled else blank, model, colour=0, orbs=empty, start=start, turn=turn)
            qvel = np.zeros(model.nv)
            qvel[:2] = 2.5 * direction
            arenas.append(dataclasses.replace(arena, qvel=qvel))
    simulation = CpuSimulation("forage", len(arenas), seed=0, camera=False)
    simulation.reset_to(np.arange(len(arenas)), arenas)
    travelled = np.zeros(len(arenas))
    for _ in range(20):
        simulation.step(np.tile(simulation.standing_ctrl, (len(arenas), 1)))
        torso = simulation.physics.fields.xpos[:, simulation.index.torso, :2].reshape(2, len(throws), 2)
        way = ((torso - [start[:2] for _, start, _ in throws]) * [direction for _, _, direction in throws]).sum(axis=2)
        travelled = np.maximum(travelled, way.ravel())
    assert (travelled[: len(throws)] < ways).all(), (travelled, ways)
    assert (travelled[len(throws) :] > ways).all(), (travelled, ways)


def test_a_reset_never_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = CpuSimulation("forage", 2, seed=0, camera=False)

    def refuse(self: Forage) -> mujoco.MjSpec:
        raise AssertionError("compiled again")

    monkeypatch.setattr(Forage, "spec", refuse)
    models = list(map(id, simulation.physics.models))
    for _ in range(3):
        simulation.reset()
    assert list(map(id, simulation.physics.models)) == models


def test_another_worlds_reset_changes_nothing_here() -> None:
    alone, together = (CpuSimulation("forage", number, seed=5, camera=False) for number in (1, 2))
    alone.reset(), together.reset()
    action = np.random.default_rng(0).uniform(-1, 1, (12, 38))
    for step, a in enumerate(action):
        if step in (4, 9):
            together.reset(np.array([False, True]))
        alone.step(a[None]), together.step(np.tile(a, (2, 1)))
    np.testing.assert_array_equal(alone.physics.fields.qpos[0], together.physics.fields.qpos[0])
    assert together.episode.tolist() == [0, 2]


def test_get_task() -> None:
    assert get_task("forage") == TASK
