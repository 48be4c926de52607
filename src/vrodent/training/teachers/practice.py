"""Practice: worlds of one ground, restarted as episodes end, each as hard as the rat can bear. The grounds themselves are in `grounds`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.simulation.cpu import Observation
from vrodent.task import CONTROL_STEP, Arena
from vrodent.training.teachers.guidance import Ground, Guidance, Guide
from vrodent.training.teachers.moments import Moments
from vrodent.training.teachers.onlooker import Onlooker
from vrodent.training.teachers.privileged import observe
from vrodent.training.teachers.shaping import ShapingConfig, shape
from vrodent.training.teachers.skills import Role

_STOPPED = 0.05  # share of what is told; standing rats sway by less


@dataclass(frozen=True, kw_only=True)
class PracticeConfig:
    """How practice is set.

    Attributes:
        num_worlds: worlds of open ground, corridors, slopes, hollows and orbs.
        episode_steps: control steps of an episode; half as much again in corridors.
        action_scale: ctrl = clip(stance + action_scale * action, -1, 1).
        posture_noise: rad, standard deviation added to every joint at the start.
        pit: m, height of a paw below which a corridor episode ends; sooner than in the task, but a paw that slips may be pulled out.
        top_speed: (least, most) m/s between which the speeds asked of a world are adapted.
        physics: "training" to learn fast in; "reference" to be fine-tuned in, for that is what a teacher is judged by.
        second_chances: share of the episodes that begin just before a gap, with orbs just after a first tap (see `moments`), or on slopes
            where `righting` has left a rat; with an onlooker, on slopes as the task does, thrown, and the onlooker brings it to its feet.
        righting: a teacher's folder, or the name of a packaged one: slopes are also practised from where it has brought rats to their feet
            that were thrown into the bowl, see `risen`; so many as `second_chances` says. Empty for a standing start alone.
        patience: s, about how long a rat that no longer goes as it is told in a corridor or on slopes may stand there before the episode
            ends as by a fall; 0 is for ever. Who may stop is paid for standing, risks nothing, and stops before the first gap for good.
        levels: difficulties in [0, 1] between which the worlds of every ground begin; None leaves it to the ground.
        blur: m, standard deviation of the errors in where orbs and edges are told to be, see `misjudgement`.
        onlooker: an agent's folder, or the name of a packaged one: in corridors and on slopes the rat is told by it, see `onlooker`, not by
            an oracle; of slopes, not to go by the easiest way, but onward from the centre as fast as it can. Empty for the oracle.
        blindfold: the onlooker's eyes are bound: no picture is drawn, and it can tell in hollows as well. It only feels, and tells
            the true course, as a compass would, see `blindfolded`. Equip an agent's skill to climb with `--compass` then.
        shaping: weights of the reward.
    """

    num_worlds: tuple[int, int, int, int, int] = (26, 16, 6, 6, 10)
    episode_steps: int = 500
    action_scale: float = 0.5
    posture_noise: float = 0.03
    pit: float = -0.15
    top_speed: tuple[float, float] = (0.6, 1.2)
    physics: Literal["training", "reference"] = "training"
    second_chances: float = 0.0
    righting: str = ""
    patience: float = 0.0
    levels: tuple[float, float] | None = None
    blur: float = 0.0
    onlooker: str = ""
    blindfold: bool = False
    shaping: ShapingConfig = field(default_factory=ShapingConfig)

    def __post_init__(self) -> None:
        if min(self.num_worlds) < 0 or sum(self.num_worlds) < 1:
            raise ValueError(f"num_worlds must be five numbers, none negative, not all zero; got {self.num_worlds}.")
        if self.physics not in ("training", "reference"):
            raise ValueError(f"physics must be 'training' or 'reference', got {self.physics!r}.")
        if not 0 <= self.second_chances < 1:
            raise ValueError(f"second_chances must be a share in [0, 1), got {self.second_chances}: moments must come from somewhere.")
        if self.righting and not self.second_chances:
            raise ValueError(f"righting is {self.righting!r}, but second_chances is 0: say what share of the episodes is to begin there.")
        if self.patience < 0:
            raise ValueError(f"patience must not be negative, got {self.patience} s.")
        if not 0 <= self.blur <= 0.1:
            raise ValueError(f"blur must be a distance from 0 to 0.1 m, got {self.blur}.")
        if self.onlooker and self.second_chances and (self.num_worlds[1] or self.righting):
            raise ValueError("with an onlooker second_chances are thrown starts on slopes, without righting: it remembers no moments kept.")
        if self.onlooker and self.blur:
            raise ValueError("with an onlooker blur must be 0: it errs by itself.")
        if self.blindfold and (not self.onlooker or self.num_worlds[1]):
            raise ValueError("blindfold is for an onlooker on slopes and in hollows: name one, and no corridors, whose edges are seen.")
        if self.levels is not None and not 0 <= self.levels[0] <= self.levels[1] <= 1:
            raise ValueError(f"levels must be two difficulties in [0, 1], the lower first; got {self.levels}.")


class PracticeGround:
    """Worlds of one ground, restarted as episodes end, with a difficulty of their own.

    Args:
        env: the simulation.
        rng: source of all draws.
        config: the settings.
    """

    ground: Ground
    leads_on = False  # its rats are always told to go on
    hurried = False  # who is faster than told is not wrong
    role: Role | None = None  # of the skill that is practised, where a student can tell it all that an oracle does
    second_chance_steps: int  # of an episode that begins from a moment kept; a ground that keeps none has none

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        self.env, self.rng, self.config = env, rng, config
        worlds = env.num_worlds
        self.steps = np.zeros(worlds, int)  # on the clock, which begins anywhere in the first half so that worlds do not end together
        self.lived = np.zeros(worlds, int)  # since the episode began
        self.limit = config.episode_steps
        self.previous_action = np.zeros((worlds, env.action_size))
        self.tracking_sum = np.zeros(worlds)
        self.lately = np.ones(worlds)  # share of the instruction fulfilled of late; 1 at the start, to give time to set off
        self.top_speed = np.full(worlds, np.clip(0.65, *config.top_speed))
        self.difficulty = np.zeros(worlds)
        self.moments, self.second_chance = Moments(), np.zeros(worlds, bool)
        self.onlooker: Onlooker | None = None
        self.practised = np.ones(worlds, bool)  # whether the rat has been brought to where practice begins

    # What a ground decides -----------------------------------------------------------------------------------------------------

    def arena(self, world: int) -> Arena:
        """Geometry and start of a world's next episode."""
        raise NotImplementedError

    def guide_of(self) -> Guide:
        """Who tells the rat what to do."""
        raise NotImplementedError

    def grow(self, world: int, fell: bool) -> None:
        """Adapt the difficulty of a world at the end of its episode."""

    def told(self, guidance: Guidance) -> Guidance:
        """What the rat is told of what is the case."""
        return guidance

    def begin(self, ids: np.ndarray) -> None:
        """New instructions after a reset."""

    def advance(self) -> None:
        """Change instructions during an episode."""

    def again(self, world: int, arena: Arena) -> Arena:
        """The arena in which a moment, with its own, is lived again in a world."""
        return arena

    def keep(self, worlds: np.ndarray, action: np.ndarray) -> None:
        """Keep the present moments of worlds (ids), led to by action (world, 38), where any are to be lived again."""
        if self.config.second_chances > 0.0:
            for world in worlds:
                self.moments.keep(self.env, int(world), action[world])

    # What all grounds do ---------------------------------------------------------------------------------------------------------

    def reset(self, ids: np.ndarray) -> None:
        """Start episodes, some where others got to."""
        again = self.rng.random(len(ids)) < (self.config.second_chances if len(self.moments) else 0.0)
        self.second_chance[ids], self.practised[ids] = again, True
        senses = None if again.all() else self._anew(ids[~again])
        if again.any():
            chosen = ids[again]
            self.previous_action[chosen] = self.moments.relive(self.env, chosen, self.rng, self.again)
            self.steps[chosen] = self.limit - self.second_chance_steps
        self.tracking_sum[ids], self.lived[ids], self.lately[ids] = 0.0, 0, 1.0
        self.begin(ids)
        if self.onlooker is not None and senses is not None:  # it keeps no moments, so that all begin anew
            self.onlooker.look(senses, ids, fresh=True)

    def _anew(self, ids: np.ndarray) -> Observation:
        senses = self.env.reset_to(ids, [self.started(int(world)) for world in ids])
        self.steps[ids] = np.where(self.practised[ids], self.rng.integers(0, self.limit // 2, len(ids)), 0)
        self.previous_action[ids] = 0.0
        return senses

    def started(self, world: int) -> Arena:
        """Where a world's next episode begins, unless from a moment kept."""
        return self._disturbed(self.arena(world))

    def _disturbed(self, arena: Arena) -> Arena:
        qpos = arena.qpos.copy()
        qpos[7:] += self.rng.normal(0.0, self.config.posture_noise, len(qpos) - 7)
        values = {name: getattr(arena, name) for name in arena.__dataclass_fields__}
        settled = self.rng.random() < 0.6  # else as the tasks begin: actuators at rest, away from the stance
        return Arena(**{**values, "qpos": qpos, "act": self.env.standing_ctrl * settled})

    def observe(self) -> np.ndarray:
        """(world, observation) privileged; with an onlooker what it tells, and after it the privileged one."""
        guide = self.guide_of()
        truth = observe(self.env, guide, self.told(guide.guide(self.env)), self.config.action_scale)
        return truth if self.onlooker is None else np.concatenate([self.onlooker.told(truth), truth], axis=1)

    def step(self, action: np.ndarray) -> GroundStep:
        """Take one standing-centred action (world, 38) in [-1, 1] in every world; see `Onlooker.moved` if there is one. Worlds that end
        are not restarted: call `restart`."""
        env, config = self.env, self.config
        told = _copied(self.guide_of().guide(env))
        deflection = config.action_scale * action
        if self.onlooker is not None:
            deflection = self.onlooker.moved(deflection)
        result = env.step(np.clip(env.standing_ctrl + deflection, -1.0, 1.0))
        taps = getattr(result.info.events, "tap", np.zeros(env.num_worlds, int))
        judged = shape(env, self.ground, told, action - self.previous_action, taps, config.shaping, self.hurried)
        diverged, practised = result.info.diverged, self.practised.copy()
        terminated = diverged | practised & (judged.fallen | self.lost() | self._stands(judged.tracking))
        self.steps += 1
        self.lived += 1
        self.tracking_sum += judged.tracking
        self.previous_action = action.copy()
        self.practised |= self.ready()
        self.advance()
        if self.onlooker is not None:
            self.onlooker.look(result.observation, np.arange(env.num_worlds), fresh=False)
        observation = self.observe()
        broken = diverged | ~np.isfinite(observation).all(axis=1)
        observation[broken] = 0.0
        return GroundStep(
            observation=observation,
            reward=np.where(broken, 0.0, judged.reward).astype(np.float32),
            terminated=terminated | broken,
            truncated=(self.steps >= self.limit) & ~(terminated | broken),
            tracking=np.where(broken, 0.0, judged.tracking),
            taps=taps,
            practised=practised,
        )

    def _stands(self, tracking: np.ndarray) -> np.ndarray:
        """(world,) bool: has stopped where it is to go on, for `patience` s if it had gone perfectly until then."""
        if not (self.leads_on and self.config.patience):
            return np.zeros(self.env.num_worlds, bool)
        kept = _STOPPED ** (CONTROL_STEP / self.config.patience)
        self.lately = np.where(self.practised, kept * self.lately + (1.0 - kept) * tracking, 1.0)
        return self.lately < _STOPPED

    def ready(self) -> np.ndarray:
        """(world,) bool: a rat that was not yet where practice begins now is."""
        return np.ones(self.env.num_worlds, bool)

    def lost(self) -> np.ndarray:
        """(world,) bool: the episode ends for a reason of the ground's own."""
        return np.zeros(self.env.num_worlds, bool)

    def restart(self, last: GroundStep) -> np.ndarray:
        """Restart the worlds that have ended, after adapting their difficulty; the observations (world, observation) to act on."""
        ids = np.flatnonzero(last.terminated | last.truncated)
        if not ids.size:
            return last.observation
        for world in ids:
            if self.lived[world] > 150 and not self.second_chance[world]:
                share = self.tracking_sum[world] / self.lived[world]
                low, high = self.config.top_speed
                step = 0.04 if share > 0.5 else -0.02 if share < 0.3 else 0.0
                self.top_speed[world] = np.clip(self.top_speed[world] + step, low, high)
            self.grow(int(world), bool(last.terminated[world]))
        self.reset(ids)
        observation = last.observation.copy()
        observation[ids] = self.observe()[ids]
        return observation


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundStep:
    """One step on one ground: privileged observation (world, ...) before any restart, shaped reward, ends, tracking in [0, 1], taps,
    and whether it was practice."""

    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    tracking: np.ndarray
    taps: np.ndarray
    practised: np.ndarray


def _copied(guidance: Guidance) -> Guidance:
    return Guidance(*(np.array(part) for part in guidance))


def turned(model_qpos0: np.ndarray, position: tuple[float, float, float], yaw: float) -> np.ndarray:
    """`qpos0` at a position (m), facing `yaw` (rad)."""
    qpos = model_qpos0.copy()
    qpos[:3] = position
    qpos[3:7] = np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)
    return qpos
