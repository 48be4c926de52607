"""When perturbations act."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from tests.recording.conftest import SILENT
from tests.recording.tiny import TinyAgent

from vrodent.agent import Clamp
from vrodent.analysis import load_session
from vrodent.recording import RecordingError, Window, Within, record
from vrodent.recording.mind import Mind
from vrodent.recording.schedule import NEVER, Chronicle, event_names

STILL = np.array([[0, 0, 0.1, 1, 0, 0, 0.0]] * 2), np.zeros((2, 6)), np.zeros((2, 3))


def run(window: Window, happened: dict[int, list[tuple[int, str]]], frames: int, trials=(0, 1)) -> np.ndarray:
    """(frame, world) frames since the window opened. `happened` by the control step in which."""
    chronicle = Chronicle("two_tap", 2)
    for world, trial in enumerate(trials):
        chronicle.restart(world, trial)
    out = []
    for frame in range(frames):
        chronicle.sense(*STILL)
        out.append(window.since(chronicle.moment()))
        chronicle.advance(happened.get(frame, []))
    return np.array(out)


def test_the_whole_trial_by_default_and_nothing_without_a_trial() -> None:
    assert run(Window(), {}, 4, trials=(0, NEVER)).tolist() == [[0, NEVER], [1, NEVER], [2, NEVER], [3, NEVER]]


def test_times_open_it_again_and_again() -> None:
    since = run(Window(times=(0.04, 0.1), duration=0.04), {}, 9)[:, 0]
    assert since.tolist() == [NEVER, NEVER, 0, 1, NEVER, 0, 1, NEVER, NEVER]
    assert run(Window(times=(0.04, 0.1)), {}, 8)[:, 0].tolist() == [NEVER, NEVER, 0, 1, 2, 0, 1, 2]


def test_an_event_opens_it_in_its_world_from_the_next_frame_until_another_closes_it() -> None:
    happened = {1: [(0, "first_tap")], 4: [(0, "second_tap")], 6: [(0, "first_tap")]}
    since = run(Window(after="first_tap", until=("second_tap", "second_tap_too_soon")), happened, 9)
    assert since[:, 0].tolist() == [NEVER, NEVER, 0, 1, 2, NEVER, NEVER, 0, 1]
    assert (since[:, 1] == NEVER).all()
    first = run(Window(after="first_tap", first_only=True, duration=0.06), happened, 9)
    assert first[:, 0].tolist() == [NEVER, NEVER, 0, 1, 2, NEVER, NEVER, NEVER, NEVER]


def test_what_closes_it_before_a_delayed_opening_keeps_it_shut() -> None:
    window = Window(after="first_tap", times=(0.1,), until=("second_tap",))
    assert (run(window, {0: [(0, "first_tap")], 2: [(0, "second_tap")]}, 10)[:, 0] == NEVER).all()


def test_a_behaviour_opens_it_at_its_frame() -> None:
    chronicle, window = Chronicle("two_tap", 2), Window(after="turn_left")
    chronicle.restart(0, 0)
    chronicle.restart(1, 1)
    spin = np.array([[0, 0, 0, 0, 0, 3.0], [0.0] * 6])
    out = []
    for frame in range(8):
        chronicle.sense(STILL[0], spin if frame >= 1 else STILL[1], STILL[2])
        out.append(window.since(chronicle.moment()).tolist())
        chronicle.advance([])
    assert out == [[NEVER, NEVER]] * 5 + [[0, NEVER], [1, NEVER], [2, NEVER]]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1.0, 1.0\)"):
        Window(times=(1.0, 1.0))
    with pytest.raises(ValueError, match="-1"):
        Window(duration=-1.0)
    with pytest.raises(ValueError, match="no event or behaviour 'tap' in gaps; there are gap_crossed, fall, run"):
        Window(after="tap").check("gaps")
    Window(after="first_tap", until=("topple",)).check("two_tap")
    assert event_names("forage")[:2] == ("orb_taken", "run")
    with pytest.raises(RecordingError, match="moment"):
        nothing = {"egocentric": np.zeros((1, 64, 64, 3), np.uint8), "proprioception": np.zeros((1, 158), np.float32)}
        Mind(TinyAgent(), 1, 0, perturbation=Within(window=Window(), clamp=held(TinyAgent()))).act(nothing, np.ones(1, bool))


def held(agent: eqx.Module) -> Clamp:
    """Core unit 1 and policy unit 0 at 0.5."""
    where = (jnp.array([False, True]), jnp.array([True, False, False]))
    return Clamp(where, (jnp.full(2, 0.5), jnp.full(3, 0.5)), "h")


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scheduled")
    settings = {"trials": 3, "seed": 1, "num_worlds": 2, "time_limit": 0.5, "video": SILENT}
    agent = TinyAgent()
    scheduled = Within(window=Window(times=(0.2,), duration=0.1), clamp=held(agent))
    never = Within(window=Window(times=(9.0,)), clamp=held(agent))
    kinds = {"plain": None, "scheduled": scheduled, "never": never}
    return {name: load_session(record(agent, "two_tap", out=folder / name, perturbation=what, **settings)) for name, what in kinds.items()}


def test_a_recording_is_clamped_within_the_window_in_every_trial(sessions) -> None:
    plain, scheduled = sessions["plain"], sessions["scheduled"]
    for trial in range(3):
        core, policy = (scheduled.split(scheduled.activity(layer))[trial] for layer in ("core", "policy0"))
        assert np.flatnonzero(core[:, 1] == 0.5).tolist() == np.flatnonzero(policy[:, 0] == 0.5).tolist() == list(range(10, 15))
        for name, first in {"action_mean": 10, "ctrl": 10, "activity_policy0_h": 10, "qpos": 11}.items():
            whole, cut = (session.split(session.get(name))[trial] for session in (plain, scheduled))
            assert np.array_equal(whole[:first], cut[:first]) and not np.array_equal(whole[first], cut[first])
    assert "clamped within Window" in scheduled.lineage


def test_a_window_that_never_opens_changes_no_bit(sessions) -> None:
    plain, never = sessions["plain"], sessions["never"]
    assert all(np.array_equal(plain.get(name), never.get(name)) for name in plain.series)
