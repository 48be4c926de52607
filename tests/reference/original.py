"""dm_control's own rodent episodes, and the same episodes in ours.

    episode = Original("gaps", seed=3)
    simulation = vrodent.make("gaps", camera=False)
    simulation.reset_to([0], [episode.arena(simulation.model)])
    differences = compare(episode, simulation, actions)

The helper reads the geometry and the posture of any dm_control rodent episode out of its compiled model, whatever drew them.
Two of the originals ignore their seed and draw from NumPy's global generator; it is seeded here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from dm_control.locomotion.examples import basic_rodent_2020
from tests.reference.forage_and_bowl import read_bowl, read_forage

from vrodent.body import PROPRIOCEPTION, proprioception, sense_slices
from vrodent.simulation import CpuSimulation
from vrodent.task import Arena, get_task

_FACTORIES = {
    "gaps": "rodent_run_gaps", "forage": "rodent_maze_forage", "bowl": "rodent_escape_bowl", "two_tap": "rodent_two_touch",
}  # fmt: skip


class Original:
    """One environment of dm_control, reset to its first episode.

    Args:
        task: our name of it.
        seed: of the environment and of NumPy's global generator.
        camera: whether the camera observable is on (it needs OpenGL).
        prepare: called with the dm_control environment before the reset, to change its task.

    Attributes:
        env, timestep: dm_control's.
        model, data: MuJoCo's, of the episode.
    """

    def __init__(self, task: str, seed: int, *, camera: bool = False, prepare: Callable[[Any], None] | None = None) -> None:
        self.name, self.seed = task, seed
        np.random.seed(seed)  # noqa: NPY002 - the maze maker takes its seed from here when it is built
        self.env = getattr(basic_rodent_2020, _FACTORIES[task])(random_state=np.random.RandomState(seed))
        walker = self.env.task._walker
        walker.observables.egocentric_camera.enabled = camera
        if prepare is not None:
            prepare(self.env)
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Start another episode."""
        self.seed = seed
        np.random.seed(seed)  # noqa: NPY002
        self.timestep = self.env.reset()
        self.model: mujoco.MjModel = self.env.physics.model.ptr
        self.data: mujoco.MjData = self.env.physics.data.ptr

    def step(self, action: np.ndarray) -> None:
        """One control step."""
        self.timestep = self.env.step(action)

    def sense(self, name: str) -> np.ndarray:
        """An observable of the current time step, as the original returned it."""
        return np.atleast_1d(self.timestep.observation[f"walker/{name}"])

    def arena(self, model: mujoco.MjModel) -> Arena:
        """This episode's arena and start, for our task's `model`."""
        return _READERS[self.name](self, model)

    def orb(self) -> Any:
        """The two-touch task's orb: dm_control's entity."""
        return self.env.task._targets[0][0]

    def ids(self, kind: mujoco.mjtObj, names: tuple[str, ...]) -> np.ndarray:
        """Ids in the original's model, -1 where it has no such thing."""
        return np.array([mujoco.mj_name2id(self.model, kind, name) for name in names])


def script_orbs(env: Any, orbs: np.ndarray) -> None:
    """Let a two-touch environment place its orbs at given positions (orb, 3), one after the other, instead of at random."""
    task = env.task
    randomize, left = task._randomize_targets, [orb.copy() for orb in orbs]
    task._target_area = (1.0, 1.0)

    class Script:
        """Stands in for the random generator: gives x, then y, and leaves the only orb where it is in the list."""

        def __init__(self, xy: list[float]) -> None:
            self.uniform = lambda low, high: xy.pop(0)
            self.shuffle = lambda sequence: None

    def scripted(physics: Any) -> None:
        x, y, task._z_height = left.pop(0)
        randomize(physics, random_state=Script([x, y]))

    task._randomize_targets = scripted


def _gaps(episode: Original, model: mujoco.MjModel) -> Arena:
    task: Any = get_task("gaps")
    spare = task.draw(np.random.default_rng(0), model)
    ids = episode.ids(mujoco.mjtObj.mjOBJ_GEOM, task.movable_geoms)
    used = ids >= 0
    assert used.sum() == sum(episode.model.geom(i).name.startswith(("floor_", "start_floor")) for i in range(episode.model.ngeom))
    pos, size, rgba = spare.geom_pos.copy(), spare.geom_size.copy(), spare.geom_rgba.copy()
    pos[~used, 0], rgba[~used, 3], rgba[used, 3] = 100.0 + np.arange((~used).sum()), 0.0, 1.0
    pos[used], size[used] = episode.model.geom_pos[ids[used]], episode.model.geom_size[ids[used]]
    return Arena(
        qpos=episode.data.qpos.copy(), geom_pos=pos, geom_size=size, geom_rgba=rgba, geom_quat=spare.geom_quat,
        extent=float(episode.model.stat.extent),
    )  # fmt: skip


