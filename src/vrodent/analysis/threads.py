"""How many threads linear algebra takes."""

from __future__ import annotations

from threadpoolctl import threadpool_limits

one_thread = threadpool_limits.wrap(limits=1, user_api="blas")
"""Decorator of functions that decompose many small matrices (here up to 256 x 256): two threads of OpenBLAS gain nothing there, and on
cores that other work shares they wait for one another. Beside a training run, four searches for fixed points took 0.3 s with it and 3.5 s
without."""
