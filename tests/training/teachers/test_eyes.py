"""Pictures show the orb where they say it is, and eyes learn it without forgetting what they saw before."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig
from vrodent.training.teachers.eyes import EyesConfig, Pictures, learn_to_see, postures, take_pictures
from vrodent.training.teachers.store import find_teacher, load_teacher

SMALL = EyesConfig(num_pictures=320, walked=30, distance=(0.2, 0.6), updates=150, batch_size=48, kept_batch=16, learning_rate=3e-3)


@pytest.fixture(scope="module", name="pictures")
def _pictures() -> Pictures:
    walker = load_teacher(find_teacher("locomotion")).teacher
    return take_pictures(postures(walker, SMALL.walked, 0, 8), SMALL, num_worlds=16)


def _green(pictures: Pictures) -> np.ndarray:
    """(picture, 64, 64) bool: pixels of the orb's green, which neither grass nor sky have."""
    red, green, blue = np.moveaxis(pictures.egocentric.astype(int), -1, 0)
    return (green > 60) & (green > 3 * red) & (green > 3 * blue)


def test_the_orb_is_seen_on_the_side_it_is_said_to_be_on_and_the_larger_the_nearer(pictures):
    """The head may point up to some 0.5 rad aside from the torso, hence the correlation and not the place itself."""
    green = _green(pictures)
    column = np.arange(64) - 31.5
    before = (np.abs(pictures.bearing) < 0.5) & (green.sum(axis=(1, 2)) > 3)
    assert before.sum() > 60
    where = (green.sum(axis=1) * column).sum(axis=1)[before] / green.sum(axis=(1, 2))[before]
    assert np.corrcoef(where, pictures.bearing[before])[0, 1] < -0.6, "left is a positive bearing and a small column"
    assert np.corrcoef(np.log(green.sum(axis=(1, 2))[before]), np.log(pictures.distance[before]))[0, 1] < -0.6
    assert green.sum(axis=(1, 2))[np.abs(pictures.bearing) > 2.0].max() == 0, "there is no orb behind the head's back"


def test_bearings_and_distances_are_what_was_asked_for(pictures):
    assert pictures.egocentric.shape == (320, 64, 64, 3)
    assert 0.2 <= pictures.distance.min() < 0.25 and 0.5 < pictures.distance.max() <= 0.6
    ahead = np.mean(np.abs(pictures.bearing) < 0.75)
    expected = 0.6 + 0.4 * 0.75 / np.pi
    assert abs(ahead - expected) < 4 * np.sqrt(expected * (1 - expected) / 320)


def test_the_same_seed_takes_the_same_pictures(pictures):
    walker = load_teacher(find_teacher("locomotion")).teacher
    again = take_pictures(postures(walker, SMALL.walked, 0, 8), SMALL, num_worlds=16)
    np.testing.assert_array_equal(again.egocentric, pictures.egocentric)
    np.testing.assert_array_equal(again.bearing, pictures.bearing)


def test_targets_by_hand():
    target = Pictures(np.zeros((3, 64, 64, 3), np.uint8), np.array([0.0, 0.5, -2.0]), np.array([1.0, np.e, 0.5])).targets()
    np.testing.assert_allclose(target, [[1, 0, 0], [1, 2 * np.sin(0.5), 0.5], [0, 0, 0]], atol=1e-6)


def _painted(count: int) -> Pictures:
    """A green square of 8 pixels on a grey of any brightness, its column told by the bearing; nothing where that is out of view."""
    rng = np.random.default_rng(2)
    bearing = rng.uniform(-1.0, 1.0, count)
    image = np.repeat(rng.integers(60, 200, (count, 1, 1, 1)), 3, axis=3) + np.zeros((count, 64, 64, 3), int)
    for picture, aside in zip(image, bearing, strict=True):
        if abs(aside) < 0.65:
            column, row = int(28 - 40 * aside), rng.integers(0, 56)
            picture[row : row + 8, column : column + 8] = (0, 200, 0)
    return Pictures(image.astype(np.uint8), bearing, np.ones(count))


def test_eyes_learn_where_the_orb_is_and_keep_what_they_said_of_other_things():
    pictures, agent = _painted(1600), Agent(AgentConfig(image_channels=(8, 8, 8), image_features=32), seed=1)
    kept = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), dtype=np.uint8)
    seeing, report = learn_to_see(agent.image_encoder, pictures, kept, SMALL, say=lambda line: None)
    assert report.error < 0.3 * report.constant, "pictures that took no part in learning"
    features, before = (np.asarray(e(jnp.asarray(kept))) for e in (seeing, agent.image_encoder))
    assert np.mean((features - before) ** 2) < 0.3 * before.var(axis=0).mean()
    assert 0.0 < report.moved < 0.3


@pytest.mark.parametrize("bad", [{"num_pictures": 0}, {"distance": (2.0, 1.0)}, {"walked": 3}, {"learning_rate": 0.0}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError):
        EyesConfig(**bad)
