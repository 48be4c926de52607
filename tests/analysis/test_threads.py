"""Linear algebra inside decorated functions runs on one thread, and on as many as before outside."""

from __future__ import annotations

from threadpoolctl import threadpool_info, threadpool_limits

from vrodent.analysis.threads import one_thread


def _blas() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_inside_and_as_before_outside():
    with threadpool_limits(2, "blas"):
        before = _blas()
        assert before and set(before) == {2}
        assert set(one_thread(_blas)()) == {1}
        assert _blas() == before
