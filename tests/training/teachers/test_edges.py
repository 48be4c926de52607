"""Pictures taken on the run show the corridor that they say they show, and eyes learn from them together with what is felt."""

from __future__ import annotations

import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig
from vrodent.simulation import make
from vrodent.training.teachers.edges import take_edge_pictures
from vrodent.training.teachers.eyes import EyesConfig, Lesson, learn_to_see
from vrodent.training.teachers.privileged import SCAN_SHAPE
from vrodent.training.teachers.store import find_teacher, load_teacher

WORLDS, ROUNDS = 6, 40  # 2.4 s
CONFIG = EyesConfig(num_pictures=WORLDS * ROUNDS)
LOUDNESS = 3.0 / np.sqrt(41)  # of 41 targets, as the module has it


def _quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module", name="lesson")
def _lesson() -> Lesson:
    return take_edge_pictures(load_teacher(find_teacher("gaps")).teacher, CONFIG, _quiet, num_worlds=WORLDS)


def _scan(target: np.ndarray) -> np.ndarray:
    """(picture, ahead, aside) m below or above the feet."""
    return target[:, 2:].reshape(-1, *SCAN_SHAPE) / (8.0 * LOUDNESS)


def test_at_the_start_all_is_level_and_the_corridor_lies_ahead(lesson):
    """The first platform reaches a metre beyond the rat, farther than the scan."""
    first = lesson.target[:WORLDS] / LOUDNESS
    np.testing.assert_allclose(first[:, :2], [[1.0, 0.0]] * WORLDS, atol=0.01)
    assert np.ptp(_scan(lesson.target[:WORLDS]), axis=(1, 2)).max() < 1e-4  # float32


def test_pits_come_as_rats_run_and_are_as_wide_as_the_task_makes_them(lesson):
    """Gaps are 5 to 20 cm, so that of the 67 cm scanned most is platform; a scan tells pits as deep as 15 cm below the ground."""
    scan = _scan(lesson.target)
    pits = scan < scan.max(axis=(1, 2), keepdims=True) - 0.1
    assert pits.any(axis=(1, 2)).mean() > 0.05
    assert 0.05 < pits[pits.any(axis=(1, 2))].mean() < 0.5
    assert scan.min() >= -0.15 - 1e-6


def test_the_first_picture_is_what_the_task_shows_at_its_start(lesson):
    env = make("gaps", WORLDS, seed=CONFIG.seed, physics="training")
    seen = env.reset()["egocentric"]
    env.close()
    np.testing.assert_array_equal(lesson.egocentric[:WORLDS], seen)


def test_a_mirror_turns_the_course_and_the_scan_and_turns_them_back(lesson):
    np.testing.assert_allclose(lesson.mirrored_target[:, 0], lesson.target[:, 0])
    np.testing.assert_allclose(lesson.mirrored_target[:, 1], -lesson.target[:, 1])
    np.testing.assert_allclose(_scan(lesson.mirrored_target), _scan(lesson.target)[:, :, ::-1])
    assert np.abs(lesson.mirrored_felt - lesson.felt).max() > 0.1, "rats that run are not their own mirror images"


def test_senses_are_of_order_one_with_left_as_with_right(lesson):
    both = np.concatenate([lesson.felt, lesson.mirrored_felt])
    assert np.abs(both).max() <= 5.0
    assert np.abs(both.mean(axis=0)).max() < 0.2, "clipping alone moves a mean from 0"


def test_the_same_seed_takes_the_same_pictures(lesson):
    again = take_edge_pictures(load_teacher(find_teacher("gaps")).teacher, CONFIG, _quiet, num_worlds=WORLDS)
    for one, other in zip(again, lesson, strict=True):
        np.testing.assert_array_equal(one, other)


def test_eyes_learn_what_only_picture_and_senses_together_tell():
    """A bright bar's row, turned over where a sense is negative: either alone explains nothing of it."""
    rng = np.random.default_rng(4)
    row, sense = rng.integers(0, 56, 2400), rng.choice([-1.0, 1.0], 2400)
    image = np.full((2400, 64, 64, 3), 90, np.uint8)
    for picture, top in zip(image, row, strict=True):
        picture[top : top + 8] = 200
    target = ((row - 27.5) / 16.0 * sense).astype(np.float32)[:, None]
    felt = sense.astype(np.float32)[:, None]
    lesson = Lesson(image, felt, target, felt, target)
    config = EyesConfig(updates=250, batch_size=64, kept_batch=16, learning_rate=3e-3)
    agent = Agent(AgentConfig(image_channels=(8, 8, 8), image_features=32), seed=1)
    kept = rng.integers(0, 256, (64, 64, 64, 3), dtype=np.uint8)
    _, report = learn_to_see(agent.image_encoder, lesson, kept, config, say=_quiet)
    assert report.error < 0.3 * report.constant, "pictures that took no part in learning"
