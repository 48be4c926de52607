"""Records an agent in a task: a folder with one NWB file, the videos and the settings.

out/session.nwb                      every series, trial and event
out/egocentric/trial_000.mkv         what the animal saw, without loss
out/third_person/trial_000.mp4       what a bystander saw, of the first trials
out/session.json                     settings, versions, what it was made from
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vrodent.recording.errors import RecordingError
from vrodent.recording.events import RULES
from vrodent.recording.mind import ActingAgent, Mind, Perturbation
from vrodent.recording.rollout import Listener, Rollout, VideoConfig
from vrodent.recording.schema import TASK_SERIES
from vrodent.recording.storage import check_free, whole_folder
from vrodent.recording.trial import SessionInfo, TrialData
from vrodent.recording.writer import write_nwb
from vrodent.simulation import make
from vrodent.task import get_task
from vrodent.version import __version__

NWB_NAME = "session.nwb"
SETTINGS_NAME = "session.json"
_MOST_WORLDS = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """Settings of one recording.

    Attributes:
        task: `gaps`, `forage`, `bowl` or `two_tap`.
        trials: how many.
        seed: of the arenas and of the actions' noise.
        deterministic: take the mean of the policy instead of a sample.
        physics: "reference" is the paper's.
        num_worlds: trials run at once; 0 takes as many as divide the trials well, up to 16. The same seed gives the same arenas for any
            number, and the same values for the same number.
        num_threads: of the simulation, 0 for one a core.
        time_limit: s after which a trial is cut short (truncated); None for the task's own limit.
        video: which videos.
    """

    task: str
    trials: int = 25
    seed: int = 0
    deterministic: bool = False
    physics: Literal["reference", "training"] = "reference"
    num_worlds: int = 0
    num_threads: int = 0
    time_limit: float | None = None
    video: VideoConfig = dataclasses.field(default_factory=VideoConfig)

    def __post_init__(self) -> None:
        get_task(self.task)
        if self.trials < 1:
            raise ValueError(f"trials must be at least 1, got {self.trials}.")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}.")
        if self.physics not in ("reference", "training"):
            raise ValueError(f"physics must be 'reference' or 'training', got {self.physics!r}.")
        if self.num_worlds < 0:
            raise ValueError(f"num_worlds must be 0 (choose for me) or more, got {self.num_worlds}.")
        if self.time_limit is not None and not self.time_limit > 0:
            raise ValueError(f"time_limit must be positive seconds or None, got {self.time_limit}.")

    @property
    def worlds(self) -> int:
        """Worlds that are used: never more than trials, and such that the last round of trials is nearly full."""
        if self.num_worlds:
            return min(self.num_worlds, self.trials)
        return math.ceil(self.trials / math.ceil(self.trials / _MOST_WORLDS))


def record(
    agent: ActingAgent,
    task: str,
    trials: int = 25,
    seed: int = 0,
    deterministic: bool = False,
    perturbation: Perturbation | None = None,
    out: str | Path | None = None,
    num_worlds: int = 0,
    physics: Literal["reference", "training"] = "reference",
    progress: Listener | None = None,
    *,
    video: VideoConfig | None = None,
    agent_name: str = "agent",
    lineage: str = "{}",
    num_threads: int = 0,
    time_limit: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Record trials of an agent.

    Args:
        agent: an `Agent`, or anything with its methods `initial_memory`, `act` and `ctrl`.
        task: `gaps`, `forage`, `bowl` or `two_tap`.
        trials: how many.
        seed: of the arenas and of the actions' noise; the same seed gives the same values.
        deterministic: take the mean of the policy instead of a sample.
        perturbation: memory in, memory out, given to `agent.act` at every step; or one that depends on the moment, as `Within`.
        out: folder to make; `sessions/<agent_name>-<task>` unless given. It appears when it is whole, or not at all.
        num_worlds: trials run at once, 0 to choose.
        physics: "reference" is the paper's, "training" faster.
        progress: told how far it is.
        video: which videos; by default every egocentric one and two from outside.
        agent_name: for the file: letters, digits, `.`, `_`, `-`.
        lineage: JSON text on where the agent comes from.
        num_threads: of the simulation, 0 for one a core.
        time_limit: s after which a trial is cut short (truncated); None for the task's own limit.
        overwrite: replace a session that is there.

    Returns:
        The session's NWB file, to give to `vrodent.load_session`.

    Raises:
        ValueError: an unknown task, or a setting out of range.
        RecordingError: `out` exists, cannot be written or the disk is full; nothing is left there.
    """
    config = RecordConfig(
        task=task, trials=trials, seed=seed, deterministic=deterministic, physics=physics, num_worlds=num_worlds,
        num_threads=num_threads, time_limit=time_limit, video=video or VideoConfig(),
    )  # fmt: skip
    origin = _checked(agent_name, lineage)
    out = Path(out) if out is not None else Path("sessions") / f"{agent_name}-{task}"
    check_free(out, overwrite=overwrite)
    began = time.monotonic()
    with whole_folder(out, overwrite=overwrite) as folder:
        recorder, recorded, start = _run(config, agent, perturbation, folder, progress)
        settings = _settings(config, agent_name, origin, perturbation)
        info = _info(recorder, recorded, agent_name, task, start, json.dumps(settings))
        write_nwb(folder / NWB_NAME, info, recorded, dict(RULES[task].measures) | {"diverged": "the physics failed and ended the trial"})
        summary = settings | _summary(info, recorded, time.monotonic() - began)
        (folder / SETTINGS_NAME).write_text(json.dumps(summary, indent=2) + "\n")
    return out / NWB_NAME


