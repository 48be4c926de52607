"""The benchmark of the GPU runs and counts, on Warp's CPU device; how fast anything is, no test asks."""

from __future__ import annotations

import json

import pytest
from tests.simulation import gpu_pair  # noqa: F401  (skips where Warp is not installed)

from vrodent.cli import main
from vrodent.simulation import gpu_benchmark
from vrodent.simulation.gpu_benchmark import GpuBenchConfig, run_gpu_bench


def test_it_measures_and_tells() -> None:
    config = GpuBenchConfig(tasks=("two_tap",), worlds=(2,), physics=("training",), cameras=(False,), turns=2, turn_seconds=0.01)
    found = []
    result = run_gpu_bench(config, warp_device="cpu", found=found.append)
    (rate,) = result.rates
    assert found == [rate] and rate.failure == "" and len(rate.turns) == 2 and rate.median > 0
    assert rate.shares["physics"] > 0 and set(rate.shares) == {"physics", "judging and senses", "resets"}
    assert json.loads(result.to_json())["rates"][0]["num_worlds"] == 2
    assert "two_tap" in result.table() and "physics" in result.table()


def test_what_cannot_be_measured_is_told_and_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise RuntimeError("Failed to allocate 99 bytes on device\nand more")

    monkeypatch.setattr(gpu_benchmark, "GpuSimulation", full)
    config = GpuBenchConfig(tasks=("two_tap", "gaps"), worlds=(1, 2), physics=("training",), cameras=(False,))
    rates = run_gpu_bench(config, warp_device="cpu").rates
    assert [(rate.task, rate.num_worlds, rate.failure) for rate in rates] == [
        (task, 1, "Failed to allocate 99 bytes on device") for task in ("two_tap", "gaps")
    ]


def test_bad_settings_and_no_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no task 'gap'"):
        GpuBenchConfig(tasks=("gap",))
    with pytest.raises(ValueError, match="worlds must be numbers of at least 1"):
        GpuBenchConfig(worlds=(0,))
    if gpu_benchmark.wp.is_cuda_available():
        pytest.skip("there is a GPU here")
    assert main(["bench", "--device", "gpu", "--tasks", "two_tap"]) == 2
    assert "No CUDA device is to be seen here" in capsys.readouterr().err
