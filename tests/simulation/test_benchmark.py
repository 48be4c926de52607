"""The benchmark runs and counts; how fast anything is, no test asks."""

from __future__ import annotations

import json

import pytest

from vrodent.simulation.benchmark import CONTESTANTS, LIMIT, OURS, OURS_BLIND, BenchConfig, BenchResult, Rate, run_bench


def test_a_short_run() -> None:
    result = run_bench(BenchConfig(tasks=("two_tap",), num_worlds=2, turns=2, turn_seconds=0.05))
    assert [rate.contestant for rate in result.rates] == list(CONTESTANTS)
    for rate in result.rates:
        assert len(rate.turns) == 2 and 0 < rate.least <= rate.median <= rate.most and rate.per_core > 0
    stored = json.loads(result.to_json())
    assert stored["ratios"]["two_tap"]["camera / limit"] == pytest.approx(
        result.rate("two_tap", OURS).median / result.rate("two_tap", LIMIT).median
    )
    for name in CONTESTANTS:
        assert name in result.table()


def test_ratios_are_of_the_same_kind() -> None:
    """By the clock all cores against all cores; per core by processor time."""
    rates = []
    for name in CONTESTANTS:
        steps, cores, per_core = (200.0, 2, 120.0) if name in (LIMIT, OURS, OURS_BLIND) else (10.0, 1, 12.0)
        rates.append(
            Rate(task="gaps", contestant=name, cores=cores, turns=(steps,), median=steps, least=steps, most=steps, per_core=per_core)
        )
    ratios = BenchResult(rates=tuple(rates), config=BenchConfig(tasks=("gaps",))).ratios()["gaps"]
    assert list(ratios.values()) == [1.0, 1.0, 1.0, 1.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"tasks": ("gap",)}, "no task 'gap'"), ({"turns": 0}, "turns must be at least 1"), ({"turn_seconds": 0.0}, "positive, got 0"),
     ({"cores": -1}, "cores must be 0")],
)  # fmt: skip
def test_bad_settings(setting: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BenchConfig(**setting)


def test_a_failing_contestant_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "off")
    with pytest.raises(RuntimeError, match=r"ours, camera in two_tap failed: .*turns graphics off"):
        run_bench(BenchConfig(tasks=("two_tap",), num_worlds=1, turns=1, turn_seconds=0.01))
