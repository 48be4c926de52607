"""The section on perturbations, from an experiment with planted outcomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.analysis.test_perturbation_table import CORE, LAST, experiment

from vrodent.analysis.perturbation_claims import summarise
from vrodent.analysis.perturbation_table import KIND
from vrodent.analysis.result import Quantity, Result, load_results
from vrodent.recording.video import VideoWriter
from vrodent.report import perturbation
from vrodent.report.clips import ClipConfig
from vrodent.report.contents import Page

PARAMETERS = {
    "task": "gaps", "mode": "inactivate", "to": "mean", "variable": "h", "ranked_by": "run", "ranked_by_times": 9, "session": "s-1",
    "success_measure": "gaps_crossed", "success_at": 1.0, "window.after": None, "window.duration": None, "seed": 1, "physics": "reference",
    "time_limit": 30.0, "num_null": 200, "num_bootstrap": 400,
}  # fmt: skip


def made(**extra) -> Result:
    found = experiment(speed={LAST: 0.3}, success={CORE: 0.2}, elicited={LAST: 0.9, CORE: 0.1})
    return replace(found, parameters=PARAMETERS | extra)


def page(folder: Path, *results: Result) -> Page:
    summary = summarise(results, np.random.default_rng(0), num_bootstrap=200)
    return Page(results={one.name: one for one in (*results, summary)}, sessions=folder / "sessions", clips=ClipConfig())


def test_kinds_agree() -> None:
    assert perturbation.KIND == KIND


def test_a_study_without_experiments_says_how_to_make_one(tmp_path: Path) -> None:
    columns = {"task": ["gaps", "forage"], "agent": ["<rat>", "<rat>"]}
    arrays = {name: Quantity(values=np.array(values), axes=("session",)) for name, values in columns.items()}
    sessions = Result(name="sessions", kind="sessions", arrays=arrays)
    bare = Page(results={"sessions": sessions}, sessions=tmp_path / "sessions", clips=ClipConfig())
    html = perturbation.perturbations(bare)
    assert "No units were perturbed in this study." in html
    assert "vrodent perturb &lt;rat&gt; --task forage --study FOLDER" in html
    assert perturbation.perturbation_methods(bare) == []


def test_the_section_shows_curves_numbers_and_how_it_was_done(tmp_path: Path) -> None:
    shown = page(tmp_path, made())
    html = perturbation.perturbations(shown)
    assert "Gaps: units silenced" in html and "held at their mean, in the whole trial" in html and "happened 9 times" in html
    assert html.count("data-figure=") == 2  # one selection only: no panels by layer
    assert html.count("<tr>") == 8 and "Save as CSV" in html
    words = perturbation.perturbation_methods(shown)
    assert [title for title, _ in words] == ["Perturbation", "Gaps: units silenced"]


def test_curves_are_the_results_numbers() -> None:
    result = made()
    figure = perturbation.curves(result, "upright_speed", ["core", "policy0", "policy1"], ("top",))
    named = {trace["name"]: trace for trace in figure["data"] if "name" in trace}
    column = result["measure"].tolist().index("upright_speed")
    last = named["policy 2, most modulated"]
    assert last["y"] == pytest.approx(result["mean"][[5, 6], column].tolist(), rel=1e-4)
    assert np.array(last["y"]) + last["error_y"]["array"] == pytest.approx(result["mean_high"][[5, 6], column], rel=1e-3)
    assert named["intact"]["y"] == pytest.approx([result["mean"][0, column]] * 2, rel=1e-4)


def test_activation_shows_what_was_elicited_and_when(tmp_path: Path) -> None:
    driven = made(mode="activate", variable="c", **{"window.after": "first_tap", "window.duration": 1.0})
    html = perturbation.perturbations(page(tmp_path, driven))
    assert "Gaps: units driven" in html and "Drives that elicit run" in html and "for 1.0 s after first tap" in html


def test_a_film_beside_the_result_is_shown(tmp_path: Path) -> None:
    (tmp_path / "results" / "films").mkdir(parents=True)
    with VideoWriter(tmp_path / "results" / "films" / "beside.mp4", 25, "browser") as writer:
        for i in range(10):
            writer.add(np.full((120, 328, 3), 20 * i, np.uint8))
    result = made()
    films = Quantity(values=np.array(["", "", "films/beside.mp4", "", "films/gone.mp4", "", ""]), axes=("condition",), unit="")
    html = perturbation.perturbations(page(tmp_path, replace(result, arrays={**result.arrays, "condition_film": films})))
    assert html.count("<video") == 1 and "core, 8 units: the intact animal left" in html


def test_what_data_says_is_escaped(tmp_path: Path) -> None:
    html = perturbation.perturbations(page(tmp_path, made(ranked_by="<b>", success_measure="<i>")))
    assert "<b>" not in html and "<i>" not in html


def test_results_survive_the_disk(tmp_path: Path) -> None:
    made().save(tmp_path)
    (again,) = load_results(tmp_path).values()
    assert perturbation.perturbations(page(tmp_path, again)) == perturbation.perturbations(page(tmp_path, made()))
