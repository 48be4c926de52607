"""A whole study of a small untrained network: sessions, results and page; the second time nothing is made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vrodent.agent import Agent, AgentConfig
from vrodent.analysis import AnalysisConfig, EncodingConfig, Result
from vrodent.recording import VideoConfig
from vrodent.study import StudyConfig, quick, study

LINEAGE = json.dumps({"agent": "untrained", "steps": 0})


def times(folder: Path) -> dict[Path, int]:
    """When each file of the sessions and the results was last written."""
    return {path: path.stat().st_mtime_ns for part in ("sessions", "results") for path in (folder / part).rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_study_from_agent_to_page_and_again(tmp_path: Path) -> None:
    config = StudyConfig(
        tasks=("gaps", "two_tap"),
        trials=2,
        time_limit=6.0,
        video=VideoConfig(third_person_trials=1, width=64, height=48, seconds=0.4),
        analysis=AnalysisConfig(num_bootstrap=100, encoding=EncodingConfig(num_null=5, min_shift=1.0)),
    )
    agent = Agent(AgentConfig(num_policy_layers=1, core_size=16, policy_size=16))
    page = study(agent, tmp_path, config, agent_name="untrained", lineage=LINEAGE)
    html = page.read_text(encoding="utf-8")
    assert page == tmp_path / "report.html" and "This network is untrained" in html
    made = times(tmp_path)
    names = {path.name for path in made}
    assert {"session.nwb", "session.json", "spectra.npz", "encoding.npz", "network.npz"} <= names
    rest = Result.load(tmp_path / "results" / "fixed_points")
    assert rest["row"].tolist()[:2] == ["task:gaps", "task:two_tap"] and (rest["num_points"] > 0).any()

    study(agent, tmp_path, config, agent_name="untrained", lineage=LINEAGE)
    assert times(tmp_path) == made


def test_a_study_of_unfit_settings_is_refused_before_it_starts() -> None:
    with pytest.raises(ValueError, match="no task 'twotap'"):
        StudyConfig(tasks=("twotap",))
    with pytest.raises(ValueError, match="none twice"):
        StudyConfig(tasks=("gaps", "gaps"))
    with pytest.raises(ValueError, match="trials must be at least 1"):
        StudyConfig(trials=0)


def test_quick_is_quicker() -> None:
    assert quick().trials < StudyConfig().trials
    assert quick().tasks == StudyConfig().tasks
