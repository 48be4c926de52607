"""`vrodent doctor`: what works here, found out by trying, and how to mend what does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from vrodent.config import versions

_GL_PACKAGES = "libegl1 libgl1-mesa-dri libgles2 libosmesa6"
_BACKENDS = ("egl", "osmesa")
_WITH_SCREEN = ("glfw", "cgl")
_TIMEOUT = 120  # s; a first JAX start on a slow disk takes tens of seconds


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        name: what was checked.
        works: whether it can be used.
        needed: whether anything else depends on it.
        detail: what was seen.
        mend: what to do when it does not work, else empty.
    """

    name: str
    works: bool
    needed: bool
    detail: str
    mend: str = ""


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no output"


def _probe(module: str, environment: dict[str, str]) -> tuple[bool, str]:
    """Run a module in a process of its own, for what is decided at import or may kill the process. Returns success and its last line."""
    try:
        ran = subprocess.run(
            [sys.executable, "-m", module], env={**os.environ, **environment}, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {_TIMEOUT} s"
    if ran.returncode == 0:
        return True, _last_line(ran.stdout)
    return False, _last_line(ran.stderr) if ran.returncode > 0 else f"the process was ended by signal {-ran.returncode}"


def check_gl(backend: str) -> Finding:
    """Draw one frame of the rat with one of MuJoCo's back ends, and look whether it shows anything."""
    works, detail = _probe("vrodent.commands.gl_probe", {"MUJOCO_GL": backend})
    mend = f"Debian or Ubuntu: sudo apt-get install {_GL_PACKAGES}"
    return Finding(name=f"drawing with {backend}", works=works, needed=False, detail=detail, mend="" if works else mend)


def check_drawing(backends: list[Finding]) -> Finding:
    """Whether any back end draws, and which one a shell should choose."""
    working = [finding.name.split()[-1] for finding in backends if finding.works]
    chosen = os.environ.get("MUJOCO_GL", "")
    if not working:
        return Finding(name="camera", works=False, needed=True, detail="no back end draws", mend=backends[0].mend)
    if chosen and chosen not in working and chosen not in _WITH_SCREEN:
        detail, mend = f"MUJOCO_GL={chosen} does not draw", f"export MUJOCO_GL={working[0]}"
        return Finding(name="camera", works=False, needed=True, detail=detail, mend=mend)
    return Finding(name="camera", works=True, needed=True, detail=f"draws with {' and '.join(working)}")


def check_jax() -> Finding:
    """Multiply two arrays on every device that JAX finds."""
    works, detail = _probe("vrodent.commands.jax_probe", {})
    return Finding(name="jax", works=works, needed=True, detail=detail, mend="" if works else "make install (or: pip install jax)")


def check_package(name: str, pinned: str) -> Finding:
    """Whether a package is there in the release that the simulation was checked with."""
    found = versions().get(name) or "not installed"
    works = found.startswith(pinned)
    mend = "" if works else f"make install (or: pip install '{name}=={pinned}*')"
    return Finding(name=name, works=works, needed=True, detail=found, mend=mend)


def check_labmaze() -> Finding:
    """Whether the maze maker is there."""
    try:
        return Finding(name="labmaze", works=True, needed=True, detail=metadata.version("labmaze"))
    except metadata.PackageNotFoundError:
        return Finding(name="labmaze", works=False, needed=True, detail="not installed", mend="make install (or: pip install labmaze)")


def check_disk(folder: Path) -> Finding:
    """Whether a study has room in a folder."""
    free = shutil.disk_usage(folder).free / 1e9
    detail, mend = f"{free:.0f} GB free in {folder}", "" if free > 2 else "a study needs about 2 GB: make room, or choose another folder"
    return Finding(name="disk", works=free > 2, needed=False, detail=detail, mend=mend)


@dataclass(frozen=True, kw_only=True)
class Command:
    """Say what works on this machine (drawing without a screen, JAX, versions, disk), and how to mend what does not.

    Exit status 1 when something needed does not work.

    example: vrodent doctor --json
    """

    json: bool = False
    """Print one JSON object instead of text."""

    def run(self) -> int:
        """Run every check and print what it found."""
        backends = [check_gl(backend) for backend in _BACKENDS]
        findings = [
            check_package("mujoco", "3.17."),
            check_package("dm_control", "1.0.50"),
            check_labmaze(),
            *backends,
            check_drawing(backends),
            check_jax(),
            Finding(name="processors", works=True, needed=False, detail=str(len(os.sched_getaffinity(0)))),
            check_disk(Path.cwd()),
        ]
        healthy = all(finding.works for finding in findings if finding.needed)
        if self.json:
            print(json.dumps({"healthy": healthy, "versions": versions(), "findings": [asdict(finding) for finding in findings]}, indent=2))
        else:
            _print(findings, healthy)
        return 0 if healthy else 1


def _print(findings: list[Finding], healthy: bool) -> None:
    print("  ".join(f"{name} {version}" for name, version in versions().items()))
    for finding in findings:
        mark = "ok  " if finding.works else ("FAIL" if finding.needed else "no  ")
        print(f"{mark}  {finding.name:<20} {finding.detail}")
        if finding.mend:
            print(f"      {'':<20} mend: {finding.mend}")
    print("All that is needed works." if healthy else "Something needed does not work; see the lines marked FAIL.")
