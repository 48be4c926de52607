"""Pictures from outside, bad arguments, and the geometry of what is in view."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import vrodent
from vrodent.simulation import CpuSimulation
from vrodent.simulation.camera import CAMERAS
from vrodent.simulation.culling import Boxes, in_view, view_planes
from vrodent.simulation.display_lists import plane_quads
from vrodent.simulation.horizon import Horizon
from vrodent.task import get_task


@pytest.fixture(scope="module")
def simulation() -> Iterator[CpuSimulation]:
    made = vrodent.make("forage", num_worlds=2, seed=1, camera=False)
    made.reset()
    yield made
    made.close()


@pytest.mark.parametrize("camera", CAMERAS)
def test_pictures_show_something(simulation: CpuSimulation, camera: str) -> None:
    picture = simulation.render(0, camera=camera, width=96, height=64)
    assert picture.shape == (64, 96, 3) and picture.dtype == np.uint8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_skin_shadows_and_worlds_change_the_picture(simulation: CpuSimulation) -> None:
    plain = simulation.render(0, camera="follow", width=96, height=64)
    for other in (
        simulation.render(0, camera="follow", width=96, height=64, skin=False),
        simulation.render(0, camera="follow", width=96, height=64, shadows=False),
        simulation.render(1, camera="follow", width=96, height=64),
    ):
        assert (other != plain).any()
    np.testing.assert_array_equal(simulation.render(0, camera="follow", width=96, height=64), plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"world": 2}, "num_worlds = 2, got 2"),
        ({"world": -1}, "got -1"),
        ({"camera": "front"}, "no camera 'front'; the cameras are side"),
        ({"width": 0}, "width and height must be at least 1, got 0"),
    ],
)
def test_bad_arguments(simulation: CpuSimulation, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulation.render(**options)


def test_nothing_to_draw_before_the_first_reset() -> None:
    with pytest.raises(RuntimeError, match="reset"):
        vrodent.make("gaps", camera=False).render()


def test_a_failed_world_is_black_and_leaves_the_others_alone() -> None:
    simulation = vrodent.make("gaps", num_worlds=3, seed=2)
    simulation.reset()
    simulation.physics.fields.qvel[1, 3] = np.nan
    frames = simulation.step(np.zeros((3, 38))).observation["egocentric"]
    assert not frames[1].any() and frames[0].any() and frames[2].any()
    assert not simulation.render(1, width=32, height=32).any()
    mask = np.array([False, True, False])
    assert simulation.reset(mask)["egocentric"][1].any()
    simulation.close()


def test_threads_end_with_the_simulation() -> None:
    before = threading.active_count()
    simulation = vrodent.make("gaps", num_worlds=2, num_threads=2)
    simulation.reset()
    simulation.render(0, width=32, height=32)
    assert threading.active_count() == before + 3
    del simulation
    gc.collect()
    assert threading.active_count() == before


def test_in_view_never_leaves_out_what_projects_into_the_picture() -> None:
    """Random boxes of which some random point lies in the field of view, by projecting that point."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(40, 3, 3)))[0]
    planes = view_planes(rotation, 80.0)
    centre, half = rng.normal(size=(40, 50, 3)) * 2, rng.uniform(0.01, 0.5, (40, 50, 3))
    axes = np.linalg.qr(rng.normal(size=(40, 50, 3, 3)))[0]
    visible = in_view(planes, centre, axes, half)
    points = centre[:, :, None] + np.einsum("wbij,wbkj->wbki", axes, rng.uniform(-1, 1, (40, 50, 30, 3)) * half[:, :, None])
    seen = np.einsum("wij,wbki->wbkj", rotation, points)
    depth, edge = -seen[..., 2], np.tan(np.deg2rad(40.0))
    inside = ((depth > 0) & (np.abs(seen[..., :2]) < (edge * depth)[..., None]).all(axis=-1)).any(axis=-1)
    assert inside.sum() > 100
    assert visible[inside].all()
    assert not visible.all()


def test_boxes_enclose_their_points() -> None:
    points = np.random.default_rng(0).normal(size=(3, 20, 3))
    boxes = Boxes.around(list(points))
    assert (np.abs(points - boxes.centre[:, None]) <= boxes.half[:, None] + 1e-12).all()
    np.testing.assert_allclose(np.abs(points - boxes.centre[:, None]).max(axis=1), boxes.half)


@pytest.mark.parametrize("size", [(0.25, 0.15, 0.5), (2.75, 0.25, 0.5), (10.0, 10.0, 0.25), (20.0, 20.0, 0.5)])
def test_plane_quads_tile_the_plane(size: tuple[float, float, float]) -> None:
    """The quads' areas, each positively oriented, add up to the plane's, and texture coordinates run over the unit square."""
    quads = plane_quads(np.array(size)).reshape(-1, 4, 8).astype(float)
    x, y = quads[:, :, 5], quads[:, :, 6]
    area = 0.5 * ((x[:, 2] - x[:, 0]) * (y[:, 3] - y[:, 1]) - (x[:, 3] - x[:, 1]) * (y[:, 2] - y[:, 0]))
    assert (area >= 0).all()
    assert area.sum() == pytest.approx(4 * size[0] * size[1], rel=1e-5)
    np.testing.assert_allclose(quads[:, :, 0], (x / size[0] + 1) / 2, atol=1e-6)
    np.testing.assert_allclose(quads[:, :, 1], (1 - y / size[1]) / 2, atol=1e-6)


def _ground(heights: np.ndarray, cell: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of MuJoCo's triangulated surface, whose cells are cut from their lower left to their upper right corner."""
    column = np.clip(np.floor(x / cell).astype(int), 0, heights.shape[1] - 2)
    row = np.clip(np.floor(y / cell).astype(int), 0, heights.shape[0] - 2)
    u, v = x / cell - column, y / cell - row
    b, b2, a, a2 = heights[row, column], heights[row, column + 1], heights[row + 1, column], heights[row + 1, column + 1]
    return np.where(v >= u, b + v * (a - b) + u * (a2 - a), b + u * (b2 - b) + v * (a2 - b2))


def test_the_horizon_hides_only_what_rays_do_not_reach() -> None:
    """Rays from the eye to every vertex of a hidden patch pass below the ground on their way."""
    rng = np.random.default_rng(3)
    cell, size, patch = 0.06, 61, 10
    x, y = np.meshgrid(np.arange(size) * cell, np.arange(size) * cell)
    task: Any = get_task("bowl")
    heights = task.height * task.terrain(rng)[70:131, 20:81]
    points = np.stack([x, y, heights], axis=-1)
    pieces = [points[r : r + patch + 1, c : c + patch + 1].reshape(-1, 3) for r in range(0, 60, patch) for c in range(0, 60, patch)]
    boxes, horizon, hidden_ever = Boxes.around(pieces), Horizon(points), 0
    share = np.linspace(0.005, 0.995, 1500)[:, None]
    for _ in range(40):
        eye = np.append(rng.uniform(0.2, 3.4, 2), 0.0)
        eye[2] = _ground(heights, cell, eye[:1], eye[1:2])[0] + rng.uniform(0.02, 0.15)
        for i in np.flatnonzero(horizon.hidden(eye, boxes)):
            hidden_ever += 1
            ray = eye + share[:, :, None] * (pieces[i] - eye)
            below = ray[..., 2] < _ground(heights, cell, ray[..., 0], ray[..., 1])
            assert below.any(axis=0).all()
    assert hidden_ever > 100
