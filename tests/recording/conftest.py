"""One recording of a small agent, shared by the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.recording.tiny import TinyAgent

from vrodent.recording import RecordingProgress, VideoConfig, record


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recording, what made it and what it said on the way."""

    agent: TinyAgent
    path: Path
    progress: list[RecordingProgress]


SETTINGS = {"trials": 3, "seed": 3, "num_worlds": 2, "time_limit": 1.99}
SILENT = VideoConfig(third_person_trials=0)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Recorded:
    """Three trials of 100 frames of two-tap in two worlds, the first filmed from outside."""
    agent, said = TinyAgent(), []
    film = VideoConfig(third_person_trials=1, width=160, height=120, seconds=0.5)
    out = tmp_path_factory.mktemp("sessions") / "tiny-two_tap"
    path = record(agent, "two_tap", out=out, progress=said.append, video=film, agent_name="tiny", lineage='{"steps": 7}', **SETTINGS)
    return Recorded(agent=agent, path=path, progress=said)
