"""Guides: ground heights against MuJoCo's own rays, ways through mazes against a shortest-path library."""

from pathlib import Path

import jax
import mujoco
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import shortest_path

from vrodent.commands.teachers import SPEEDS, find_teachers
from vrodent.simulation import make
from vrodent.training.teachers.guidance import hand_distance, pose
from vrodent.training.teachers.guides import BowlGuide, ForageGuide, GapsGuide, MazePath, TwoTapGuide, platform_heights, terrain_heights
from vrodent.training.teachers.network import Teacher, TeacherConfig
from vrodent.training.teachers.privileged import OBSERVATION_SIZE
from vrodent.training.teachers.task_teacher import SwitchingTeacher, TaskTeacher, task_teachers


def ray_heights(env, world: int, points: np.ndarray, group: list[int]) -> np.ndarray:
    """Height of what a ray from 2 m above meets first, among static geoms of given groups; -inf for nothing above -1 m."""
    model, data = env.physics.models[world], mujoco.MjData(env.physics.models[world])
    data.qpos[:] = env.physics.fields.qpos[world]
    data.qpos[2] = 50.0  # the rat out of the way
    mujoco.mj_forward(model, data)
    hit = np.zeros(1, np.int32)
    mask = np.isin(np.arange(6), group).astype(np.uint8)
    heights = []
    for x, y in points:
        distance = mujoco.mj_ray(model, data, np.array([x, y, 2.0]), np.array([0.0, 0.0, -1.0]), mask, 1, -1, hit)
        heights.append(2.0 - distance if 0 <= distance < 3.0 else -np.inf)
    return np.array(heights)


def test_platform_heights_are_what_rays_along_five_centimetres_meet():
    """Told is 0 over a platform, -0.15 m over a gap, and their mean over 5 cm at an edge; 101 rays settle a share to within 1 %."""
    env = make("gaps", num_worlds=2, seed=5, camera=False)
    env.reset()
    points = np.random.default_rng(0).uniform([5.0, -0.9], [40.0, 0.9], size=(2, 60, 2))
    told = platform_heights(env, points)
    for world in range(2):
        along = points[world][:, None] + np.linspace(-0.025, 0.025, 101)[None, :, None] * np.array([1.0, 0.0])
        met = ray_heights(env, world, along.reshape(-1, 2), [0]).reshape(60, 101)
        pit = (~np.isclose(met, 0.0, atol=1e-9)).mean(axis=1)
        np.testing.assert_allclose(told[world], -0.15 * pit, atol=0.15 * 0.0101)
        assert (pit == 0).any() and (pit == 1).any() and ((pit > 0) & (pit < 1)).any()


def test_terrain_heights_are_where_rays_meet_the_bowl():
    env = make("bowl", num_worlds=2, seed=5, camera=False)
    env.reset()
    points = np.random.default_rng(0).uniform(-6.5, 6.5, size=(2, 300, 2))
    told = terrain_heights(env, points)
    for world in range(2):
        met = ray_heights(env, world, points[world], [0])
        # MuJoCo splits each 6 cm cell into two triangles; bumps bend by up to a few mm within one.
        np.testing.assert_allclose(told[world], met, atol=0.01)
        assert told[world].max() > 0.2


def graph_distance(path: MazePath, start: tuple[int, int], goal: tuple[int, int]) -> float:
    free = {(i, j) for i in range(path.size) for j in range(path.size) if not path.blocked[i, j]}
    number = {cell: k for k, cell in enumerate(sorted(free))}
    edges = [(number[i, j], number[i + a, j + b]) for i, j in free for a, b in ((1, 0), (0, 1)) if (i + a, j + b) in free]
    rows, columns = np.array(edges).T
    graph = csr_matrix((np.ones(len(edges)), (rows, columns)), shape=(len(free), len(free)))
    return shortest_path(graph, directed=False, unweighted=True, indices=number[start])[number[goal]]


def test_waypoints_lead_along_a_shortest_way_to_every_orb():
    env = make("forage", num_worlds=4, seed=3, camera=False)
    env.reset()
    guide = ForageGuide()
    for world, arena in enumerate(env.world_arenas):
        path = guide.atlas.of(env, world)
        for orb in arena.targets[: arena.num_targets]:
            position, walked = arena.qpos[:2].copy(), 0
            length = graph_distance(path, path.cell_of(position), path.cell_of(orb))
            while path.cell_of(position) != path.cell_of(orb):
                position = path.next_waypoint(position, [orb])
                walked += 1
                assert walked <= length
            assert walked == length
            assert not path.blocked[path.cell_of(position)]


def test_guides_at_the_start():
    env = make("forage", num_worlds=3, seed=1, camera=False)
    env.reset()
    guidance = ForageGuide().guide(env)
    assert guidance.heading.shape == (3,) and np.isfinite(guidance.heading).all()
    gaps = make("gaps", num_worlds=1, camera=False)
    gaps.reset()
    assert GapsGuide().guide(gaps).heading == pytest.approx(0.0, abs=1e-3)


