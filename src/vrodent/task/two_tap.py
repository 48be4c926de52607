"""Tap an orb with a forepaw, wait 0.8 s, and tap it again.

The palm must touch it. The original means the fingers too, but it moves the orb of a compiled model, and MuJoCo 3.17 then looks for
contacts of bodies with several geoms, such as the fingers, only around (1, 1, 0.14) m, where the orb was compiled. Ours does the same.

Source: dm_control `tasks/reach.py` `TwoTouch`, `props/target_sphere.py` `TargetSphereTwoTouch`, `examples/basic_rodent_2020.py`
`rodent_two_touch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple

import mujoco
import numpy as np

from vrodent.body import RatIndex, add_rat, arena_spec
from vrodent.task.base import Arena, Arenas, Look, Outcome
from vrodent.task.scenery import GROUND_MATERIAL, add_outdoors

_ORB = "target_0_0/"
_GEOM = _ORB + "geom"
_MATERIAL = _ORB + "target_sphere_init"
_COLOURS = {
    _ORB + "target_sphere_init": ((0.0, 0.4, 0.0), (0.0, 0.7, 0.0)),
    _ORB + "target_sphere_inter": ((1.0, 1.0, 0.4), (0.7, 0.7, 0.0)),
    _ORB + "target_sphere_final": ((0.4, 0.7, 1.0), (0.0, 0.4, 0.7)),
}
"""Textures of the orb: untouched green, touched yellow, touched twice blue."""
_COMPILED_AT = (1.0, 1.0, 0.14)  # m; where the original compiles its orb, before it moves it
_NUM_ORBS = 64  # the quickest sequence lasts 0.7 s: at most 43 orbs in 30 s

WAITING, TAPPED, CORRECT, TOO_SOON, TOO_LATE = range(5)
"""What `TwoTapProgress.phase` says of the current orb, as the original's `TwoTouchState`."""


class TwoTapProgress(NamedTuple):
    """Memory of an episode, each (world,).

    Attributes:
        orb: how many orbs came before the current one.
        phase: `WAITING` for the first tap, `TAPPED` once, or the sequence's end: `CORRECT`, `TOO_SOON`, `TOO_LATE`.
        first_time, last_time: s, end of the control step of the first tap, and of the sequence's end.
        touch_time: s, the physics step of the first touch.
        touched, touched_twice: the orb's own memory of touches, of which the second counts only 0.2 s after the first.
        timed_out: the time-out after a wrong sequence is running.
        move: the orb is to move before the next step.
        taps: how many correct double taps so far.
    """

    orb: Any
    phase: Any
    first_time: Any
    last_time: Any
    touch_time: Any
    touched: Any
    touched_twice: Any
    timed_out: Any
    move: Any
    taps: Any


class TwoTapEvents(NamedTuple):
    """Attributes, each (world,): tap, what happened in this step (0 nothing, 1 first tap, 2 correct second tap, 3 second tap too soon,
    4 none in time); interval, s between the taps where tap is 2 or 3, else NaN; taps, correct double taps so far; orb_pos (world, 3)."""

    tap: Any
    interval: Any
    taps: Any
    orb_pos: Any


