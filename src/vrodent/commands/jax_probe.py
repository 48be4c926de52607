"""Multiplies two arrays on every device that JAX finds and names them; run by `vrodent doctor` in a process of its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def main() -> None:
    """Compute on each device, and fail when a product is wrong.

    Raises:
        SystemExit: a device computes wrongly.
    """
    names = []
    for device in jax.devices():
        ones = jax.device_put(jnp.ones((64, 64)), device)
        if not bool(((ones @ ones) == 64).all()):
            raise SystemExit(f"{device} multiplies wrongly")
        names.append(str(device.device_kind))
    print(f"{len(names)} {jax.default_backend()} device{'s' if len(names) > 1 else ''}: {', '.join(names)}")


if __name__ == "__main__":
    main()