def test_only_palms_measure_the_way_to_an_orb():
    """An orb at a palm's own contact geom is at distance 0; one at a fingertip is not."""
    env = make("two_tap", num_worlds=1, camera=False)
    env.reset()
    fields, model = env.physics.fields, env.model
    palm, finger = (model.geom(f"walker/{name}_collision").id for name in ("hand_R", "finger_R1"))
    assert hand_distance(fields, env.index, fields.geom_xpos[:, palm]) == 0.0
    assert hand_distance(fields, env.index, fields.geom_xpos[:, finger]) > 1e-3
    assert np.count_nonzero(model.geom_bodyid == model.geom_bodyid[palm]) == 1  # single-geom bodies are those that feel a moved orb


def test_without_a_map_a_rat_leaves_the_bowl_by_where_it_came_from_and_the_way_it_faces():
    """At the centre it is sent the way it faces; 0.5 m off, facing across, half-way between that and outward; far out straight outward.

    On bumps: the terrain is drawn, and no way around them is told.
    """
    env = make("bowl", num_worlds=3, seed=5, camera=False, physics="training")
    env.reset()
    fields = env.physics.fields
    fields.qpos[:, 3:7] = np.cos(np.pi / 8), 0.0, 0.0, np.sin(np.pi / 8)  # facing up the diagonal
    fields.forward()
    torso = fields.xpos[:, env.index.torso, :2]
    yaw = pose(fields, env.index).yaw
    across = np.array([-np.sin(yaw[1]), np.cos(yaw[1])])  # to its left
    fields.qpos[:, :2] += np.stack([np.zeros(2), 0.5 * across, 400.0 * across]) - torso
    fields.forward()
    heading = BowlGuide(speed=0.5, mapless=True).guide(env).heading
    np.testing.assert_allclose(np.angle(np.exp(1j * (heading - yaw))), [0.0, np.pi / 4, np.pi / 2], atol=2e-3)  # 0.5 m of 400
    mapped = BowlGuide(speed=0.5).guide(env).heading
    assert np.abs(np.angle(np.exp(1j * (mapped[:2] - heading[:2])))).min() > 0.05


def test_a_teacher_leaves_the_bowl_without_a_map_if_it_is_to():
    for mapless in (False, True):
        teacher = find_teachers((Path("locomotion"),), Path("righting"), None, SPEEDS, ["bowl"], mapless=mapless)["bowl"]
        assert isinstance(teacher, SwitchingTeacher) and isinstance(teacher.usual, TaskTeacher)
        assert isinstance(teacher.usual.guide, BowlGuide) and teacher.usual.guide.mapless is mapless


def test_a_teacher_gives_up_a_rat_on_its_back_but_not_in_the_bowl():
    teacher = Teacher(jax.random.key(0), TeacherConfig(observation_size=OBSERVATION_SIZE, actor_width=8))
    for task, gives_up in (("two_tap", True), ("bowl", False)):
        env = make(task, num_worlds=2, camera=False, physics="training")
        env.reset()
        fields = env.physics.fields
        fields.qpos[:, :7] = [0.0, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0]
        fields.qpos[1, 3:7] = 0.0, 1.0, 0.0, 0.0
        fields.forward()
        hopeless = task_teachers(teacher, {task: 0.4})[task].hopeless(env)
        np.testing.assert_array_equal(hopeless, [False, gives_up])


def test_an_orb_out_of_sight_is_looked_for_to_the_left():
    """Told the way: ahead in view; far aside, on either hand, the left is; close by, wherever it is."""
    guide = TwoTapGuide(speed=0.4, sight=0.6)
    env = make("two_tap", num_worlds=4, camera=False)
    env.reset()
    bearing, distance = np.array([0.5, 1.5, -2.5, -2.5]), np.array([1.0, 1.0, 1.0, 0.2])
    way = np.stack([np.cos(bearing), np.sin(bearing)], axis=1) * distance[:, None]
    env.physics.fields.qpos[:, 3:7] = [1.0, 0.0, 0.0, 0.0]
    env.physics.fields.forward()
    torso = pose(env.physics.fields, env.index)
    offset = env.arenas.targets[:, 0, :2] - torso.position[:, :2]
    env.physics.fields.qpos[:, :2] += offset - way
    env.physics.fields.forward()
    np.testing.assert_allclose(pose(env.physics.fields, env.index).yaw, 0.0, atol=1e-6)
    np.testing.assert_allclose(guide.guide(env).heading, [0.5, 1.2, 1.2, -2.5], atol=1e-6)
    np.testing.assert_allclose(TwoTapGuide(speed=0.4).guide(env).heading, bearing, atol=1e-6)
