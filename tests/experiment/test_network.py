"""The weights as analyses get them: our step is the agent's, and reproduces what was recorded of it."""

from __future__ import annotations

import json

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig, LSTMMemory, Memory
from vrodent.analysis import AnalysisError, Result, load_session
from vrodent.analysis.lstm import jacobian, step
from vrodent.experiment.network import TASK_FRAMES, export_network
from vrodent.recording import VideoConfig, record

LINEAGE = json.dumps({"agent": "small", "steps": 1})
SMALL = AgentConfig(
    num_policy_layers=2, core_size=6, policy_size=5, proprioception_layers=(16,), image_channels=(4,), image_blocks=(0,), image_features=8,
    value_layers=(8,),
)  # fmt: skip


@pytest.fixture(scope="module")
def agent() -> Agent:
    return Agent(SMALL, seed=3)


@pytest.fixture(scope="module")
def recorded(agent, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sessions") / "small-two_tap"
    record(agent, "two_tap", 2, out=folder, physics="training", video=VideoConfig(third_person_trials=0), agent_name="small",
           lineage=LINEAGE, time_limit=1.0)  # fmt: skip
    return folder


def observation(worlds: int, seed: int) -> dict[str, jnp.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "proprioception": jnp.asarray(rng.normal(size=(worlds, 158)), jnp.float32),
        "egocentric": jnp.asarray(rng.integers(0, 256, (worlds, 64, 64, 3)), jnp.uint8),
    }


def memory(worlds: int, seed: int) -> Memory:
    rng = np.random.default_rng(seed)
    layers = [LSTMMemory(*(jnp.asarray(rng.normal(size=(worlds, n)), jnp.float32) for _ in "hc")) for n in (6, 5, 5)]
    return Memory(layers[0], tuple(layers[1:]))


@pytest.mark.parametrize("skip", [True, False])
def test_drive_and_step_are_the_agents_own(skip: bool) -> None:
    agent = Agent(AgentConfig(**{**{f: getattr(SMALL, f) for f in SMALL.__dataclass_fields__}, "skip": skip}), seed=1)
    before, seen = memory(3, 0), observation(3, 1)
    _, after = agent.act(seen, before)
    drives = agent.drives(seen, after)
    for lstm, drive, (h, c), (h_after, c_after) in zip(
        (agent.core, *agent.policy), drives, (before.core, *before.policy), (after.core, *after.policy), strict=True
    ):
        ours = step(np.asarray(lstm.weight_hidden, float), np.asarray(drive, float), np.asarray(h, float), np.asarray(c, float))
        assert np.abs(ours[0] - h_after).max() < 1e-6 and np.abs(ours[1] - c_after).max() < 5e-6


def test_the_jacobian_is_that_of_the_agents_lstm(agent) -> None:
    """Against JAX's own derivative of the Equinox layer."""
    core, before = agent.core, memory(1, 2).core
    drive = core.drive(jnp.ones((1, core.weight_input.shape[0])))

    def moved(x):
        after, _ = core.update(drive, LSTMMemory(x[None, :6], x[None, 6:]))
        return jnp.concatenate([after.h[0], after.c[0]])

    import jax

    theirs = jax.jacobian(moved)(jnp.concatenate([before.h[0], before.c[0]]))
    ours = jacobian(*(np.asarray(x, float) for x in (core.weight_hidden, drive[0], before.h[0], before.c[0])))
    assert np.allclose(ours, theirs, atol=1e-6)


def test_the_export_holds_weights_and_the_mean_drive_of_the_recorded_frames(agent, recorded, tmp_path) -> None:
    path = export_network(agent, [recorded], tmp_path, LINEAGE)
    found, session = Result.load(path), load_session(recorded)
    assert found["layer"].tolist() == ["core", "policy0", "policy1"] and found["row"].tolist()[0] == "task:two_tap"
    assert found.parameters["sessions"] == (session.identifier,)
    assert np.array_equal(found["weight_hidden_policy1"], agent.policy[1].weight_hidden)
    # Gates of the core from its recorded outputs and cells: the output gate is h / tanh(c), its logit less the recurrent part is the drive.
    frames = np.concatenate([np.arange(at.start + 1, at.stop) for at in session])
    assert len(frames) == found["num_frames"][0] < TASK_FRAMES
    h, c = session.activity("core", "h").astype(float), session.activity("core", "c").astype(float)
    gate = h[frames] / np.tanh(c[frames])
    drive = np.log(gate / (1 - gate)) - h[frames - 1] @ np.asarray(agent.core.weight_hidden, float)[:, 18:]
    assert found["drive_core"][0, 18:] == pytest.approx(drive.mean(axis=0), abs=2e-3)
    assert found["middle_core"][0, 0] == pytest.approx(h[frames - 1].mean(axis=0), abs=1e-5)
    written = path.stat().st_mtime_ns
    assert export_network(agent, [recorded], tmp_path, LINEAGE).stat().st_mtime_ns == written


def test_weights_that_do_not_give_what_was_recorded_are_refused(agent, recorded, tmp_path) -> None:
    strange = eqx.tree_at(lambda a: a.core.weight_hidden, agent, agent.core.weight_hidden + 0.1)
    with pytest.raises(AnalysisError, match="The weights of core do not give the activity"):
        export_network(strange, [recorded], tmp_path, LINEAGE)
    with pytest.raises(AnalysisError, match="recorded from another agent"):
        export_network(agent, [recorded], tmp_path, json.dumps({"agent": "other"}))


def test_a_session_without_videos_is_refused(agent, tmp_path) -> None:
    folder = tmp_path / "blind"
    record(agent, "two_tap", 1, out=folder, physics="training", video=VideoConfig(egocentric=False, third_person_trials=0),
           agent_name="small", lineage=LINEAGE, time_limit=0.4)  # fmt: skip
    with pytest.raises(AnalysisError, match="no video of what the animal saw"):
        export_network(agent, [folder], tmp_path / "results", LINEAGE)