@dataclass(frozen=True, kw_only=True)
class TwoTap:
    """Two taps of an orb. The defaults are the release's.

    Attributes:
        area: m, the orb appears within plus or minus this in x and y.
        height: m, of the orb's centre.
        radius: m, of the orb.
        interval, tolerance: s, the second tap is correct within interval +- tolerance of the first.
        debounce: s after a touch within which another is not a second one.
        timeout: s without an orb to tap after a wrong sequence.
        tap_reward: for the first tap and for a correct second one.
        time_limit: s.
    """

    area: tuple[float, float] = (1.5, 1.5)
    height: float = 0.14
    radius: float = 0.025
    interval: float = 0.8
    tolerance: float = 0.1
    debounce: float = 0.2
    timeout: float = 1.2
    tap_reward: float = 25.0
    time_limit: float = 30.0
    name: str = "two_tap"
    movable_geoms: tuple[str, ...] = ()
    movable_materials: tuple[str, ...] = (_MATERIAL,)
    target_geoms: tuple[str, ...] = (_GEOM,)
    touching: Literal["rat", "hands"] = "hands"
    refresh: Literal["always", "outcome"] = "outcome"

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < self.interval:
            raise ValueError(f"tolerance must lie between 0 and interval = {self.interval}, got {self.tolerance}.")

    def spec(self) -> mujoco.MjSpec:
        """Floor, rat, orb."""
        spec = arena_spec()
        spec.visual.map.znear = 0.01
        add_outdoors(spec)
        spec.worldbody.add_geom(name="groundplane", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[10, 10, 0.25], material=GROUND_MATERIAL)
        spec.worldbody.add_camera(name="top_camera", pos=[0, 0, 100], fovy=float(np.rad2deg(2 * np.arctan2(1.1 * 10, 100))))
        add_rat(spec)
        for name, (one, other) in _COLOURS.items():
            spec.add_texture(
                name=name, type=mujoco.mjtTexture.mjTEXTURE_CUBE, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
                rgb1=one, rgb2=other, width=100, height=100,
            )  # fmt: skip
        material = spec.add_material(name=_MATERIAL)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = _MATERIAL
        # The margin keeps the orb from pushing, the gap reports its contacts nevertheless.
        spec.worldbody.add_body(name=_ORB).add_geom(
            name=_GEOM, type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[self.radius, 0, 0], pos=_COMPILED_AT,
            margin=-2 * self.radius, gap=2 * self.radius, material=_MATERIAL,
        )  # fmt: skip
        return spec

    def draw(self, rng: np.random.Generator, model: mujoco.MjModel) -> Arena:
        """The rat stands at the centre in a random direction; where each orb of the episode will be."""
        turn = 2 * np.pi * rng.uniform()
        targets = np.full((_NUM_ORBS, 3), self.height)
        targets[:, :2] = rng.uniform(-1.0, 1.0, size=(_NUM_ORBS, 2)) * self.area
        qpos = model.qpos0.copy()
        qpos[3:7] = np.cos(turn / 2), 0, 0, np.sin(turn / 2)
        texture = np.array([mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_TEXTURE, name) for name in _COLOURS])
        return Arena(
            qpos=qpos, targets=targets, num_targets=_NUM_ORBS, material_texture=texture[:1], material_texrepeat=np.ones((1, 2)),
        )  # fmt: skip

    def start(self, arenas: Arenas, xp: ModuleType) -> TwoTapProgress:
        """Waiting for the first tap of the first orb."""
        worlds = arenas.qpos.shape[0]
        no, zero, never = xp.zeros(worlds, dtype=bool), xp.zeros(worlds, dtype=int), xp.zeros(worlds)
        return TwoTapProgress(zero, zero, never, never, never, no, no, no, no, zero)

    def before_step(self, progress: TwoTapProgress, arenas: Arenas, xp: ModuleType) -> tuple[TwoTapProgress, Any]:
        """Where a sequence has ended, the next orb appears."""
        fresh = self.start(arenas, xp)
        orb = xp.where(progress.move, progress.orb + 1, progress.orb)
        move = progress.move
        reset = {
            name: xp.where(move, getattr(fresh, name), getattr(progress, name))
            for name in ("phase", "touched", "touched_twice", "timed_out")
        }
        progress = progress._replace(orb=orb, **reset)
        return progress, self._orb_pos(progress, arenas, xp)[:, None]

    def _orb_pos(self, progress: TwoTapProgress, arenas: Arenas, xp: ModuleType) -> Any:
        worlds = xp.arange(arenas.targets.shape[0])
        return arenas.targets[worlds, progress.orb % arenas.targets.shape[1]]

    def step(
        self, progress: TwoTapProgress, fields: Any, touched: Any, substep_time: Any, arenas: Arenas, index: RatIndex, xp: ModuleType
    ) -> Outcome:
        """A little for a hand near the orb; `tap_reward` for a first tap, and for a second in time."""
        before = progress
        moved = progress.move
        progress = self._feel(progress._replace(move=xp.zeros_like(moved)), touched[..., 0], substep_time, xp)
        orb = self._orb_pos(progress, arenas, xp)
        time = substep_time[:, -1]
        off = xp.abs(fields.xpos[:, index.hands] - orb[:, None])
        near = xp.exp(-3.0 * (off[..., 0] + off[..., 1] + off[..., 2])).max(axis=1)
        progress, tap, interval = self._judge(progress, time, xp)
        reward = 0.01 * near * self.tap_reward
        reward = reward + xp.where((tap == 1) | (tap == 2), self.tap_reward, 0.0)
        # The original moves the orb and changes its colour through writes that make dm_control call mj_forward.
        refresh = moved | (progress.touched != before.touched) | (progress.touched_twice != before.touched_twice)
        events = TwoTapEvents(tap=tap, interval=interval, taps=progress.taps, orb_pos=orb)
        no = xp.zeros_like(moved)
        return Outcome(progress, reward, no, xp.ones_like(reward), refresh, events)

    def _feel(self, progress: TwoTapProgress, touched: Any, time: Any, xp: ModuleType) -> TwoTapProgress:
        """The orb's memory after the touches (world, substep) of one step; equals feeling them one by one."""
        first = xp.take_along_axis(time, xp.argmax(touched, axis=1)[:, None], axis=1)[:, 0]
        touch_time = xp.where(progress.touched, progress.touch_time, first)
        again = (touched & (time > (touch_time + self.debounce)[:, None])).any(axis=1)
        any_touch = touched.any(axis=1)
        return progress._replace(
            touched=progress.touched | any_touch,
            touch_time=xp.where(any_touch, touch_time, progress.touch_time),
            touched_twice=progress.touched_twice | again,
        )

    def _judge(self, progress: TwoTapProgress, time: Any, xp: ModuleType) -> tuple[TwoTapProgress, Any, Any]:
        """Advance the sequence as the original's `get_reward` does; also what to report: tap and interval."""
        p = progress
        waiting, tapped, over = p.phase == WAITING, p.phase == TAPPED, p.phase >= CORRECT
        least, most = self.interval - self.tolerance, self.interval + self.tolerance
        first = waiting & p.touched
        since = time - p.first_time
        second = tapped & p.touched_twice
        too_soon, in_time = second & (since < least), second & ~(since < least) & (since <= most)
        late = tapped & (since > most)
        phase = xp.where(first, TAPPED, xp.where(second, xp.where(too_soon, TOO_SOON, CORRECT), p.phase))
        phase = xp.where(late, TOO_LATE, phase)
        wait_over = over & p.timed_out & (time > p.last_time + self.timeout)
        move = over & ~p.timed_out & (time > p.last_time)
        tap = xp.where(first, 1, xp.where(in_time, 2, xp.where(too_soon, 3, xp.where(late, 4, 0))))
        interval = xp.where(in_time | too_soon, since, xp.nan)
        progress = p._replace(
            phase=phase,
            first_time=xp.where(first, time, p.first_time),
            last_time=xp.where(second | late, time, p.last_time),
            timed_out=(p.timed_out | too_soon | late) & ~wait_over,
            move=move,
            taps=p.taps + in_time,
        )
        return progress, tap, interval

    def look(self, progress: TwoTapProgress, arenas: Arenas, xp: ModuleType) -> Look:
        """The orb's colour shows its touches."""
        touches = xp.asarray(progress.touched, dtype=int) + xp.asarray(progress.touched_twice, dtype=int)
        # The three textures are compiled one after the other.
        texture = xp.asarray(arenas.material_texture, dtype=int) + touches[:, None]
        return Look(texture, xp.ones((touches.shape[0], 1), dtype=bool))
