"""The teaching term: its values by hand, where it is zero, and its annealing."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from vrodent.training.gaussian import Gaussian, log_prob
from vrodent.training.kickstart import TeachingConfig, teaching_loss, teaching_weight

TEACHER = Gaussian(np.array([0.3, -0.2]), np.log(np.array([0.2, 0.5])))
STUDENT = Gaussian(np.array([0.1, 0.4]), np.log(np.array([0.3, 0.4])))


def test_kl_and_clone_by_hand():
    with jax.enable_x64(True):
        by_hand = sum(
            np.log(s / t) + (t**2 + (m - n) ** 2) / (2 * s**2) - 0.5 for t, s, m, n in ((0.2, 0.3, 0.3, 0.1), (0.5, 0.4, -0.2, 0.4))
        )
        assert float(teaching_loss(TeachingConfig(kind="kl"), TEACHER, STUDENT)) == pytest.approx(by_hand, rel=1e-12)
        clone = 0.5 * (0.2 / 0.25) ** 2 + 0.5 * (0.6 / 0.25) ** 2 + 0.5 * np.log(0.3 / 0.25) ** 2 + 0.5 * np.log(0.4 / 0.25) ** 2
        assert float(teaching_loss(TeachingConfig(kind="clone", spread=0.25), TEACHER, STUDENT)) == pytest.approx(clone, rel=1e-12)


def test_far_from_its_teacher_a_clone_is_pulled_the_less_by_how_far_it_is():
    """Cauchy's loss by hand; near the teacher as without, and its pull is greatest at a distance of `outlier`."""
    config, usual = TeachingConfig(spread=0.25, outlier=0.4), TeachingConfig(spread=0.25)

    def at(distance: float, config: TeachingConfig) -> jax.Array:
        student = Gaussian(TEACHER.mean + distance * jax.numpy.array([1.0, -1.0]), jax.numpy.log(jax.numpy.full(2, 0.25)))
        return teaching_loss(config, TEACHER, student)

    with jax.enable_x64(True):
        for distance in (0.1, 0.5, 2.0):
            by_hand = 2 * 0.4**2 * np.log(1.0 + distance**2 / 0.4**2) / (2 * 0.25**2)
            assert float(at(distance, config)) == pytest.approx(by_hand, rel=1e-12)
        assert float(at(1e-3, config)) == pytest.approx(float(at(1e-3, usual)), rel=1e-5)
        pulls = [float(jax.grad(at)(distance, config)) for distance in np.arange(0.05, 2.0, 0.05)]
        assert np.arange(0.05, 2.0, 0.05)[np.argmax(pulls)] == pytest.approx(0.4)


def test_cross_entropy_is_the_mean_negative_likelihood_of_the_teachers_actions():
    rng = np.random.default_rng(0)
    action = TEACHER.mean + np.exp(TEACHER.log_std) * rng.normal(size=(200_000, 2))
    sampled = -log_prob(STUDENT, action)
    expected = float(teaching_loss(TeachingConfig(kind="cross_entropy"), TEACHER, STUDENT))
    assert abs(expected - float(sampled.mean())) < 4.0 * float(sampled.std()) / np.sqrt(200_000)


@pytest.mark.parametrize("kind", ["kl", "cross_entropy", "clone"])
def test_is_least_at_the_teacher_and_moves_no_teacher(kind):
    config = TeachingConfig(kind=kind, spread=0.25)
    least = Gaussian(TEACHER.mean, np.full(2, np.log(0.25))) if kind == "clone" else TEACHER
    gradient = jax.grad(lambda s: teaching_loss(config, TEACHER, s))(jax.tree.map(jax.numpy.asarray, least))
    np.testing.assert_allclose(np.concatenate(gradient), 0.0, atol=1e-6)
    teacher = jax.grad(lambda t: teaching_loss(config, t, STUDENT))(jax.tree.map(jax.numpy.asarray, TEACHER))
    assert not np.any(np.concatenate(teacher))


def test_weight_anneals_geometrically_and_to_zero_linearly():
    config = TeachingConfig(weight=1.0, final_weight=0.01, anneal_updates=100)
    np.testing.assert_allclose([teaching_weight(config, u) for u in (0, 50, 100, 900)], [1.0, 0.1, 0.01, 0.01], rtol=1e-5)
    config = TeachingConfig(weight=1.0, final_weight=0.0, anneal_updates=100)
    np.testing.assert_allclose([teaching_weight(config, u) for u in (0, 50, 100)], [1.0, 0.5, 0.0], atol=1e-7)


@pytest.mark.parametrize("bad", [{"kind": "klone"}, {"weight": -1.0}, {"anneal_updates": 0}, {"spread": 0.0}, {"outlier": -0.5}])
def test_bad_config_is_refused(bad):
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        TeachingConfig(**bad)
