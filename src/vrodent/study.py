"""A whole study of one agent: sessions in every task, their analysis, and the page.

    study/sessions/AGENT-TASK/     as `vrodent.recording.record` writes them
    study/results/                 as `vrodent.analysis.analyze` writes them
    study/report.html              the page

What is there and was made from the same agent with the same settings is not made again, so an interrupted study goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrodent.agent import Agent
from vrodent.analysis import AnalysisConfig, analyze
from vrodent.experiment.network import export_network
from vrodent.recording import RecordConfig, VideoConfig, record
from vrodent.recording.record import NWB_NAME, SETTINGS_NAME
from vrodent.report import write_report
from vrodent.task import TASK_NAMES
from vrodent.version import __version__

Bar = Callable[[str], AbstractContextManager[Callable[[Any], None]]]
"""A label in, a context that gives a listener out."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Settings of a study.

    Attributes:
        tasks: which, each recorded into a session of its own.
        trials: per task.
        seed: of arenas, of the actions' noise, and of the analyses.
        deterministic: take the mean of the policy instead of a sample.
        num_threads: of the simulation, 0 for one a core.
        time_limit: s after which a trial is cut short; None for the task's own limit.
        video: which videos.
        analysis: settings of the analyses.
    """

    tasks: tuple[str, ...] = TASK_NAMES
    trials: int = 25
    seed: int = 0
    deterministic: bool = False
    num_threads: int = 0
    time_limit: float | None = None
    video: VideoConfig = field(default_factory=lambda: VideoConfig(third_person_trials=1))
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise ValueError(f"tasks must name at least one task and none twice, got {self.tasks}.")
        for task in self.tasks:
            self.recording(task)

    def recording(self, task: str) -> RecordConfig:
        """Settings of one task's session.

        Raises:
            ValueError: a setting is out of range.
        """
        return RecordConfig(
            task=task, trials=self.trials, seed=self.seed, deterministic=self.deterministic, num_threads=self.num_threads,
            time_limit=self.time_limit, video=self.video,
        )  # fmt: skip


def quick() -> StudyConfig:
    """A study of a minute or two on two cores: four trials a task, the first 12 s of one of them filmed."""
    return StudyConfig(trials=4, video=VideoConfig(third_person_trials=1, seconds=12.0))


def no_bar(label: str) -> AbstractContextManager[Callable[[Any], None]]:
    """A `Bar` that shows nothing."""
    return nullcontext(lambda step: None)


def study(
    agent: Any, out: Path, config: StudyConfig, *, agent_name: str, lineage: str, recording_bar: Bar = no_bar, analysis_bar: Bar = no_bar
) -> Path:
    """Record an agent in every task, analyse the sessions, and make the page.

    Args:
        agent: as `vrodent.recording.record` takes it.
        out: folder of the study; see above.
        config: settings.
        agent_name: for the files.
        lineage: JSON text on where the agent comes from.
        recording_bar, analysis_bar: show progress.

    Returns:
        Path of the page.

    Raises:
        RecordingError, SessionError, AnalysisError, ReportError: a step failed; what came before it is kept.
    """
    sessions = []
    for task in config.tasks:
        folder = out / "sessions" / f"{agent_name}-{task}"
        settings = config.recording(task)
        if not _is_recorded(folder, settings, agent_name, lineage):
            with recording_bar(f"recording {agent_name} in {task}") as listener:
                record(
                    agent, task, settings.trials, settings.seed, settings.deterministic, None, folder, settings.num_worlds,
                    settings.physics, listener, video=settings.video, agent_name=agent_name, lineage=lineage,
                    num_threads=settings.num_threads, time_limit=settings.time_limit, overwrite=True,
                )  # fmt: skip
        sessions.append(folder)
    if isinstance(agent, Agent) and config.video.egocentric:
        export_network(agent, sessions, out / "results", lineage)
    with analysis_bar("analysing") as listener:
        analyze(sessions, out / "results", dataclasses.replace(config.analysis, seed=config.seed), listener)
    return write_report(out)


def _is_recorded(folder: Path, settings: RecordConfig, agent_name: str, lineage: str) -> bool:
    """Whether a whole session with these settings, of this agent, by this version is there."""
    try:
        found = json.loads((folder / SETTINGS_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    wanted = {
        "vrodent": __version__,
        "agent": agent_name,
        "agent_lineage": json.loads(lineage),
        "settings": json.loads(json.dumps(dataclasses.asdict(settings))),
        "perturbation": None,
    }
    return (folder / NWB_NAME).is_file() and all(found.get(key) == value for key, value in wanted.items())
