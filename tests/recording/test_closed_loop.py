"""Trials with and without interventions, side by side in one simulation."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from tests.recording.tiny import TinyAgent
from tests.recording.turner import CAUSE, PERIOD, Turner

from vrodent.agent import Agent, AgentConfig
from vrodent.body import standing_ctrl
from vrodent.recording import VideoConfig, Window
from vrodent.recording.closed_loop import Job, LoopConfig, closed_loop
from vrodent.recording.intervention import Intervention
from vrodent.recording.video import read_video
from vrodent.task import get_task

SIZE = 10
SMALL = AgentConfig(
    core_size=12, policy_size=SIZE, proprioception_layers=(9, 8), image_channels=(4, 6), image_blocks=(0, 1), image_stem=8,
    image_features=11, value_layers=(6,),
)  # fmt: skip
LAYERS = ("core", "policy0", "policy1", "policy2")
FROM = 10
"""Frame from which the units are held."""
TURNS = ("turn_left", "turn_right")


def hold(layer: str, units: list[int], value: float = 0.0, **extra) -> tuple[Intervention, ...]:
    return (Intervention(layer=layer, units=np.array(units, int), course=np.full((1, len(units)), value), **extra),)


def everything(layer: str, value: float) -> tuple[Intervention, ...]:
    return hold(layer, list(range(12 if layer == "core" else SIZE)), value)


@pytest.fixture(scope="module")
def held():
    """A small real agent in two trials: plain, with nothing held, with one unit of the last layer, with whole layers held."""
    agent = Agent(SMALL, 1, stance=jnp.asarray(standing_ctrl(get_task("two_tap").spec().compile())))
    conditions = {
        "plain": (), "nothing": hold("policy2", []), "unit": hold("policy2", [4], 0.9), "core": everything("core", 0.1),
        "policy2": everything("policy2", 0.1), "noise": hold("policy1", [3], 0.0, noise=np.array([0.5]), add=True),
        "more noise": hold("policy1", [3, 7], 0.0, noise=np.array([0.5, 0.5]), add=True),
    }  # fmt: skip
    jobs = [Job(trial=trial, interventions=what) for trial in (0, 1) for what in conditions.values()]
    window = Window(times=(FROM / 50,))
    config = LoopConfig(task="two_tap", time_limit=0.4, num_worlds=3, traces=True, window=window, physics="training")
    seen, ended = [], []
    out = closed_loop(agent, jobs, config, progress=seen.append, finished=lambda number, trial: ended.append((number, trial)))
    names = list(conditions)
    return {(names[i % len(names)], i // len(names)): trial for i, trial in enumerate(out)}, seen, ended, out


def test_holding_nothing_changes_no_bit_of_the_trial(held) -> None:
    """In other worlds, too, and beside other trials."""
    for trial in (0, 1):
        plain, nothing = held[0]["plain", trial], held[0]["nothing", trial]
        assert plain.traces.keys() == nothing.traces.keys() and "activity_policy2_c" in plain.traces
        assert all(np.array_equal(values, nothing.traces[name]) for name, values in plain.traces.items())
        assert (plain.total_reward, plain.motion, plain.events) == (nothing.total_reward, nothing.motion, nothing.events)


def test_a_unit_held_changes_the_action_of_the_very_step_and_none_before(held) -> None:
    for name in ("unit", "core", "policy2", "noise"):
        for trial in (0, 1):
            plain, other = held[0]["plain", trial].traces, held[0][name, trial].traces
            assert np.array_equal(plain["ctrl"][:FROM], other["ctrl"][:FROM])
            assert not np.array_equal(plain["ctrl"][FROM], other["ctrl"][FROM])
            assert np.array_equal(plain["qpos"][: FROM + 1], other["qpos"][: FROM + 1])  # the body follows one step later
            assert not np.array_equal(plain["qpos"][FROM + 1], other["qpos"][FROM + 1])


@pytest.mark.parametrize("layer", ["core", "policy2"])
def test_holding_all_units_removes_all_variance_of_that_layer_alone(held, layer: str) -> None:
    trial = held[0][layer, 0]
    assert trial.openings == (FROM,) and trial.open_frames == 10
    spread = {name: np.ptp(trial.traces[f"activity_{name}_h"][FROM:], axis=0) for name in LAYERS}
    assert (spread[layer] == 0.0).all() and (trial.traces[f"activity_{layer}_h"][FROM:] == np.float32(0.1)).all()
    assert all((spread[name] > 0.0).all() for name in LAYERS if name != layer)


def test_noise_is_the_same_whatever_other_units_have(held) -> None:
    one, two, plain = (held[0][name, 1].traces["activity_policy1_h"][FROM, 3] for name in ("noise", "more noise", "plain"))
    assert one == two != plain


def test_one_trial_has_one_arena_and_one_noise(held) -> None:
    trials, _, _, out = held
    assert [trial.arena_seed for trial in out] == ["1/0/0"] * 7 + ["1/1/0"] * 7
    assert np.array_equal(trials["plain", 0].traces["qpos"][0], trials["core", 0].traces["qpos"][0])
    assert not np.array_equal(trials["plain", 0].traces["qpos"][0], trials["plain", 1].traces["qpos"][0])
    assert all(trial.frames == 20 and not trial.terminated for trial in out)


def test_it_says_how_far_it_is_and_what_has_ended(held) -> None:
    _, seen, ended, out = held
    fractions = [said.fraction for said in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert (seen[-1].finished_trials, seen[-1].trials, seen[-1].frames) == (14, 14, 280)
    assert sorted(number for number, _ in ended) == list(range(14)) and all(out[number] is trial for number, trial in ended)


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """The agent whose third policy unit turns it, each of its units held in turn; then driven by that unit's own course, the unit's own
    wave being held still before."""
    folder = tmp_path_factory.mktemp("films")
    course = np.tanh(3 * np.sin(np.arange(PERIOD) * 2 * np.pi / PERIOD))[:, None]
    drive = (Intervention(layer="policy0", units=np.array([CAUSE]), course=course),)
    jobs = [Job(trial=0, film=folder / "plain.mp4"), *(Job(trial=0, interventions=hold("policy0", [unit])) for unit in range(4)),
            Job(trial=0, interventions=drive)]  # fmt: skip
    film = VideoConfig(width=160, height=120, seconds=0.5, shadows=False)
    config = LoopConfig(task="two_tap", time_limit=2.0, num_worlds=6, physics="training", video=film)
    return closed_loop(Turner(), jobs, config), folder


def turns(trial) -> int:
    return sum(name in TURNS for name, _ in trial.events)


def test_holding_the_unit_that_turns_the_body_ends_the_turning_and_holding_others_does_not(turned) -> None:
    plain, *held, _ = turned[0]
    assert turns(plain) == 4  # left and right, twice
    assert [turns(trial) for trial in held] == [4, 4, 0, 4]
    assert held[CAUSE].motion["speed"] < 0.6 * plain.motion["speed"]


def test_driving_the_unit_with_its_course_turns_the_body(turned) -> None:
    assert turns(turned[0][-1]) >= 2


def test_a_film_is_made_where_it_was_asked_for(turned) -> None:
    pictures = list(read_video(turned[1] / "plain.mp4"))
    assert len(pictures) == 13 and pictures[0].shape == (120, 160, 3)
    assert [path.name for path in turned[1].iterdir()] == ["plain.mp4"]


def test_driving_the_cell_state_moves_the_output() -> None:
    job = Job(trial=0, interventions=hold("core", [1], 0.7))
    config = LoopConfig(task="two_tap", time_limit=0.06, variable="c", traces=True, deterministic=True, physics="training")
    traces = closed_loop(TinyAgent(), [job], config)[0].traces
    assert (traces["activity_core_c"][:, 1] == np.float32(0.7)).all()


@pytest.mark.parametrize(
    ("interventions", "says"),
    [
        (hold("policy7", [0]), "no layer 'policy7'; this agent has core, policy0"),
        (hold("policy0", [1, 3]), "no unit policy0:3; this agent has policy0:0 to policy0:2"),
    ],
)
def test_units_that_do_not_exist_are_refused_before_anything_runs(interventions, says: str) -> None:
    began = []
    with pytest.raises(ValueError, match=says):
        closed_loop(TinyAgent(), [Job(trial=0), Job(trial=0, interventions=interventions)], LoopConfig(task="gaps"), progress=began.append)
    assert began == []


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one job"):
        closed_loop(TinyAgent(), [], LoopConfig(task="gaps"))
    with pytest.raises(ValueError, match="different whole numbers"):
        hold("core", [1, 1])
    with pytest.raises(ValueError, match=r"course must be \(frame, 1\)"):
        Intervention(layer="core", units=np.array([1]), course=np.zeros((1, 2)))
    with pytest.raises(ValueError, match="not finite"):
        hold("core", [1], np.nan)
    with pytest.raises(ValueError, match="first_tap"):
        LoopConfig(task="gaps", window=Window(after="first_tap"))
    for setting in ({"seed": -1}, {"time_limit": 0.0}, {"num_worlds": -1}, {"variable": "x"}):
        with pytest.raises(ValueError, match=next(iter(setting))):
            LoopConfig(task="gaps", **setting)
