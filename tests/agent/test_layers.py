"""Each layer against an independent implementation of the same formula."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import multivariate_normal, norm

from vrodent.agent import Agent, AgentConfig, LSTMMemory, benchmark_agent, gaussian, image_encoder_flops
from vrodent.agent.encoders import ImageEncoder
from vrodent.agent.layers import LSTM, PatchConvolution


def test_lstm_step_is_equinox_lstm_cell() -> None:
    layer = LSTM(6, 5, np.random.default_rng(0))
    cell = eqx.nn.LSTMCell(6, 5, key=jax.random.key(1))
    cell = eqx.tree_at(lambda c: (c.weight_ih, c.weight_hh, c.bias), cell, (layer.weight_input.T, layer.weight_hidden.T, layer.bias))
    x, h, c = (np.random.default_rng(n).standard_normal((4, n), np.float32) for n in (6, 5, 5))
    after, _ = layer.update(layer.drive(jnp.asarray(x)), LSTMMemory(jnp.asarray(h), jnp.asarray(c)))
    expected_h, expected_c = jax.vmap(cell)(x, (h, c))
    np.testing.assert_allclose(after.h, expected_h, atol=1e-6)
    np.testing.assert_allclose(after.c, expected_c, atol=1e-6)


def test_patch_convolution_is_a_strided_convolution() -> None:
    layer = PatchConvolution(4, 3, 8, np.random.default_rng(0))
    image = jnp.asarray(np.random.default_rng(1).standard_normal((2, 16, 12, 3)), jnp.float32)
    expected = jax.lax.conv_general_dilated(image, layer.weight, (4, 4), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(layer(image), expected, atol=1e-5)


def test_image_encoder_flops_are_those_that_xla_counts() -> None:
    config = AgentConfig()
    encoder = ImageEncoder(config, np.random.default_rng(0))
    image = jnp.zeros((8, 64, 64, 3), jnp.uint8)
    analysis = jax.jit(lambda x: encoder(x)).lower(image).cost_analysis()
    assert analysis is not None
    counted = analysis["flops"] / 8
    # XLA leaves out products with the padding around 8x8 and 4x4 images of 32 channels, and adds a few per cent of elementwise operations.
    padding = sum(2 * 2 * 32 * 32 * (9 * size**2 - (3 * size - 2) ** 2) for size in (8, 4))
    assert 0.95 < (image_encoder_flops(config) - padding) / counted < 1.0
    assert image_encoder_flops(config) < 8e6


def test_image_encoder_uses_every_pixel() -> None:
    encoder = ImageEncoder(AgentConfig(), np.random.default_rng(0))
    image = jnp.asarray(np.random.default_rng(1).uniform(0.0, 255.0, (1, 64, 64, 3)), jnp.float32)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(encoder(x)[:, 0])))(image)
    assert float(jnp.mean(gradient != 0.0)) > 0.9


def test_gaussian_is_scipys() -> None:
    rng = np.random.default_rng(0)
    mean, log_std, action = (rng.standard_normal((6, 4)).astype(np.float32) for _ in range(3))
    expected = norm.logpdf(action, mean, np.exp(log_std)).sum(axis=1)
    np.testing.assert_allclose(gaussian.log_prob(action, mean, log_std), expected, rtol=1e-5)
    expected = [multivariate_normal(np.zeros(4), np.diag(np.exp(2 * row))).entropy() for row in log_std]
    np.testing.assert_allclose(gaussian.entropy(jnp.asarray(log_std)), expected, rtol=1e-5)


def test_gaussian_kl_is_the_mean_log_ratio_of_draws() -> None:
    mean_p, log_std_p = jnp.array([0.3, -0.5]), jnp.array([-0.2, 0.1])
    mean_q, log_std_q = jnp.array([0.0, 0.2]), jnp.array([0.3, 0.0])
    draws = gaussian.sample(jnp.tile(mean_p, (200_000, 1)), log_std_p, jax.random.key(0))
    ratio = gaussian.log_prob(draws, mean_p, log_std_p) - gaussian.log_prob(draws, mean_q, log_std_q)
    error = 4 * float(jnp.std(ratio)) / 200_000**0.5
    assert abs(float(gaussian.kl(mean_p, log_std_p, mean_q, log_std_q) - jnp.mean(ratio))) < error
    mean_part, _ = gaussian.kl_mean_and_covariance(mean_p, log_std_p, mean_q, log_std_p)
    np.testing.assert_allclose(jnp.sum(mean_part), gaussian.kl(mean_p, log_std_p, mean_q, log_std_p), rtol=1e-6)
    _, covariance_part = gaussian.kl_mean_and_covariance(mean_p, log_std_p, mean_p, log_std_q)
    np.testing.assert_allclose(jnp.sum(covariance_part), gaussian.kl(mean_p, log_std_p, mean_p, log_std_q), rtol=1e-6)


def test_sample_has_the_mean_and_deviation_asked_for() -> None:
    draws = gaussian.sample(jnp.full((100_000, 1), 2.0), jnp.full((1,), np.log(0.5)), jax.random.key(3))
    assert abs(float(jnp.mean(draws)) - 2.0) < 4 * 0.5 / 100_000**0.5
    assert abs(float(jnp.std(draws)) - 0.5) < 4 * 0.5 / 200_000**0.5


def test_benchmark_reports_the_network_it_ran(agent: Agent, config: AgentConfig) -> None:
    result = benchmark_agent(config, num_worlds=2, num_steps=2, repeats=1)
    assert min(result.act, result.unroll, result.learn) > 0.0
    leaves = [x for x in jax.tree.leaves(agent) if eqx.is_array(x)]
    assert result.num_parameters == sum(x.size for x in leaves) - 5 - 2 * 7  # all but stance and normaliser
    assert result.image_encoder_flops == image_encoder_flops(config)
