"""What the arenas look like: the outdoor sky and grass that dm_control installs, and the maze walls that labmaze installs.

The pictures are read from the installed packages, found without importing dm_control, and are not copied into this one.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import mujoco

_OUTDOOR = Path("locomotion", "arenas", "assets", "outdoor_natural")
_MAZE_WALLS = Path("assets", "style_01")

GROUND_MATERIAL = "aesthetic_material"

WALL_COLOURS = ("blue", "cerise", "green_bright", "green", "purple", "red_bright", "red", "yellow")
"""Textures of the maze's walls, of which each maze has one. Source: `labmaze.assets.WALL_TEXTURES["style_01"]`."""


def _installed(package: str, file: Path) -> str:
    found = importlib.util.find_spec(package)
    roots = list(found.submodule_search_locations or ()) if found else []
    for root in roots:
        if (path := Path(root) / file).is_file():
            return str(path)
    raise FileNotFoundError(
        f"The picture {file.name} comes with the package {package}, which is "
        + ("not installed" if not roots else f"installed in {roots[0]} without {file}")
        + f". Install it again: pip install --force-reinstall {package}."
    )


def add_sky(spec: mujoco.MjSpec) -> None:
    """Add the outdoor sky box, `aesthetic_skybox`.

    Raises:
        FileNotFoundError: the picture is not installed.
    """
    spec.add_texture(
        name="aesthetic_skybox", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        file=_installed("dm_control", _OUTDOOR / "OutdoorSkybox2048.png"), gridsize=[3, 4], gridlayout=list(".U..LFRB.D.."),
    )


def add_grass(spec: mujoco.MjSpec, name: str = "aesthetic_texture") -> str:
    """Add the grass texture and return its name.

    Raises:
        FileNotFoundError: the picture is not installed.
    """
    spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, file=_installed("dm_control", _OUTDOOR / "OutdoorGrassFloorD.png"))
    return name


def add_outdoors(spec: mujoco.MjSpec) -> None:
    """Add the sky, and the grass as the material `GROUND_MATERIAL` that repeats by metre.

    Raises:
        FileNotFoundError: a picture is not installed.
    """
    add_sky(spec)
    add_material(spec, name=GROUND_MATERIAL, texture=add_grass(spec), texuniform=True)


def add_wall_colours(spec: mujoco.MjSpec) -> tuple[str, ...]:
    """Add the eight wall textures and return their names, in the order of `WALL_COLOURS`.

    Raises:
        FileNotFoundError: a picture is not installed.
    """
    names = tuple(f"labmaze_style_01/{colour}" for colour in WALL_COLOURS)
    for name, colour in zip(names, WALL_COLOURS, strict=True):
        file = _installed("labmaze", _MAZE_WALLS / f"wall_{colour}_d.png")
        spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, file=file)
    return names


def add_material(spec: mujoco.MjSpec, *, name: str, texture: str, texrepeat: tuple[float, float] | None = None,
                 texuniform: bool = False) -> None:
    """Add a material with one colour texture.

    Args:
        spec: changed in place.
        name: of the material.
        texture: name of the texture.
        texrepeat: how often it repeats along the two axes of a geom, or of a metre where `texuniform`.
        texuniform: repeat by metre, not by geom.
    """
    material = spec.add_material(name=name, texuniform=texuniform)
    textures = [""] * mujoco.mjtTextureRole.mjNTEXROLE
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture
    material.textures = textures
    if texrepeat is not None:
        material.texrepeat = texrepeat


def hold_still(body: mujoco.MjsBody) -> None:
    """Give a static body an inertial frame of its own, away from its geoms, so that its geoms can be moved after compilation.

    MuJoCo takes a geom that coincides with its body's inertial frame to stay there, whatever is written to its position later
    (`geom_sameframe`). A static body's inertia has no effect.
    """
    body.explicitinertial = True
    body.mass = 1.0
    body.inertia = [1.0, 1.0, 1.0]
    body.ipos = [0.0, 0.0, -1.0]
