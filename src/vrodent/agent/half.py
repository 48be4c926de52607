"""Products of numbers that are rounded to bfloat16, summed in float32: what a GPU's matrix units are fastest at.

Arguments and results are float32, and so are gradients; the numbers multiplied to get a gradient are rounded likewise. bfloat16 has
float32's range, so nothing under- or overflows that would not there, and 8 significant bits: a product is off by up to 2^-8 of its size.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

Rounded = tuple[jax.Array, jax.Array]


@jax.custom_vjp
def multiply(x: jax.Array, weight: jax.Array) -> jax.Array:
    """`x @ weight` of (..., in) and (in, out)."""
    return _multiplied(x, weight)[0]


def _multiplied(x: jax.Array, weight: jax.Array) -> tuple[jax.Array, Rounded]:
    x, weight = _rounded(x), _rounded(weight)
    return _product(x, weight), (x, weight)


def _multiply_back(kept: Rounded, gradient: jax.Array) -> Rounded:
    x, weight = kept
    gradient = _rounded(gradient)
    rows, columns = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    return _product(gradient, weight.T), _product(rows.T, columns)


multiply.defvjp(_multiplied, _multiply_back)


@jax.custom_vjp
def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution that keeps the image's size, of (image, row, column, in) and (side, side, in, out) with an odd side."""
    return _convolved(x, kernel)[0]


def _convolved(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Rounded]:
    x, kernel = _rounded(x), _rounded(kernel)
    return _convolution(x, kernel, "SAME", ("NHWC", "HWIO", "NHWC")), (x, kernel)


def _convolve_back(kept: Rounded, gradient: jax.Array) -> Rounded:
    x, kernel = kept
    gradient = _rounded(gradient)
    mirrored = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    margin = [(side // 2, side // 2) for side in kernel.shape[:2]]
    to_image = _convolution(gradient, mirrored, "SAME", ("NHWC", "HWIO", "NHWC"))
    # The images are what is summed over, and each of the kernel's places is a shift of one against the other.
    return to_image, _convolution(x, gradient, margin, ("CHWN", "IHWO", "HWNC"))


convolve.defvjp(_convolved, _convolve_back)


def _rounded(x: jax.Array) -> jax.Array:
    return x.astype(jnp.bfloat16)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, preferred_element_type=jnp.float32)


def _convolution(x: jax.Array, kernel: jax.Array, padding: Any, layout: tuple[str, str, str]) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=layout, preferred_element_type=jnp.float32)
