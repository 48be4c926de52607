"""`vrodent train`: an agent by a preset."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from vrodent.agent import Agent
from vrodent.commands.teachers import SPEEDS, find_skills, find_teachers
from vrodent.config import save_resolved, usage
from vrodent.training.checkpoint import find_checkpoint
from vrodent.training.cluster import ClusterConfig
from vrodent.training.collection import Teacher
from vrodent.training.evaluation import VALIDATION_SEED, evaluate
from vrodent.training.preset import PRESETS
from vrodent.training.settings import TrainConfig
from vrodent.training.teachers.network import Teacher as SkillTeacher
from vrodent.training.teachers.skills import Role
from vrodent.training.train import train

_SUMMARIES = {
    "tiny": "seconds: shows that everything runs, learns nothing",
    "laptop": "two cores: reinforcement in reference physics",
    "distil": "two cores: from teachers, the critic from the first step",
    "gpu": "one GPU that simulates and learns",
    "paper": "the paper's recipe, for a cluster's budget of steps",
}
_Preset = tyro.extras.subcommand_type_from_defaults(
    {name: make() for name, make in PRESETS.items()}, {name: _SUMMARIES.get(name, "") for name in PRESETS}, prefix_names=False
)


@dataclass(frozen=True, kw_only=True)
class Command:
    """Train an agent by a preset; every setting of it can be changed by an option. OUT holds checkpoints, the settings (config.json), a
    table of progress (CSV) and TensorBoard's files. Ctrl-C writes a checkpoint; --resume goes on from the last one with the run's own
    settings.

    example: vrodent train tiny --out runs/tiny
    """

    config: _Preset  # type: ignore[valid-type]
    """The preset."""
    out: Path
    """Folder of the run."""
    resume: bool = False
    """Go on with the run that is in OUT."""
    start: Path | None = None
    """A packaged agent's name or a checkpoint's folder to start from, instead of fresh weights."""
    teacher: tuple[Path, ...] = ()
    """A teacher's folder (see `vrodent teach`), or the name of one that comes with vrodent, such as `locomotion`: it labels all experience,
    and drives the rat in some of it. One for all tasks, or one for each, in the order gaps, forage, bowl, two_tap. The preset `distil`
    needs one."""
    righting: Path | None = None
    """A teacher's folder, or the name of a packaged one, that brings the rat to its feet in the bowl and, with --approach, in two_tap; the
    teacher of the task then has it only while it stands."""
    approach: Path | None = None
    """A teacher's folder, or the name of a packaged one, that walks to the orb of two_tap; the teacher of two_tap has it only near by."""
    speeds: tuple[float, float, float, float] = SPEEDS
    """m/s that the teacher walks at in gaps, forage, bowl and two_tap."""
    strike: float = 0.0
    """m from the orb of two_tap within which a palm that stays for 0.2 s has tapped it, as its teacher is told; 0 tells of touches only. A
    student cannot tell a touch from a near miss: 0.05 lets it learn to come again in time after either."""
    calmness: tuple[float, float] = (0.0, 0.0)
    """Share of the label before in the labels of teachers that walk, and of the one that taps: a low-pass filter. Teachers tremble from
    step to step, to no end and beyond imitation; the packaged ones walk and tap as well with 0.3 0.6."""
    skills: bool = False
    """Make the networks of all teachers skills of the agent: its policy then says which of them is to act and what it is told, such as
    where the orb is, instead of moving every actuator itself. Needs a --teacher for each task, --righting and --approach. An agent given to
    --start that has skills already keeps them without this option and gets those of the teachers with it."""
    cluster: str | None = None
    """Let actors run on a cluster of Ray (needs vrodent[cluster]): its address, or `local` for processes of this machine alone."""
    workers: int = 0
    """Processes on the cluster, of one CPU each and at least one a task; 0 takes one a task."""
    evaluation_trials: int = 0
    """Trials of each task, in reference physics, by which the agent is scored every --evaluate-seconds and at the end; 4 take some minutes.
    Their arenas are neither learned in nor those of `vrodent evaluate`."""
    json: bool = False
    """Print where the last checkpoint is as one JSON object."""

    def run(self) -> int:
        """Train and say where the last checkpoint is."""
        config: TrainConfig | None = None if self.resume else self.config
        with usage():
            if self.evaluation_trials < 0:
                raise ValueError(f"evaluation_trials must not be negative, got {self.evaluation_trials}.")
            if self.workers and self.cluster is None:
                raise ValueError(f"--workers {self.workers} are of use with --cluster only.")
            cluster = None if self.cluster is None else ClusterConfig(address=self.cluster, workers=self.workers)
            start = None if self.start is None else find_checkpoint(self.start)
            path = train(
                config, self.out, resume=self.resume, start=start, teachers=self._teachers(), skills=self._skills(), method=self._method(),
                evaluate=self._scores if self.evaluation_trials else None, cluster=cluster,
            )  # fmt: skip
        save_resolved(self.out / "settings.json", "train", {"resume": self.resume, "start": self.start, "config": self.config})
        print(json.dumps({"checkpoint": str(path)}) if self.json else f"checkpoint: {path}")
        return 0

    def _teachers(self) -> dict[str, Teacher] | None:
        """The teacher at work in each of the preset's tasks, if one is asked for."""
        if not self.teacher:
            if self.config.learner.loss.teaching is not None and self.config.learner.loss.policy_weight == 0.0:
                raise ValueError("This preset learns from a teacher only: name one by --teacher, `locomotion` for the packaged one.")
            return None
        named = self.teacher, self.righting, self.approach, self.speeds, self.config.tasks, self.strike, self.calmness
        return dict(find_teachers(*named, mapless=True))  # a student has no map

    def _skills(self) -> dict[Role, SkillTeacher] | None:
        return find_skills(self.teacher, self.righting, self.approach) if self.skills else None

    def _scores(self, agent: Agent, update: int) -> dict[str, float]:
        """Mean return, and the task's own measure, of each task."""
        found = evaluate(agent, self.config.tasks, self.evaluation_trials, VALIDATION_SEED)
        return {f"{result.task}.{e.name}": e.value for result in found.tasks for e in result.estimates[:2]}

    def _method(self) -> str:
        if not self.teacher:
            return "reinforcement"
        names = ", ".join(dict.fromkeys(t.name for t in (*self.teacher, *filter(None, (self.righting, self.approach)))))
        if self.skills:
            return f"taught to command skills, the networks of the teachers {names}"
        return f"kickstarted by the teacher{'s' if ',' in names else ''} {names}"
