"""From session files to results: planted answers come through, reruns cost nothing and give the same bytes, bad sessions are refused."""

from pathlib import Path

import numpy as np
import pytest
from tests.analysis.settings import quick
from tests.analysis.signals import red_noise, sine
from tests.analysis.synthetic import make_session, write_session

from vrodent.analysis import Session, pipeline
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, prepare
from vrodent.analysis.encoding import EncodingConfig
from vrodent.analysis.fixed_point_tables import Condition, Layer, network_result
from vrodent.analysis.pipeline import Analysis, AnalysisConfig, Tick, analyze
from vrodent.analysis.progress import Step
from vrodent.analysis.reader import load_session
from vrodent.analysis.result import Quantity, Result, load_results
from vrodent.analysis.verdicts import Claim, Finding

NAMES = (*(analysis.name for analysis in pipeline.ANALYSES if analysis.compute), "findings")
LENGTHS = (420, 450, 410, 430)
CONFIG = quick(AnalysisConfig(seed=3, num_bootstrap=200, encoding=EncodingConfig(num_null=19)))


def planted(task: str, seed: int, lengths: tuple[int, ...] = LENGTHS) -> Session:
    """`core` is slow; `policy0` oscillates at 3 Hz; joint angles are a rotated copy of `policy0` with a little noise."""
    rng = np.random.default_rng(seed)
    total = sum(lengths)
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, size=6)
    policy = np.stack([sine(total, 3.0, phase=phase) for phase in phases], axis=1) * (1 + 0.5 * red_noise(rng, total, 1, 0.5))
    joints = policy @ np.random.default_rng(1).normal(size=(6, 30))
    return make_session(
        lengths,
        {"core": 8, "policy0": 6},
        planted={
            "activity_core_h": red_noise(rng, total, 8, 1.0).astype(np.float32),
            "activity_policy0_h": policy.astype(np.float32),
            "joint_angles": (joints + 0.1 * rng.normal(size=joints.shape)).astype(np.float32),
        },
        task=task,
        seed=seed,
        measures={"gaps_crossed": [1.0] * len(lengths)},
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sessions")
    return [write_session(folder / f"synthetic-{task}", planted(task, seed)) for seed, task in enumerate(("gaps", "bowl"))]


@pytest.fixture(scope="module")
def results(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results")
    analyze(files, out, CONFIG)
    return out


def test_planted_answers_come_through(results: Path) -> None:
    spectra = Result.load(results / "spectra.json")
    frequency = spectra["frequency"]
    layer = {name: i for i, name in enumerate(spectra["layer"])}
    assert list(spectra["task"]) == ["gaps", "bowl", "all"]
    for task in range(3):
        assert frequency[spectra["power"][task, layer["policy0"]].argmax()] == 3.0
        assert frequency[spectra["power"][task, layer["core"]].argmax()] < 1.0
        assert spectra["centroid_contrast_low"][task, layer["policy0"]] > 0
    assert spectra["centroid_contrast_p_trial"][2, 1] == pytest.approx(2 / 2**8)
    found = Result.load(results / "encoding.json")
    sets = {name: i for i, name in enumerate(found["set"])}
    for task in range(3):
        assert found["cka"][task, layer["policy0"], sets["joint_angles"]] > 0.8
        assert found["p_value"][task, layer["policy0"], sets["joint_angles"]] == pytest.approx(1 / 20)
        assert abs(found["cka"][task, layer["core"], sets["joint_angles"]]) < 0.1
        assert abs(found["cka"][task, layer["policy0"], sets["forces"]]) < 0.05


def test_findings_judge_the_claims(results: Path) -> None:
    """Planted: policy0 oscillates at 3 Hz and the core drifts, so both claims on timescales hold."""
    table = Result.load(results / "findings.json")
    rows = {claim: i for i, claim in enumerate(table["claim"].tolist())}
    faster, longer = rows["Policy layers fluctuate faster than the core"], rows["The core remembers longer than policy layers"]
    assert table["verdict"][[faster, longer]].tolist() == ["reproduced", "reproduced"]
    assert table["value"][faster] > 0 > table["value"][longer]
    assert list(rows) == [claim.claim for analysis in pipeline.ANALYSES for claim in analysis.claims]
    judged = np.isfinite(table["value"])
    assert all(table["remark"][~judged]) and np.isfinite(table["p_value"][judged]).all() and all(table["null"][judged])


def test_a_claim_that_cannot_be_judged_is_undecided_and_says_why(
    files: list[Path], results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An analysis that the sessions cannot carry, and one whose result another command makes."""

    def refuses(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Tick) -> Result:
        raise AnalysisError("too few jumps")

    claims = [Claim(claim=f"claim {i}", statistic="words", expected=1, section="here") for i in range(2)]
    judged = Claim.measured(claims[1], 1.0, 0.5, 1.5, 0.01)
    extra = (
        Analysis(name="jumps", compute=refuses, claims=(claims[0],)),
        Analysis(name="elsewhere", compute=None, claims=(claims[1],), judge=lambda result: [judged]),
    )
    monkeypatch.setattr(pipeline, "ANALYSES", pipeline.ANALYSES[:1] + extra)
    analyze(files, tmp_path, CONFIG)
    assert not Result.load(tmp_path / "jumps.json").present
    table = Result.load(tmp_path / "findings.json")
    assert table["verdict"].tolist() == ["undecided", "undecided"] and np.isnan(table["value"]).all()
    assert table["remark"].tolist() == ["not measured: too few jumps", "not measured: no result 'elsewhere' is here"]
    made = Quantity(values=np.ones(1), axes=("one",))
    Result(name="elsewhere", kind="elsewhere", arrays={"x": made}, fingerprint="f").save(tmp_path)
    pipeline.judge(tmp_path)
    assert Result.load(tmp_path / "findings.json")["verdict"].tolist() == ["undecided", "reproduced"]


@pytest.mark.parametrize(
    ("expected", "low", "high", "p", "verdict"),
    [
        (1, 0.1, 0.3, 0.01, "reproduced"),
        (-1, 0.1, 0.3, 0.01, "opposite"),
        (-1, -0.3, -0.1, 0.01, "reproduced"),
        (1, -0.3, -0.1, 0.01, "opposite"),
        (1, -0.1, 0.3, 0.01, "undecided"),
        (1, 0.1, 0.3, 0.2, "undecided"),
        (1, np.nan, np.nan, 0.01, "undecided"),
    ],
)
def test_verdicts(expected: int, low: float, high: float, p: float, verdict: str) -> None:
    value = (low + high) / 2
    finding = Finding(claim="", statistic="", unit="1", expected=expected, value=value, low=low, high=high, p_value=p, section="")
    assert finding.verdict == verdict


def test_the_sessions_table(results: Path) -> None:
    table = Result.load(results / "sessions.json")
    np.testing.assert_allclose(table["trial_duration"], [*np.array(LENGTHS) / 50, *np.array(LENGTHS) / 50])
    assert table["trial_used"].all()
    columns = (table[f"measure_{column}"] for column in ("task", "name", "mean"))
    rows = {(task, name): mean for task, name, mean in zip(*columns, strict=True)}
    assert rows["gaps", "gaps_crossed"] == 1.0
    assert rows["bowl", "duration"] == pytest.approx(np.mean(LENGTHS) / 50)
    assert list(table["folder"]) == ["synthetic-gaps", "synthetic-bowl"]
    assert table.parameters["seed"] == 3 and table.version


def test_a_second_run_computes_nothing_and_a_changed_setting_does(files: list[Path], results: Path) -> None:
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in results.iterdir()}
    steps: list[Step] = []
    assert analyze(files, results, CONFIG, steps.append) == [results / f"{name}.json" for name in NAMES]
    assert not steps
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in results.iterdir()} == before


def test_the_same_seed_gives_the_same_bytes_whatever_is_already_there(files: list[Path], results: Path, tmp_path: Path) -> None:
    for suffix in ("json", "npz"):
        (tmp_path / f"sessions.{suffix}").write_bytes((results / f"sessions.{suffix}").read_bytes())
    steps: list[Step] = []
    analyze(files, tmp_path, CONFIG, steps.append)
    for path in results.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
    assert steps[-1].completed == steps[-1].total and steps[-1].seconds_left == 0
    assert [s.completed for s in steps] == sorted(s.completed for s in steps)


def test_a_damaged_result_is_made_again(files: list[Path], results: Path, tmp_path: Path) -> None:
    for path in results.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "spectra.npz").write_bytes(b"half")
    analyze(files, tmp_path, CONFIG)
    assert (tmp_path / "spectra.npz").read_bytes() == (results / "spectra.npz").read_bytes()
    assert set(load_results(tmp_path)) == set(NAMES)


def test_weights_that_come_later_are_looked_at_and_nothing_else_is_made_again(files: list[Path], results: Path, tmp_path: Path) -> None:
    assert "--agent AGENT" in Result.load(results / "fixed_points.json").notes[0]
    for path in results.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    identifiers = tuple(load_session(path).identifier for path in files)
    conditions = [Condition(name="gaps", behaviour=False, drive=np.zeros(8), h=np.zeros((3, 2)), c=np.ones((3, 2)))]
    network_result([Layer(name="core", weight_hidden=np.zeros((2, 8)), conditions=conditions)], identifiers, "{}").save(tmp_path)
    analyze(files, tmp_path, CONFIG)
    changed = {path.name for path in tmp_path.iterdir() if before.get(path.name) != path.stat().st_mtime_ns}
    assert changed == {f"{name}.{kind}" for name in ("network", "fixed_points", "findings") for kind in ("json", "npz")}
    found = Result.load(tmp_path / "fixed_points.json")
    assert found["num_points"].tolist() == [[1.0]] and found["time_constant"][0, 0] == pytest.approx(-0.02 / np.log(0.5))


def test_short_and_broken_trials_are_left_out_and_said_so() -> None:
    lengths = (210, 100, 220, 230)
    forces = np.random.default_rng(0).normal(size=(sum(lengths), 38))
    forces[320] = np.nan
    session = make_session(lengths, planted={"actuator_forces": forces})
    data = prepare([session])
    np.testing.assert_array_equal(data.sessions[0].used_trials, [0, 3])
    notes = " ".join(data.sessions[0].notes)
    assert "gaps, trial 1 is left out: 2.00 s long, 4 s needed." in notes
    assert "gaps, trial 2 is left out: values missing in actuator_forces." in notes


def test_refuses_sessions_that_do_not_belong_together() -> None:
    one = make_session((250, 250), task="gaps")
    with pytest.raises(AnalysisError, match="different agents mixed: 'synthetic' and 'another'"):
        prepare([one, make_session((250, 250), task="bowl", agent="another")])
    with pytest.raises(AnalysisError, match="different layers mixed"):
        prepare([one, make_session((250, 250), {"core": 9, "policy0": 6}, task="bowl")])
    with pytest.raises(AnalysisError, match="Two sessions of one task"):
        prepare([one, make_session((250, 250), task="gaps")])
    with pytest.raises(AnalysisError, match="two usable trials"):
        prepare([make_session((250, 20))])
    with pytest.raises(AnalysisError, match="No session given"):
        prepare([])


@pytest.mark.parametrize(("setting", "match"), [({"seed": -1}, "-1"), ({"variable": "x"}, "'x'"), ({"segment": -2.0}, "-2.0"),
                                                ({"num_bootstrap": 3}, "3")])  # fmt: skip
def test_refuses_settings(setting: dict, match: str) -> None:
    with pytest.raises(AnalysisError, match=match):
        AnalysisConfig(**setting)
