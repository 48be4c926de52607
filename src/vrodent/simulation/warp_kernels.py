"""The few Warp kernels of our own: arenas written into worlds, touches judged, failed worlds caught.

Warp reads the annotations of a kernel's arguments when the module is loaded, so this module does without postponed ones.
"""

from typing import Any

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def scatter(rows: wp.array2d[Any], worlds: wp.array[int], columns: wp.array[int], out: wp.array2d[Any]):
    """out[worlds[i], columns[j]] = rows[i, j]"""
    i, j = wp.tid()
    out[worlds[i], columns[j]] = rows[i, j]


# All at once, for Warp compiles the module anew whenever it meets a type for the first time.
for _dtype in (float, wp.vec2, wp.vec3, wp.vec4, wp.mat33):
    wp.overload(scatter, [wp.array2d[_dtype], wp.array[int], wp.array[int], wp.array2d[_dtype]])


@wp.kernel
def scatter_boxes(
    half: wp.array2d[wp.vec3],
    worlds: wp.array[int],
    columns: wp.array[int],
    out: wp.array3d[wp.vec3],
):
    """The half-sizes of geoms' boxes, around the geoms' own centres."""
    i, j = wp.tid()
    out[worlds[i], columns[j], 0] = wp.vec3(0.0, 0.0, 0.0)
    out[worlds[i], columns[j], 1] = half[i, j]


@wp.kernel
def set_textures(texture: wp.array2d[int], columns: wp.array[int], role: int, out: wp.array3d[int]):
    """Texture ids (world, material) of some of the model's materials."""
    w, i = wp.tid()
    out[w, columns[i], role] = texture[w, i]


@wp.kernel
def show(visible: wp.array2d[bool], columns: wp.array[int], rgba: wp.array2d[wp.vec4]):
    """Make geoms opaque or leave them out of the picture."""
    w, t = wp.tid()
    colour = rgba[w, columns[t]]
    rgba[w, columns[t]] = wp.vec4(colour[0], colour[1], colour[2], wp.where(visible[w, t], 1.0, 0.0))


@wp.kernel
def raise_points(heights: wp.array[float], start: int, height: float, points: wp.array[wp.vec3]):
    """Give the points of a grid their heights, from one world's part of all height fields."""
    i = wp.tid()
    points[i] = wp.vec3(points[i][0], points[i][1], height * heights[start + i])


@wp.kernel
def place(positions: wp.array3d[float], columns: wp.array[int], out: wp.array2d[wp.vec3]):
    """Positions (world, target, 3) of geoms that hang on the world itself."""
    w, t = wp.tid()
    out[w, columns[t]] = wp.vec3(positions[w, t, 0], positions[w, t, 1], positions[w, t, 2])


@wp.kernel
def copy_unless(mask: wp.array[bool], source: wp.array2d[float], out: wp.array2d[float]):
    """Copy in the worlds outside the mask."""
    w, i = wp.tid()
    if not mask[w]:
        out[w, i] = source[w, i]


@wp.kernel
def copy_where(mask: wp.array[bool], source: wp.array2d[float], out: wp.array2d[float]):
    """Copy in the worlds of the mask."""
    w, i = wp.tid()
    if mask[w]:
        out[w, i] = source[w, i]


@wp.kernel
def clear_where(mask: wp.array[bool], out: wp.array[bool]):
    """Set to False in the worlds of the mask."""
    w = wp.tid()
    if mask[w]:
        out[w] = False


@wp.kernel
def judge_touches(
    num_contacts: wp.array[int],
    contact_geom: wp.array[wp.vec2i],
    contact_world: wp.array[int],
    contact_dist: wp.array[float],
    target_of: wp.array[int],
    touching: wp.array[bool],
    off: wp.array2d[float],
    substep: int,
    touched: wp.array3d[bool],
):
    """One thread a contact: is it between a target and a geom that can touch?

    `target_of` is -1 for geoms that are no target; `off` (target, geom) is how much too small the contact's distance is.
    """
    i = wp.tid()
    if i >= num_contacts[0]:
        return
    pair = contact_geom[i]
    for k in range(2):
        target = target_of[pair[k]]
        other = pair[1 - k]
        if target >= 0 and touching[other]:  # noqa: SIM102 (Warp evaluates both sides of an "and")
            if contact_dist[i] + off[target, other] < 0.0:
                touched[contact_world[i], substep, target] = True


@wp.func
def _unstable(x: float):
    return not (wp.abs(x) < 1e10)  # MuJoCo's mjMAXVAL; true of NaN


@wp.kernel
def catch_failures(
    qpos0: wp.array2d[float],
    overflow: wp.array[int],
    fatal: int,
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    act: wp.array2d[float],
    warmstart: wp.array2d[float],
    diverged: wp.array[bool],
):
    """Mark worlds that are unstable or whose constraints overflowed, and set them to the model's own posture, at rest.

    A world of NaN would keep the solver iterating to its limit, and all other worlds waiting for it.
    """
    w = wp.tid()
    bad = bool((overflow[w] & fatal) != 0)
    for i in range(qpos.shape[1]):
        if _unstable(qpos[w, i]):
            bad = True
    for i in range(qvel.shape[1]):
        if _unstable(qvel[w, i]):
            bad = True
    for i in range(act.shape[1]):
        if _unstable(act[w, i]):
            bad = True
    if bad:
        diverged[w] = True
        for i in range(qpos.shape[1]):
            qpos[w, i] = qpos0[w % qpos0.shape[0], i]
        for i in range(qvel.shape[1]):
            qvel[w, i] = 0.0
            warmstart[w, i] = 0.0
        for i in range(act.shape[1]):
            act[w, i] = 0.0


@wp.kernel
def copy_heights(rows: wp.array2d[float], worlds: wp.array[int], out: wp.array[float]):
    """World w's terrain is the w-th of the height fields, which lie one after another."""
    i, k = wp.tid()
    out[worlds[i] * rows.shape[1] + k] = rows[i, k]