def _two_tap(episode: Original, model: mujoco.MjModel) -> Arena:
    task: Any = get_task("two_tap")
    arena = task.draw(np.random.default_rng(0), model)
    rng = np.random.RandomState(episode.seed)
    rng.uniform()  # the rat's direction
    height, area = episode.env.task._z_height, episode.env.task._target_area
    targets = np.full(arena.targets.shape, float(height))
    for target in targets:
        target[0], target[1] = area[0] * rng.uniform(-1.0, 1.0), area[1] * rng.uniform(-1.0, 1.0)
    np.testing.assert_array_equal(targets[0], episode.model.geom_pos[episode.model.geom("target_0_0/geom").id])
    return Arena(
        qpos=episode.data.qpos.copy(), targets=targets, num_targets=len(targets),
        material_texture=arena.material_texture, material_texrepeat=arena.material_texrepeat,
    )  # fmt: skip


_READERS: dict[str, Callable[[Original, mujoco.MjModel], Arena]] = {
    "gaps": _gaps, "forage": read_forage, "bowl": read_bowl, "two_tap": _two_tap,
}  # fmt: skip


ROUNDING = {"appendages_pos": 1e-15}
"""The original rotates each vector in a product of its own; all else is equal to the last bit."""


@dataclass
class Differences:
    """Largest absolute difference of each quantity over the steps compared; 0 means equal to the last bit.

    Attributes:
        steps: control steps compared, the start not counted.
        largest: by name of the quantity.
        ended: the step at which both episodes ended, or None.
        agree: whether endings, terminations and discounts agreed at every step.
        total_reward: of the original.
        events: by name of a task's event, its values step by step.
    """

    steps: int = 0
    largest: dict[str, float] = field(default_factory=dict)
    ended: int | None = None
    agree: bool = True
    total_reward: float = 0.0
    events: dict[str, list[Any]] = field(default_factory=dict)

    def beyond(self, rounding: dict[str, float] | None = None) -> dict[str, float]:
        """Quantities that differ by more than they may; empty where the episodes are equal."""
        allowed = ROUNDING if rounding is None else rounding
        return {name: worst for name, worst in self.largest.items() if not worst <= allowed.get(name, 0.0)}

    def add(self, name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Note a difference; values that are equal, infinities and NaNs included, differ by 0."""
        ours, theirs = np.asarray(ours, float).reshape(-1), np.asarray(theirs, float).reshape(-1)
        assert ours.shape == theirs.shape, (name, ours.shape, theirs.shape)
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        worst = 0.0 if same.all() else float(np.abs(ours - theirs)[~same].max())
        self.largest[name] = max(self.largest.get(name, 0.0), worst)


def compare(
    episode: Original, simulation: CpuSimulation, actions: np.ndarray, *, after_step: Callable[[], None] | None = None
) -> Differences:
    """Play the same actions in both and compare everything at every step, until the original ends its episode.

    Args:
        episode: at its start.
        simulation: one world, reset to the episode's arena.
        actions: (step, 38).
        after_step: called when both have made a step.
    """
    found = Differences()
    _compare_state(found, episode, simulation)
    for step, action in enumerate(actions):
        episode.step(action)
        ours = simulation.step(action[None])
        _compare_state(found, episode, simulation)
        found.add("reward", ours.info.reward[0], episode.timestep.reward)
        found.add("discount", ours.info.discount[0], episode.timestep.discount)
        found.total_reward += episode.timestep.reward
        for name, values in ours.info.events._asdict().items():
            found.events.setdefault(name, []).append(values[0])
        last = bool(ours.terminated[0] or ours.truncated[0])
        found.agree &= last == episode.timestep.last() and not ours.info.diverged[0]
        found.steps = step + 1
        if after_step is not None:
            after_step()
        if episode.timestep.last():
            found.ended = step
            break
    return found


def _compare_state(found: Differences, episode: Original, simulation: CpuSimulation) -> None:
    fields = simulation.physics.fields
    for name in ("time", "qpos", "qvel", "act", "qacc_warmstart", "sensordata", "actuator_force"):
        found.add(name, getattr(fields, name)[0], getattr(episode.data, name))
    felt = proprioception_of(simulation)
    for sense in PROPRIOCEPTION:
        found.add(sense.name, felt[sense_slices()[sense.name]], episode.sense(sense.name))


def proprioception_of(simulation: CpuSimulation) -> np.ndarray:
    """(158,) float64, unrounded, of the first world."""
    return proprioception(simulation.physics.fields, simulation.index)[0]


def wandering(seed: int, centre: np.ndarray, steps: int) -> np.ndarray:
    """(step, 38) random actions around a centre, each kept for five steps, so that the rat is thrown about."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(0.2, 1.0)
    return np.clip(centre + size * np.repeat(rng.standard_normal((-(-steps // 5), 38)), 5, axis=0)[:steps], -1, 1)
