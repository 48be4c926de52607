"""Everything a run of training is made of, in one config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vrodent.agent import AgentConfig
from vrodent.task import TASK_NAMES
from vrodent.training.evaluation import HELD_OUT_SEED, VALIDATION_SEED
from vrodent.training.learner import LearnerConfig
from vrodent.training.rollback import DivergenceConfig

_POSITIVE = ("total_steps", "batch_unrolls", "burst_updates", "publish_updates", "checkpoint_seconds", "keep_checkpoints", "log_seconds")


@dataclass(frozen=True, kw_only=True)
class CollectionConfig:
    """How experience is collected and reused. A step is one control step (0.02 s) of one world.

    Attributes:
        num_worlds: of all tasks together.
        worlds: worlds of each task, in the order of the tasks; empty: `num_worlds` divided so that each task takes the same share of
            the time, by a measurement at the start.
        unroll_length: steps of an unroll.
        replay_steps: steps in all replays together; 14 kB each, 2.5 kB with frozen eyes.
        frozen_eyes: the image encoder learns nothing, and replays hold its features instead of pictures, so that learning costs a
            fraction of the time. For an agent that sees already, such as one from `vrodent look`.
        warmup_steps: steps before the first update; proprioception's mean and deviation are measured on them.
        samples_per_insert: how often a step is learned from, on average.
        teacher_share: part of the episodes in which the teacher acts in the student's stead, at first; in the warm-up at least a half.
        final_teacher_share: the same from update `teacher_share_updates` on, linearly approached.
        teacher_share_updates: see there.
        lapses: share of the steps of the teacher's episodes in which the student acts, some tenths of a second at a time.
        physics: "training" or "reference".
        orb_area: m from the middle, in x and y, within which the orbs of two_tap appear. In an area smaller than the task's own they are
            tapped more often, for the way to them is short.
        camera_shadows: as in the original, at most of a frame's cost.
        threads: of each task's physics; 0 takes one a core.
        device: where worlds and replays are. On "gpu", worlds of all tasks are equal in number unless `worlds` says otherwise, tasks and
            learner take turns, and a resumed run finds its replays empty: it warms up again.
        warp_device: with device "gpu", another than the first GPU, such as "cuda:1"; "cpu" is slow and for tests.
    """

    num_worlds: int = 32
    worlds: tuple[int, ...] = ()
    unroll_length: int = 20
    replay_steps: int = 60_000
    frozen_eyes: bool = False
    warmup_steps: int = 6_000
    samples_per_insert: float = 4.0
    teacher_share: float = 0.0
    final_teacher_share: float = 0.0
    teacher_share_updates: int = 1
    lapses: float = 0.0
    physics: Literal["training", "reference"] = "training"
    orb_area: float = 1.5
    camera_shadows: bool = False
    threads: int = 1
    device: Literal["cpu", "gpu"] = "cpu"
    warp_device: str | None = None

    def __post_init__(self) -> None:
        for name in ("num_worlds", "unroll_length", "samples_per_insert", "replay_steps", "teacher_share_updates", "orb_area"):
            if getattr(self, name) <= 0:
                raise ValueError(f"collection.{name} must be positive, but is {getattr(self, name)}.")
        for name in ("teacher_share", "final_teacher_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"collection.{name} must be in [0, 1], but is {getattr(self, name)}.")
        if not 0.0 <= self.lapses <= 0.9:
            raise ValueError(f"collection.lapses must be in [0, 0.9], but is {self.lapses}.")
        if any(count < 1 for count in self.worlds):
            raise ValueError(f"collection.worlds must be at least 1 for each task, but is {self.worlds}.")
        if self.physics not in ("training", "reference"):
            raise ValueError(f"collection.physics must be training or reference, but is {self.physics!r}.")
        if self.device not in ("cpu", "gpu"):
            raise ValueError(f"collection.device must be cpu or gpu, but is {self.device!r}.")
        if self.frozen_eyes and self.device == "gpu":
            raise ValueError("collection.frozen_eyes needs collection.device cpu.")
        if self.warp_device is not None and self.device != "gpu":
            raise ValueError(f"collection.warp_device {self.warp_device!r} is of use with collection.device gpu only.")

    def share_at(self, update: int) -> float:
        """Part of the episodes in which the teacher acts at an update."""
        part = min(update / self.teacher_share_updates, 1.0)
        return self.teacher_share + (self.final_teacher_share - self.teacher_share) * part


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A run.

    Attributes:
        tasks: to be learned together; index in this tuple is the index of the value head.
        agent: architecture; its `num_value_heads` must be the number of tasks.
        learner: rates and losses.
        collection: worlds and replay.
        divergence: when a run counts as diverged, and how often it may go back.
        total_steps: steps to collect in all worlds together.
        batch_unrolls: unrolls in an update, divided between the tasks as the worlds are.
        deterministic: actors and learner take turns in one thread, and a resumed run equals one that was never stopped, to the last bit.
            Otherwise actors run beside the learner, and a resumed run starts its episodes anew.
        burst_updates: updates that the learner makes one after another while the actors of this process pause; 1 lets both run at the
            same time. On few cores each then slows the other down; 40 is a burst of some ten seconds.
        publish_updates: updates after which the actors get the learner's agent.
        seed: of everything.
        checkpoint_seconds: at most so long between checkpoints.
        keep_checkpoints: the last so many are kept.
        log_seconds: between two lines of progress, and of the CSV file.
        evaluate_seconds: between two calls of the evaluation that `train` is given.
    """

    tasks: tuple[str, ...] = TASK_NAMES
    agent: AgentConfig = field(default_factory=lambda: AgentConfig(num_value_heads=4))
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    collection: CollectionConfig = field(default_factory=CollectionConfig)
    divergence: DivergenceConfig = field(default_factory=DivergenceConfig)
    total_steps: int = 5_000_000
    batch_unrolls: int = 32
    deterministic: bool = False
    burst_updates: int = 1
    publish_updates: int = 8
    seed: int = 0
    checkpoint_seconds: float = 45.0
    keep_checkpoints: int = 3
    log_seconds: float = 15.0
    evaluate_seconds: float = 1800.0

    def __post_init__(self) -> None:
        self._check_tasks()
        self._check_device()
        if self.seed < 0 or self.seed in (HELD_OUT_SEED, VALIDATION_SEED):
            kept = f"{HELD_OUT_SEED} or {VALIDATION_SEED}, whose arenas are held out for evaluation"
            raise ValueError(f"seed must be >= 0 and not {kept}; it is {self.seed}.")
        collection = self.collection
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, but is {getattr(self, name)}.")
        if self.checkpoint_seconds > 60.0:
            raise ValueError(f"checkpoint_seconds {self.checkpoint_seconds} exceeds 60: a kill is to lose no more than a minute.")
        for name in ("batch_unrolls", "collection.num_worlds"):
            value = self.batch_unrolls if name == "batch_unrolls" else collection.num_worlds
            if value < len(self.tasks):
                raise ValueError(f"{name} must be at least one for each of the {len(self.tasks)} tasks, but is {value}.")
        if collection.worlds and len(collection.worlds) != len(self.tasks):
            raise ValueError(f"collection.worlds {collection.worlds} must name a number for each of the tasks {self.tasks}.")
        if self.deterministic and not collection.worlds:
            raise ValueError("A deterministic run needs collection.worlds: measured speeds vary.")
        if collection.warmup_steps > collection.replay_steps:
            raise ValueError(f"collection.warmup_steps {collection.warmup_steps} exceeds replay_steps {collection.replay_steps}.")
        if self.learner.loss.burn_in >= collection.unroll_length:
            raise ValueError(f"loss.burn_in {self.learner.loss.burn_in} leaves nothing of unrolls of {collection.unroll_length} steps.")

    def _check_device(self) -> None:
        on_gpu, precision = self.collection.device == "gpu", self.learner.image_precision
        if self.deterministic and on_gpu:
            raise ValueError("A run on a GPU cannot be deterministic: contacts are added in any order there.")
        if precision != "float32" and not on_gpu:
            raise ValueError(f"learner.image_precision {precision!r} needs collection.device gpu: actors on CPUs compute in float32.")

    def _check_tasks(self) -> None:
        unknown = [name for name in self.tasks if name not in TASK_NAMES]
        if unknown:
            raise ValueError(f"There is no task {unknown[0]!r}; there are {', '.join(TASK_NAMES)}.")
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise ValueError(f"tasks must name at least one task and none twice, but is {self.tasks}.")
        if self.agent.num_value_heads != len(self.tasks):
            raise ValueError(f"agent.num_value_heads is {self.agent.num_value_heads}, but there are {len(self.tasks)} tasks.")
        factors = self.learner.loss.task_teaching
        if factors and len(factors) != len(self.tasks):
            raise ValueError(f"loss.task_teaching {factors} must name a factor for each of the tasks {self.tasks}.")

    @property
    def total_updates(self) -> int:
        """Updates of a whole run."""
        learned_from = max(self.total_steps - self.collection.warmup_steps, 0) * self.collection.samples_per_insert
        return max(int(learned_from / (self.batch_unrolls * self.collection.unroll_length)), 1)


def allot(total: int, seconds: tuple[float, ...]) -> tuple[int, ...]:
    """Divide worlds or unrolls between tasks so that each takes the same share of the time.

    Args:
        total: to be divided, at least one a task.
        seconds: of one step of one world of each task.

    Returns:
        a number for each task, at least half of an equal share (and 1) and at most twice of it, summing to `total`.
    """
    equal = total / len(seconds)
    low, high = max(0.5 * equal, 1.0), 2.0 * equal
    small, large = 0.0, total * max(seconds)
    for _ in range(100):  # bisect for the factor under which the bounded shares sum to the total
        factor = 0.5 * (small + large)
        wish = [min(max(factor / s, low), high) for s in seconds]
        small, large = (factor, large) if sum(wish) < total else (small, factor)
    counts = [max(int(w + 1e-9), 1) for w in wish]
    while sum(counts) < total:
        counts[max(range(len(counts)), key=lambda i: wish[i] - counts[i])] += 1
    while sum(counts) > total:
        counts[max(range(len(counts)), key=lambda i: counts[i] - wish[i] if counts[i] > 1 else -1.0)] -= 1
    return tuple(counts)
