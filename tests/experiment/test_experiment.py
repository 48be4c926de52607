"""A whole experiment on an agent of which one unit, and no other, turns the body."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.analysis.test_perturbation_table import LAST, experiment
from tests.recording.tiny import TinyAgent
from tests.recording.turner import CAUSE, Turner

from vrodent.analysis import AnalysisError, Result, load_session
from vrodent.cli import main
from vrodent.commands import perturb as command
from vrodent.commands.animals import Animal
from vrodent.experiment import PerturbConfig, add_to_study, check_session, perturb, plan
from vrodent.experiment.run import LEDGER
from vrodent.recording import RecordingError, VideoConfig, Window, record

LINEAGE = json.dumps({"agent": "turner", "steps": 1})
QUICK = {"physics": "training", "num_bootstrap": 200, "num_null": 50, "num_worlds": 6}
CONFIG = PerturbConfig(task="two_tap", event="turn_left", layers=("policy0",), ks=(1, 4), selections=("top", "bottom"), trials=2,
                       time_limit=2.5, **QUICK)  # fmt: skip


def recorded(folder, agent, perturbation=None, trials=2):
    video = VideoConfig(egocentric=False, third_person_trials=0)
    path = record(agent, "two_tap", trials, out=folder, physics="training", video=video, agent_name="turner", lineage=LINEAGE,
                  time_limit=3.0, perturbation=perturbation)  # fmt: skip
    return load_session(path)


@pytest.fixture(scope="module")
def turner():
    return Turner()


@pytest.fixture(scope="module")
def session(turner, tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("session") / "turner-two_tap", turner)


@pytest.fixture(scope="module")
def found(turner, session, tmp_path_factory):
    out = tmp_path_factory.mktemp("experiment")
    said = []
    path = perturb(turner, session, CONFIG, out, lineage=LINEAGE, progress=said.append)
    return Result.load(path), out, said


def mean(result: Result, selection: str, k: int, measure: str) -> float:
    at = (result["condition_selection"] == selection) & (result["condition_k"] == k)
    assert at.sum() == 1
    return float(result["mean"][at, result["measure"].tolist().index(measure)][0])


def test_the_unit_that_turns_the_body_is_ranked_first(found) -> None:
    result = found[0]
    assert result["unit"].tolist() == [f"policy0:{unit}" for unit in range(4)]
    assert np.argmax(np.abs(result["unit_score"])) == CAUSE
    # Everything here repeats itself, so that windows shifted by a period fit as well: the p-values rightly stay large.
    assert np.abs(result["unit_score"][CAUSE]) > 2 * np.abs(np.delete(result["unit_score"], CAUSE)).max()
    assert result.parameters["ranked_by"] == "turn_left" and result.parameters["ranked_by_times"] > 2


def test_holding_it_ends_the_turning_and_holding_the_least_modulated_does_not(found) -> None:
    result = found[0]
    assert list(zip(result["condition_selection"], result["condition_k"], strict=True)) == [
        ("none", 0), ("top", 1), ("bottom", 1), ("top", 4)
    ]  # all four units are the same units, whichever come first  # fmt: skip
    assert mean(result, "none", 0, "event_rate") > 0.6
    assert mean(result, "top", 1, "event_rate") == mean(result, "top", 4, "event_rate") == 0.0
    assert mean(result, "bottom", 1, "event_rate") == pytest.approx(mean(result, "none", 0, "event_rate"), rel=0.01)
    column = result["measure"].tolist().index("speed")
    assert (result["difference"][[1, 3], column] < 0).all() and (result["difference"][0] == 0).all()


def test_the_result_says_what_was_done(found) -> None:
    result, out, said = found
    assert result.name == "perturbation_two_tap" and len(result.fingerprint) == 64 and result.version
    assert result.parameters["success_measure"] == "taps" and result.parameters["success_at"] == 1.0
    assert result.parameters["window.after"] is None and result.parameters["variable"] == "h" and result.parameters["trials"] == 2
    assert result["value"].shape[:2] == (4, 2) and (result["openings"] == 1).all()
    assert said[-1].fraction == 1.0 and said[-1].trials == 8
    assert len((out / LEDGER).read_text().splitlines()) == 9


def test_an_interrupted_experiment_goes_on_to_the_same_bytes(found, turner, session, tmp_path, monkeypatch) -> None:
    whole = (found[1] / LEDGER).read_text().splitlines(keepends=True)
    (tmp_path / LEDGER).write_text("".join(whole[:4]) + whole[4][:30])
    said = []
    path = perturb(turner, session, CONFIG, tmp_path, lineage=LINEAGE, progress=said.append)
    assert said[-1].trials == 5
    for suffix in (".npz", ".json"):
        assert path.with_suffix(suffix).read_bytes() == (found[1] / path.name).with_suffix(suffix).read_bytes()
    monkeypatch.setattr("vrodent.experiment.run.closed_loop", None)  # nothing is left to run
    assert perturb(turner, session, CONFIG, tmp_path, lineage=LINEAGE) == path


def test_another_experiment_in_the_folder_is_not_overwritten_unasked(found, turner, session) -> None:
    before = (found[1] / LEDGER).read_bytes()
    with pytest.raises(RecordingError, match="another experiment"):
        perturb(turner, session, replace(CONFIG, seed=2), found[1], lineage=LINEAGE)
    assert (found[1] / LEDGER).read_bytes() == before


def test_trials_are_matched_and_choices_nested(turner, session) -> None:
    laid = plan(turner, session, replace(CONFIG, selections=("top", "random"), ks=(1, 3)))
    assert [job.trial for job in laid.jobs] == [0] * 5 + [1] * 5 and laid.condition.tolist() == [*range(5)] * 2
    held = {(laid.selection[c], laid.k[c], job.trial): set(i.units.tolist()) for c, job in zip(laid.condition, laid.jobs, strict=True)
            for i in job.interventions}  # fmt: skip
    assert held["top", 1, 0] == held["top", 1, 1] == {CAUSE} and CAUSE in held["top", 3, 0]
    assert held["random", 1, 0] < held["random", 3, 0]
    units = session.activity("policy0").mean(axis=0, dtype=float)
    for job in laid.jobs:
        for intervention in job.interventions:
            assert np.allclose(intervention.course, units[intervention.units])
    assert [len(job.interventions) for job in laid.jobs] == [0, 1, 1, 1, 1] * 2


def test_zero_and_noise(turner, session) -> None:
    zero = plan(turner, session, replace(CONFIG, to="zero")).jobs[-1].interventions[0]
    assert (zero.course == 0).all() and not zero.add and not zero.noise.any()
    noise = plan(turner, session, replace(CONFIG, to="noise", noise=2.0)).jobs[-1].interventions[0]
    assert noise.add and (noise.course == 0).all()
    spread = session.activity("policy0").std(axis=0, dtype=float)
    assert np.allclose(noise.noise, 2.0 * spread[noise.units], rtol=1e-4)


def test_driving_units_with_the_time_course_of_a_turn_elicits_turns(turner, session, tmp_path) -> None:
    config = PerturbConfig(task="two_tap", mode="activate", event="turn_left", ks=(1, 2), selections=("top",), trials=2, time_limit=2.3,
                           variable="h", lead=0.3, course=0.1, within=0.02,
                           window=Window(times=(0.7, 1.7), duration=0.4), **QUICK)  # fmt: skip
    result = Result.load(perturb(turner, session, config, tmp_path, lineage=LINEAGE))
    assert result.name == "perturbation_two_tap_activation" and (result["openings"] == 2).all()
    share = dict(zip(zip(result["condition_layer"], result["condition_k"], strict=True), result["elicited_share"], strict=True))
    # Each window opens while the animal is bent to the right, and closes before it would turn left by itself.
    assert share["", 0] == share["core", 1] == share["core", 2] == 0.0
    assert share["policy0", 1] == share["policy0", 2] == 1.0
    course = plan(turner, session, config).jobs[3].interventions[0].course
    assert course.shape[0] == 21


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ks": (1, 5)}, "between 1 and 4, the units of policy0; got 5"),
        ({"layers": ("policy3",)}, "no layer 'policy3'; this agent has core, policy0"),
        ({"event": "dance"}, "no event or behaviour 'dance'"),
        ({"event": "topple"}, "'topple' never happened"),
        ({"event": None, "task": "two_tap", "layers": ("core",), "ks": (0,)}, "got 0"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_anything_runs(turner, session, tmp_path, changes, says: str) -> None:
    with pytest.raises(AnalysisError, match=says):
        perturb(turner, session, replace(CONFIG, **changes), tmp_path / "out", lineage=LINEAGE)
    assert not (tmp_path / "out").exists()


def test_a_session_of_another_agent_or_task_is_refused(turner, session, tmp_path) -> None:
    with pytest.raises(AnalysisError, match=r"another agent: its layers are \{'core': 2, 'policy0': 4\}, this agent's .*'policy0': 3"):
        check_session(session, TinyAgent(), LINEAGE, "two_tap")
    with pytest.raises(AnalysisError, match="another state of its learning"):
        perturb(turner, session, CONFIG, tmp_path / "out", lineage=json.dumps({"agent": "turner", "steps": 2}))
    with pytest.raises(AnalysisError, match="recorded in two_tap, the experiment is in gaps"):
        check_session(session, turner, LINEAGE, "gaps")
    assert not (tmp_path / "out").exists()


def test_a_perturbed_session_is_refused(turner, session, tmp_path) -> None:
    perturbed = replace(session, lineage=json.dumps(json.loads(session.lineage) | {"perturbation": "a clamp"}))
    with pytest.raises(AnalysisError, match="itself perturbed"):
        check_session(perturbed, turner, LINEAGE, "two_tap")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"trials": 0}, "trials"), ({"noise": 0.0}, "noise"), ({"course": -1.0}, "course"),
        ({"lead": -1.0}, "lead"), ({"ks": (2, 2)}, "twice"),
        ({"selections": ()}, "selections"), ({"mode": "activate", "to": "zero"}, "to='zero'"), ({"seed": -3}, "-3"),
        ({"window": Window(times=(40.0,))}, "opens at 40 s"), ({"window": Window(after="fall")}, "'fall' in two_tap"),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(changes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        PerturbConfig(task="two_tap", **changes)


@pytest.fixture
def known(turner, monkeypatch):
    monkeypatch.setattr(command, "find_animal", lambda word: Animal(name=word, agent=turner, lineage=LINEAGE))


QUICKLY = ["--task", "two_tap", "--physics", "training", "--num-worlds", "6", "--time-limit", "1.2", "--event", "turn_left"]


def test_the_command_runs_an_experiment_and_leaves_its_settings(known, session, tmp_path, capsys) -> None:
    words = ["perturb", "turner", *QUICKLY, "--layers", "policy0", "--ks", "1", "--selections", "top", "--trials", "1", "--json",
             "--session", str(session.path), "--out", str(tmp_path / "out"), "--films"]  # fmt: skip
    assert main(words) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert said["result"] == str(tmp_path / "out" / "perturbation_two_tap.json")
    assert [(one["layer"], one["k"]) for one in said["conditions"]] == [("", 0), ("policy0", 1)]
    assert [one["mean"]["event_rate"] > 0 for one in said["conditions"]] == [True, False]
    assert "2 conditions of 1 trials" in err and "turn_left" in err
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["config"]["ks"] == [1]
    result = Result.load(tmp_path / "out" / "perturbation_two_tap.json")
    assert result["condition_film"].tolist() == ["", "films/beside-policy0-1.mp4"]
    assert (tmp_path / "out" / "films" / "beside-policy0-1.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--ks", "9"], "between 1 and 2, the units of core; got 9"),
        (["--layers", "policy9"], "no layer 'policy9'"),
        (["--after", "orb_taken"], "no event or behaviour 'orb_taken' in two_tap"),
        (["--study", "somewhere"], "not both"),
        (["--session", "None", "--study", "somewhere"], "somewhere holds no analysed study"),
    ],
)
def test_the_command_says_what_was_wrong(known, session, tmp_path, capsys, words, says: str) -> None:
    assert main(["perturb", "turner", *QUICKLY, "--session", str(session.path), "--out", str(tmp_path / "out"), *words]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out" / LEDGER).exists()


def test_an_experiment_joins_its_study_and_what_follows_from_all_of_them(tmp_path, monkeypatch) -> None:
    judged = []
    monkeypatch.setattr("vrodent.experiment.run.judge", judged.append)
    first, other = (experiment(i, speed={LAST: 0.3}, name=f"perturbation_{task}") for i, task in enumerate(("gaps", "bowl")))
    (tmp_path / "out" / "films").mkdir(parents=True)
    (tmp_path / "out" / "films" / "beside.mp4").write_bytes(b"film")
    results = tmp_path / "results"
    add_to_study(first.save(tmp_path / "out"), results)
    add_to_study(other.save(tmp_path / "other"), results)
    summary = Result.load(results / "perturbation.json")
    assert summary["experiment"].tolist() == ["perturbation_bowl", "perturbation_gaps"]
    assert summary["experiments"][0] == 2 and judged == [results, results]
    assert (results / "films" / "beside.mp4").is_file()
