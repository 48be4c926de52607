"""Ready-made configs. A preset is a function; change one with `dataclasses.replace`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vrodent.agent import AgentConfig
from vrodent.training.kickstart import TeachingConfig
from vrodent.training.learner import LearnerConfig
from vrodent.training.losses import LossConfig
from vrodent.training.settings import CollectionConfig, TrainConfig
from vrodent.training.vmpo import VmpoConfig


def tiny() -> TrainConfig:
    """A toy network in two tasks for seconds: shows that everything runs, learns nothing. Deterministic."""
    agent = AgentConfig(
        num_policy_layers=1,
        core_size=16,
        policy_size=16,
        proprioception_layers=(32,),
        image_stem=16,
        image_channels=(8,),
        image_blocks=(0,),
        image_features=16,
        value_layers=(16,),
        num_value_heads=2,
    )
    collection = CollectionConfig(num_worlds=4, worlds=(2, 2), unroll_length=5, replay_steps=400, warmup_steps=60, samples_per_insert=2.0)
    return TrainConfig(
        tasks=("gaps", "two_tap"),
        agent=agent,
        learner=LearnerConfig(warmup_updates=2, anchor_period=5),
        collection=collection,
        total_steps=400,
        batch_unrolls=4,
        deterministic=True,
        publish_updates=2,
        checkpoint_seconds=20.0,
        log_seconds=2.0,
    )


def laptop(num_policy_layers: int = 3) -> TrainConfig:
    """Two cores: reinforcement of a student that teachers have made competent, with a weak pull towards them."""
    teaching = TeachingConfig(kind="kl", weight=0.01, final_weight=0.001, anneal_updates=20_000)
    return TrainConfig(
        agent=AgentConfig(num_policy_layers=num_policy_layers, num_value_heads=4, policy_trains_encoders=True),
        learner=LearnerConfig(learning_rate=1e-4, loss=LossConfig(teaching=teaching)),
        collection=CollectionConfig(physics="reference", samples_per_insert=2.0),
        total_steps=10_000_000,
    )


def distil(num_policy_layers: int = 3) -> TrainConfig:
    """Two cores: a student learns from teachers on its own rollouts, its core from the first step by the critic and by foretelling what
    the teachers are told.

    The teachers act in half of the episodes at first, so that the student sees what a competent rat sees, and in a twentieth at the end.
    """
    taught = LossConfig(
        policy_weight=0.0, critic_policy="behaviour", value_weight=0.5, burn_in=4, teaching=TeachingConfig(kind="clone", spread=0.2),
        hint_weight=20.0, command_weight=5.0,
    )  # fmt: skip
    collection = CollectionConfig(
        unroll_length=40, samples_per_insert=8.0, teacher_share=0.5, final_teacher_share=0.05, teacher_share_updates=20_000
    )
    return TrainConfig(
        agent=AgentConfig(num_policy_layers=num_policy_layers, num_value_heads=4, policy_trains_encoders=True),
        learner=LearnerConfig(learning_rate=5e-4, final_learning_rate=5e-5, loss=taught),
        collection=collection,
        batch_unrolls=20,
        total_steps=5_000_000,
    )


def gpu(num_policy_layers: int = 3) -> TrainConfig:
    """One GPU that simulates, keeps and learns: thousands of worlds, larger batches, longer unrolls, all in reference physics.

    Some 14 GB of its memory are replay, and each of the bowl's worlds takes 5 MB. The numbers are a guess that no GPU has seen yet.
    """
    base = laptop(num_policy_layers)
    collection = replace(
        base.collection, num_worlds=2048, unroll_length=40, replay_steps=1_000_000, warmup_steps=160_000, device="gpu"
    )  # fmt: skip
    learner = replace(base.learner, learning_rate=3e-4)
    return replace(base, collection=collection, learner=learner, batch_unrolls=256, total_steps=300_000_000)


def paper(num_policy_layers: int = 3) -> TrainConfig:
    """The paper's recipe: reinforcement alone, but for a kickstart in the bowl from an expert of that task, weight 0.003.

    The critic alone trains the encoders. For clusters, whose workers collect: billions of steps are needed.
    """
    base = laptop(num_policy_layers)
    collection = replace(base.collection, num_worlds=256, unroll_length=40, replay_steps=400_000, warmup_steps=40_000, threads=0)
    teaching = TeachingConfig(kind="cross_entropy", weight=0.003, final_weight=0.003)
    loss = LossConfig(vmpo=VmpoConfig(), teaching=teaching, task_teaching=(0.0, 0.0, 1.0, 0.0))
    return replace(
        base,
        agent=AgentConfig(num_policy_layers=num_policy_layers, num_value_heads=4),
        learner=replace(base.learner, learning_rate=3e-4, loss=loss),
        collection=collection,
        batch_unrolls=128,
        total_steps=3_000_000_000,
    )


PRESETS: dict[str, Callable[[], TrainConfig]] = {"tiny": tiny, "laptop": laptop, "distil": distil, "gpu": gpu, "paper": paper}
"""By the name that the command line knows them by."""


def preset(name: str) -> TrainConfig:
    """The preset of that name.

    Raises:
        ValueError: there is none; names those there are.
    """
    if name not in PRESETS:
        raise ValueError(f"There is no preset {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]()
