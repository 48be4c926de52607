"""The rat as an `MjSpec`, built from the asset that dm_control installs.

The XML and the skin are read from the installed dm_control package and are not copied into this one. Names inside a compiled model
carry the prefix `walker/`, as in the original, so that a body of ours and a body of theirs have the same name.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import mujoco

PREFIX = "walker/"
_ASSET = Path("locomotion", "walkers", "assets", "rodent.xml")

END_EFFECTORS = ("lower_arm_R", "lower_arm_L", "foot_R", "foot_L")
"""Bodies whose positions are felt, in the order of the original's observation."""


def rat_asset() -> Path:
    """Path of the rat's XML inside the installed dm_control package.

    Raises:
        FileNotFoundError: dm_control is not installed, or is a version without the rat.
    """
    found = importlib.util.find_spec("dm_control")
    roots = list(found.submodule_search_locations or ()) if found else []
    for root in roots:
        path = Path(root) / _ASSET
        if path.is_file():
            return path
    raise FileNotFoundError(
        "The rat's body comes with the package dm_control, which is "
        + ("not installed" if not roots else f"installed in {roots[0]} without {_ASSET}")
        + ". Install the pinned one: pip install 'dm_control==1.0.50'."
    )


def arena_spec() -> mujoco.MjSpec:
    """An empty arena with the compiler settings and reference physics of the original (0.001 s, elliptic cones, 5 no-slip iterations).

    Source: dm_control `composer/arena.xml` and `locomotion/examples/basic_rodent_2020.py`.
    """
    spec = mujoco.MjSpec()
    spec.modelname = "arena"
    spec.compiler.degree = False
    spec.compiler.boundmass = 1e-5
    spec.compiler.boundinertia = 1e-11
    spec.option.timestep = 0.001
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.noslip_iterations = 5
    spec.option.noslip_tolerance = 0.0
    # The asset asks for 8000 constraint rows and 4000 contacts, 3.4 GB of address space a world; 204 and 51 are the most ever seen.
    spec.njmax = 512
    spec.nconmax = 128
    spec.stat.meansize = 0.003
    visual = spec.visual
    visual.quality.shadowsize = 2048
    visual.map.znear = 0.01
    visual.map.zfar = 50.0
    visual.headlight.ambient = [0.4, 0.4, 0.4]
    visual.headlight.diffuse = [0.8, 0.8, 0.8]
    visual.headlight.specular = [0.1, 0.1, 0.1]
    scale = visual.scale
    scale.forcewidth, scale.contactwidth, scale.contactheight = 0.01, 0.06, 0.01
    scale.jointwidth, scale.framewidth, scale.framelength = 0.01, 0.01, 0.3
    return spec


def add_rat(arena: mujoco.MjSpec) -> None:
    """Attach the rat to an arena, free to move, under the body `walker/`. Call it after the geoms of the world and of the bodies that
    precede the rat have been added: the order of bodies is the order of contacts, and so of the solver's arithmetic.

    Args:
        arena: changed in place.
    """
    rat = mujoco.MjSpec.from_file(str(rat_asset()))
    rat.njmax = rat.nconmax = -1  # keep the arena's, see arena_spec
    root = arena.worldbody.add_body(name=PREFIX)
    root.add_freejoint(name=PREFIX)
    arena.attach(rat, frame=root.add_frame(), prefix=PREFIX)
    for name in END_EFFECTORS:
        arena.add_sensor(
            name=f"{PREFIX}{name}_end_effector",
            type=mujoco.mjtSensor.mjSENS_FRAMEPOS,
            objtype=mujoco.mjtObj.mjOBJ_XBODY,
            objname=PREFIX + name,
            reftype=mujoco.mjtObj.mjOBJ_XBODY,
            refname=PREFIX + "torso",
        )
