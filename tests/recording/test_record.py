"""A small agent recorded in the real simulation."""

from __future__ import annotations

import json
from dataclasses import replace

import equinox as eqx
import numpy as np
import pynwb
import pytest
from nwbinspector import inspect_nwbfile, load_config
from tests.recording.conftest import SETTINGS, SILENT
from tests.recording.tiny import TinyAgent

from vrodent.analysis import load_session
from vrodent.recording import RecordConfig, RecordingError, VideoConfig, record
from vrodent.recording.mind import Mind
from vrodent.recording.rollout import Rollout
from vrodent.recording.video import read_video
from vrodent.simulation import CpuSimulation, make
from vrodent.task import get_task


@pytest.fixture(scope="module")
def session(recorded):
    return load_session(recorded.path)


def test_three_trials_of_two_seconds(session):
    assert list(session.trials.stop - session.trials.start) == [100, 100, 100]
    assert session.trials.truncated.all() and not session.trials.terminated.any()
    assert (session.task, session.agent, session.layers) == ("two_tap", "tiny", ("core", "policy0"))
    assert list(session.trials.arena_seed) == ["3/0/0", "3/1/0", "3/2/0"]
    assert session.remarks == ()


def test_validators_find_nothing(recorded):
    assert pynwb.validate(path=str(recorded.path)) == []
    assert list(inspect_nwbfile(nwbfile_path=recorded.path)) == []
    assert list(inspect_nwbfile(nwbfile_path=recorded.path, config=load_config("dandi"))) == []


@pytest.fixture(scope="module")
def replayed(session):
    """The recorded controls played again in a simulation of one world, trial 2, which shared its world with an earlier one."""
    env = make("two_tap", 1, seed=3, num_threads=1)
    observation = env.reset_to(np.array([0]), [env.draw(2, 0)])
    frames = []
    for ctrl in session.split(session.get("ctrl"))[2]:
        torso = env.physics.fields.xpos[0, env.index.torso].copy()
        qpos = env.physics.fields.qpos[0].copy()
        step = env.step(ctrl[None])
        frames.append((qpos, torso, observation["proprioception"][0], observation["egocentric"][0], step.reward[0]))
        observation = step.observation
    env.close()
    return [np.stack(values) for values in zip(*frames, strict=True)]


def test_a_frame_is_what_was_there_before_its_action_and_the_reward_after_it(session, replayed):
    qpos, torso, felt, _, reward = replayed
    trial = session.frames(2)
    assert np.array_equal(session.get("qpos")[trial], qpos.astype(np.float32))
    assert np.array_equal(session.get("torso_position")[trial], torso.astype(np.float32))
    assert np.array_equal(session.get("proprioception")[trial], felt)
    assert np.array_equal(session.get("reward")[trial], reward)


def test_the_video_is_what_it_saw(recorded, replayed):
    seen = np.stack(list(read_video(recorded.path.parent / "egocentric" / "trial_002.mkv")))
    assert np.array_equal(seen, replayed[3])
    assert seen.std() > 5.0


def test_the_file_knows_its_videos(recorded):
    with pynwb.NWBHDF5IO(str(recorded.path), "r") as io:
        video = io.read().acquisition["egocentric_video"]
        names = [str(name) for name in video.external_file[:]]
        assert names == [f"egocentric/trial_{i:03d}.mkv" for i in range(3)]
        assert list(video.starting_frame[:]) == [0, 100, 200]
        assert (video.num_samples, video.rate) == (300, 50.0)
    assert all((recorded.path.parent / name).is_file() for name in names)


def test_the_film_from_outside(recorded):
    pictures = np.stack(list(read_video(recorded.path.parent / "third_person" / "trial_000.mp4")))
    assert pictures.shape == (13, 120, 160, 3)  # frames 0, 2, ..., 24 of half a second
    assert pictures.std() > 5.0
    assert len(list((recorded.path.parent / "third_person").iterdir())) == 1