def _run(
    config: RecordConfig, agent: ActingAgent, perturbation: Perturbation | None, folder: Path, progress: Listener | None
) -> tuple[Rollout, tuple[TrialData, ...], datetime]:
    task: Any = get_task(config.task)
    if config.time_limit is not None:
        task = dataclasses.replace(task, time_limit=min(config.time_limit, task.time_limit))
    env = make(task, config.worlds, config.seed, physics=config.physics, camera=True, num_threads=config.num_threads)
    try:
        mind = Mind(agent, config.worlds, config.seed, deterministic=config.deterministic, perturbation=perturbation)
        rollout = Rollout(env, mind, config.trials, folder, config.video, progress)
        start = datetime.now(UTC)
        return rollout, rollout.run(), start
    finally:
        env.close()


def _checked(agent_name: str, lineage: str) -> Any:
    if not _NAME.fullmatch(agent_name):
        raise RecordingError(f"agent_name must be letters, digits, '.', '_' and '-', got {agent_name!r}.")
    try:
        return json.loads(lineage)
    except ValueError as error:
        raise RecordingError(f"lineage must be JSON text: {error}.") from error


def _settings(config: RecordConfig, agent_name: str, origin: Any, perturbation: Perturbation | None) -> dict[str, Any]:
    return {
        "vrodent": __version__,
        "agent": agent_name,
        "agent_lineage": origin,
        "settings": dataclasses.asdict(config),
        "worlds": config.worlds,
        "perturbation": None if perturbation is None else _describe(perturbation),
    }


def _describe(perturbation: Perturbation) -> str:
    """Its own words if it has some (`str` of a dataclass names its fields); a function's name otherwise. Never an address in memory."""
    name = getattr(perturbation, "__qualname__", None)
    return str(name) if name else re.sub(r" at 0x[0-9a-f]+", "", str(perturbation))


def _info(rollout: Rollout, trials: tuple[TrialData, ...], agent_name: str, task: str, start: datetime, lineage: str) -> SessionInfo:
    heads = trials[0].data["value"].shape[1]
    return SessionInfo(
        identifier=str(uuid.uuid4()),
        task=task,
        agent=agent_name,
        start=start,
        layers=rollout.mind.layers,
        columns=rollout.body.columns | {"head": tuple(f"value{i}" for i in range(heads))},
        lineage=lineage,
        task_series=TASK_SERIES.get(task, ()),
    )


def _summary(info: SessionInfo, trials: tuple[TrialData, ...], seconds: float) -> dict[str, Any]:
    frames = sum(trial.num_frames for trial in trials)
    return {
        "identifier": info.identifier,
        "started": info.start.isoformat(),
        "seconds_to_record": round(seconds, 1),
        "frames": frames,
        "minutes": round(frames / 3000, 3),
        "layers": dict(info.layers),
        "series": {spec.name: {"shape": list(info.frame_shape(spec)), "unit": spec.unit, "place": spec.place} for spec in info.specs()},
    }
