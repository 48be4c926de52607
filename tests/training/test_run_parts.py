"""The small parts of a run: allotment, config, metrics, progress, divergence."""

from __future__ import annotations

import csv
from dataclasses import replace

import jax
import numpy as np
import pytest

from vrodent.training.collection import Episode
from vrodent.training.learner import LearnerConfig, UpdateReport, initial_learned
from vrodent.training.losses import LOSS_TERMS, LossReport
from vrodent.training.metrics_log import MetricsLog, columns, summarise
from vrodent.training.preset import PRESETS, preset, tiny
from vrodent.training.progress import duration, line
from vrodent.training.rollback import DivergenceConfig, DivergenceWatch
from vrodent.training.run_store import ResumeError, RunStore, from_json, to_json
from vrodent.training.settings import CollectionConfig, allot

TASKS = ("gaps", "bowl")


def _report(value: float = 1.0, skipped: float = 0.0, **by_task: np.ndarray) -> UpdateReport:
    scalar = np.float32(value)
    fields = {name: np.full(2, 0.5, np.float32) for name in LossReport._fields[len(LOSS_TERMS) :]} | by_task
    return UpdateReport(LossReport(scalar, *(np.float32(0.1) for _ in LOSS_TERMS[1:]), **fields), np.float32(2.0), np.float32(skipped))


def test_worlds_are_allotted_so_that_tasks_take_equal_time_within_bounds():
    assert allot(30, (1.0, 1.0, 2.0)) == (12, 12, 6)
    assert sum(allot(32, (0.002, 0.003, 0.010, 0.002))) == 32
    counts = allot(40, (1.0, 1.0, 1.0, 1000.0))
    assert min(counts) == 5
    assert allot(4, (1.0, 50.0, 1.0, 1.0)) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ("gaps", "two-tap")}, "no task 'two-tap'; there are gaps, forage, bowl, two_tap"),
        ({"tasks": ("gaps", "gaps")}, "none twice"),
        ({"tasks": ("gaps",)}, "num_value_heads is 2, but there are 1 tasks"),
        ({"batch_unrolls": 1}, "at least one for each of the 2 tasks, but is 1"),
        ({"checkpoint_seconds": 90.0}, "90.0 exceeds 60"),
        ({"collection": CollectionConfig(worlds=(1, 2, 3))}, "a number for each"),
        ({"collection": CollectionConfig()}, "measured speeds vary"),
        ({"collection": CollectionConfig(worlds=(1, 1), warmup_steps=900, replay_steps=800)}, "900 exceeds replay_steps 800"),
    ],
)
def test_a_config_that_cannot_work_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(tiny(), **change)


def test_presets_survive_json_and_a_typo_is_named():
    for name in PRESETS:
        assert from_json(to_json(preset(name))) == preset(name)
    with pytest.raises(ValueError, match="no preset 'labtop'; there are tiny, laptop"):
        preset("labtop")
    with pytest.raises(ResumeError, match=r"config\.json cannot be read"):
        from_json(to_json(tiny()).replace('"seed"', '"seeed"'))


def test_a_directory_with_a_run_is_not_overwritten_and_another_config_is_refused(tmp_path):
    store = RunStore(tmp_path, 2)
    with pytest.raises(ResumeError, match="holds no run to resume"):
        store.config(None)
    store.begin(tiny())
    with pytest.raises(ResumeError, match="already holds a run"):
        store.clear()
    assert store.config(None) == store.config(tiny()) == tiny()
    with pytest.raises(ResumeError, match="seed is 0 and not 7"):
        store.config(replace(tiny(), seed=7))
    (tmp_path / "file").touch()
    with pytest.raises(ResumeError, match="Nothing can be written"):
        RunStore(tmp_path / "file", 2)


def test_missing_metrics_stay_missing(tmp_path):
    episodes = [Episode(0, 10.0, 5, True, False, 3, 0.5), Episode(0, 20.0, 7, False, False, 5, 1.5)]
    row = summarise([_report(explained=np.array([np.nan, 0.25]))], episodes, TASKS)
    assert (row["episode_return/gaps"], row["episode_terminated/gaps"], row["episode_episodes/bowl"]) == (15.0, 0.5, 0)
    assert "episode_return/bowl" not in row
    assert row["episode_own_distance/gaps"] == pytest.approx(0.5)
    assert "episode_own_distance/bowl" not in row
    assert "explained/gaps" not in row
    assert row["explained/bowl"] == 0.25
    log = MetricsLog(tmp_path, TASKS)
    log.write({"update": 1, "step": 10} | row)
    log.write({"update": 2, "step": 20})
    with pytest.raises(KeyError, match="no column 'typo'"):
        log.write({"update": 3, "step": 30, "typo": 1.0})
    log.close()
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert list(rows[0]) == columns(TASKS)
    assert (rows[0]["episode_return/bowl"], rows[0]["explained/bowl"]) == ("", "0.25")
    MetricsLog(tmp_path, TASKS, update=1).close()
    assert [row["update"] for row in csv.DictReader((tmp_path / "metrics.csv").open())] == ["1"]
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_progress_says_what_is_left_and_the_realised_ratio():
    row = {"step": 250.0, "steps_per_second": 10.0, "update": 3, "updates_per_second": 0.5, "samples_per_insert": 3.9}
    said = line(row | {"episode_return/bowl": 4.0}, TASKS, 1000, 4.0)
    assert "25.0 %, 1 min 15 s left" in said
    assert "3.90 samples/insert (wanted 4)" in said
    assert "bowl 4.0" in said
    assert "gaps" not in said
    assert [duration(x) for x in (9.6, 3600, 3725, 200_000)] == ["10 s", "1 h", "1 h 2 min", "2 d 7 h"]


def test_divergence_is_told_and_explained(agent):
    now, watch = initial_learned(LearnerConfig(), agent, 2, 1), DivergenceWatch(DivergenceConfig(), TASKS)
    assert watch.look([_report() for _ in range(30)], now) is None
    assert watch.look([_report(), _report(np.nan, 1.0)] + [_report()] * 40, now) is None
    wrong = watch.look([_report(np.inf, 1.0, mean_reward=np.array([0.0, np.inf]))] * 3, now)
    assert wrong is not None
    assert "3 of 3 updates" in wrong
    assert "term value in bowl" in wrong
    for _ in range(30):
        watch.look([_report()], now)
    wrong = watch.look([_report(400.0, explained=np.array([-50.0, 0.9]))] * 5, now)
    assert wrong is not None
    assert "400, usually 1; it is worst in gaps" in wrong
    broken = now._replace(duals=jax.tree.map(lambda x: x * np.nan, now.duals))
    assert "duals.temperature" in (watch.look([], broken) or "")