def test_activity_is_that_of_the_agent_on_these_senses(session):
    """The core's cell state is a running mean of what it was driven by; 114 is the height of the body."""
    for trial in range(3):
        c = session.split(session.activity("core", "c"))[trial]
        height = session.split(session.get("proprioception"))[trial][:, 114]
        expected = np.zeros(1)
        for t, value in enumerate(height):
            expected = 0.9 * expected + 0.1 * value
            assert np.isclose(c[t, 1], expected[0], rtol=1e-4)
    assert np.allclose(session.activity("core", "h"), np.tanh(session.activity("core", "c")), atol=1e-6)


def test_actions_are_samples_and_ctrl_is_theirs(recorded, session):
    action, mean = session.get("action"), session.get("action_mean")
    assert np.allclose(session.get("ctrl"), np.asarray(recorded.agent.ctrl(action)), atol=1e-6)
    assert (action - mean).std() == pytest.approx(0.3, rel=0.05)


def test_progress_ends_at_one(recorded):
    fractions = [said.fraction for said in recorded.progress]
    assert fractions == sorted(fractions)
    last = recorded.progress[-1]
    assert (last.finished_trials, last.trials, last.frames, last.fraction, last.seconds_left) == (3, 3, 300, 1.0, 0.0)


def test_settings_are_beside_it(recorded):
    settings = json.loads((recorded.path.parent / "session.json").read_text())
    assert settings["settings"]["seed"] == 3
    assert settings["agent_lineage"] == {"steps": 7}
    assert settings["frames"] == 300
    assert settings["series"]["activity_core_h"]["shape"] == [2]
    assert json.loads(load_session(recorded.path).lineage)["settings"]["trials"] == 3


def _again(agent, out, **changes):
    settings = SETTINGS | {"video": SILENT} | changes
    return load_session(record(agent, settings.pop("task", "two_tap"), out=out, **settings))


def test_the_same_seed_gives_the_same_values(recorded, session, tmp_path):
    again = _again(recorded.agent, tmp_path / "again")
    for name, series in session.series.items():
        assert np.array_equal(series.data, again.series[name].data), name
    other = _again(recorded.agent, tmp_path / "other", seed=4)
    assert not np.array_equal(other.get("qpos"), session.get("qpos"))


def test_arenas_do_not_depend_on_the_number_of_worlds(recorded, session, tmp_path):
    again = _again(recorded.agent, tmp_path / "again", num_worlds=3)
    starts = session.trials.start
    for name in ("qpos", "orb_pos"):
        assert np.array_equal(again.get(name)[starts], session.get(name)[starts]), name


def test_deterministic_takes_the_mean(recorded, tmp_path):
    quiet = _again(recorded.agent, tmp_path / "quiet", deterministic=True, trials=1)
    assert np.array_equal(quiet.get("action"), quiet.get("action_mean"))


def test_a_perturbation_is_in_the_activity_and_in_the_action(recorded, session, tmp_path):
    def silence(memory):
        core = memory.core._replace(h=memory.core.h.at[:, 0].set(0.7))
        return memory._replace(core=core)

    changed = _again(recorded.agent, tmp_path / "changed", perturbation=silence, deterministic=True, trials=1)
    plain = _again(recorded.agent, tmp_path / "plain", deterministic=True, trials=1)
    assert np.all(changed.activity("core", "h")[:, 0] == np.float32(0.7))
    assert np.array_equal(changed.get("proprioception")[0], plain.get("proprioception")[0])
    assert np.abs(changed.get("action")[0] - plain.get("action")[0]).max() > 1e-3
    settings = json.loads((tmp_path / "changed" / "session.json").read_text())
    assert "silence" in settings["perturbation"]


class Backward(TinyAgent):
    """Drives into the void: full control, all the time."""

    def ctrl(self, action):
        return action * 0.0 + 1.0


