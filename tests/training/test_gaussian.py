"""Closed forms against distrax and against each other."""

from __future__ import annotations

import distrax
import numpy as np
import pytest

from vrodent.training.gaussian import Gaussian, kl, kl_mean_and_covariance, log_prob


@pytest.fixture(name="pair")
def _pair() -> tuple[Gaussian, Gaussian]:
    rng = np.random.default_rng(1)
    def draw():
        return Gaussian(rng.normal(size=(4, 5)).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32) * 0.3)
    return draw(), draw()


def _theirs(gaussian: Gaussian) -> distrax.Distribution:
    return distrax.MultivariateNormalDiag(gaussian.mean, np.exp(gaussian.log_std))


def test_equals_distrax(pair):
    first, second = pair
    action = np.random.default_rng(2).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_allclose(log_prob(first, action), _theirs(first).log_prob(action), rtol=1e-5)
    np.testing.assert_allclose(kl(first, second), _theirs(first).kl_divergence(_theirs(second)), rtol=1e-5)


def test_decoupled_parts_are_the_divergences_with_the_other_part_held(pair):
    first, second = pair
    by_mean, by_covariance = kl_mean_and_covariance(first, second)
    np.testing.assert_allclose(by_mean, kl(first, Gaussian(second.mean, first.log_std)), rtol=1e-5)
    np.testing.assert_allclose(by_covariance, kl(first, Gaussian(first.mean, second.log_std)), rtol=1e-5)