def test_trials_of_different_lengths_in_few_worlds(tmp_path):
    """Falls end trials early in the gaps: each is kept from its first frame to its last."""
    session = _again(Backward(), tmp_path / "gaps", task="gaps", trials=5, num_worlds=2, time_limit=0.5)
    lengths = session.trials.stop - session.trials.start
    assert len(session.trials) == 5 and session.num_frames == lengths.sum()
    starts = session.get("torso_position")[session.trials.start]
    assert np.allclose(starts[:, 0], starts[0, 0])  # all from the same place on the first platform
    assert np.array_equal(session.trials.terminated, [session.events.trial.tolist().count(i) > 0 for i in range(5)])
    assert np.allclose([r.sum(dtype=float) for r in session.split(session.get("reward"))], session.trials.total_reward)


class Failing(TinyAgent):
    """Breaks after its memory is drawn."""

    def act(self, observation, memory, key=None, perturbation=None):
        raise FloatingPointError("broken")


def test_a_failing_agent_leaves_nothing(tmp_path):
    with pytest.raises(FloatingPointError):
        record(Failing(), "two_tap", out=tmp_path / "session", video=SILENT, **SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_recording_leaves_nothing(recorded, tmp_path):
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(recorded.agent, "two_tap", out=tmp_path / "session", video=SILENT, progress=interrupt, **SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_session_is_refused_before_any_work(recorded):
    with pytest.raises(RecordingError, match="exists already"):
        record(Failing(), "two_tap", out=recorded.path.parent, **SETTINGS)


class Nothing(eqx.Module):
    """Not an agent."""


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"task": "swim"}, ValueError, "swim"),
        ({"trials": 0}, ValueError, "trials"),
        ({"seed": -1}, ValueError, "seed"),
        ({"num_worlds": -2}, ValueError, "num_worlds"),
        ({"time_limit": 0.0}, ValueError, "time_limit"),
        ({"physics": "none"}, ValueError, "physics"),
        ({"agent_name": "a/b"}, RecordingError, "agent_name"),
        ({"lineage": "{"}, RecordingError, "lineage"),
        ({"agent": Nothing()}, RecordingError, "no agent"),
    ],
)
def test_bad_settings(tmp_path, settings, kind, words):
    settings = {"agent": TinyAgent(), "task": "two_tap", "out": tmp_path / "session", "video": SILENT} | SETTINGS | settings
    with pytest.raises(kind, match=words):
        record(**settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [{"width": 3}, {"height": 0}, {"every": 0}, {"seconds": 0.0}, {"third_person_trials": -1}])
def test_bad_videos(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        VideoConfig(**bad)


def test_worlds_divide_trials_well():
    config = RecordConfig(task="gaps")
    chosen = {trials: replace(config, trials=trials).worlds for trials in (1, 5, 16, 17, 25, 33)}
    assert chosen == {1: 1, 5: 5, 16: 16, 17: 9, 25: 13, 33: 11}
    assert replace(config, trials=4, num_worlds=9).worlds == 4


class Unlucky(CpuSimulation):
    """World 0 is struck in its 21st control step, once."""

    struck = False

    def step(self, action):
        if not self.struck and self.physics.fields.time[0] > 0.395:
            self.struck = True
            self.physics.fields.qvel[0] = 1e9
        return super().step(action)


def _rolled(kind, folder):
    env = kind(replace(get_task("two_tap"), time_limit=0.99), 2, seed=3)
    folder.mkdir()
    try:
        return Rollout(env, Mind(TinyAgent(), 2, 0), 3, folder, SILENT).run()
    finally:
        env.close()


def test_a_trial_whose_physics_fails_ends_alone(tmp_path):
    plain, hit = _rolled(CpuSimulation, tmp_path / "plain"), _rolled(Unlucky, tmp_path / "hit")
    assert [trial.num_frames for trial in plain] == [50, 50, 50]
    assert [trial.num_frames for trial in hit] == [21, 50, 50]
    assert [trial.measures["diverged"] for trial in hit] == [True, False, False]
    assert hit[0].terminated and hit[0].events == (("divergence", 20),)
    assert all(np.isfinite(values).all() for trial in hit for values in trial.data.values())
    # Trial 1 ran beside it, in the other world, and felt nothing.
    assert all(np.array_equal(hit[1].data[name], plain[1].data[name]) for name in plain[1].data)
