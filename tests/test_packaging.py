"""The package's own papers: versions agree, pinned files are hashed and name no address, licence and notices are there, every dependency
is used, an unfit Python is told so."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import vrodent
from vrodent.version import require_supported_python

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted((ROOT / "constraints").glob("*.txt"))
REQUIREMENT = re.compile(r"^([a-z0-9][a-z0-9-]*)==([^ ;]+)")
IMPORTED_AS = {"dm-control": "dm_control", "dm-env": "dm_env", "ndx-pose": "ndx_pose", "pyopengl": "OpenGL"}
IMPORTED_AS |= {"opentsne": "openTSNE", "scikit-learn": "sklearn", "tensorboardx": "tensorboardX"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lock: Path) -> dict[str, str]:
    return {m[1]: m[2] for line in lock.read_text().splitlines() if (m := REQUIREMENT.match(line))}


def declared(requirements: list[str]) -> list[str]:
    return [canonical(re.split(r"[\[=<>!~ ;]", requirement)[0]) for requirement in requirements]


def test_versions_agree() -> None:
    assert PROJECT["project"]["version"] == vrodent.__version__ == metadata.version("vrodent")
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {vrodent.__version__}\n" in citation
    assert f"## {vrodent.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_there_is_a_lock_for_each_python_and_kind() -> None:
    assert [lock.name for lock in LOCKS] == ["py311-dev.txt", "py311.txt", "py312-dev.txt", "py312.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_is_exact_and_hashed_and_without_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text and "@" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        head, *hashes = [line.strip(" \\") for line in block.splitlines()]
        assert REQUIREMENT.match(head), head
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), head


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_the_lock_holds_what_is_declared_and_stays_small(lock: Path) -> None:
    pins = pinned(lock)
    wanted = declared(PROJECT["project"]["dependencies"]) + declared(PROJECT["project"]["optional-dependencies"]["build"])
    if lock.stem.endswith("-dev"):
        wanted += declared(PROJECT["project"]["optional-dependencies"]["dev"])
    assert [name for name in wanted if name not in pins] == []
    assert [name for name in pins if name.startswith(("torch", "nvidia-", "tensorflow"))] == []
    assert pins["mujoco"].startswith("3.17.") and pins["dm-control"] == "1.0.50"


@pytest.mark.parametrize("python", ["py311", "py312"])
def test_running_and_testing_use_the_same_versions(python: str) -> None:
    full = pinned(ROOT / "constraints" / f"{python}-dev.txt")
    run = pinned(ROOT / "constraints" / f"{python}.txt")
    assert {name: version for name, version in run.items() if full.get(name) != version} == {}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    used = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                used.add(node.module.split(".")[0])
    imported = {name for name in used if name not in sys.stdlib_module_names and name != "vrodent"}
    names = {IMPORTED_AS.get(name, name) for name in declared(PROJECT["project"]["dependencies"])}
    extra = {"warp": "warp-lang", "mujoco_warp": "mujoco-warp"}  # of the simulator on a GPU, imported when one is asked for
    assert set(extra.values()) <= set(declared(PROJECT["project"]["optional-dependencies"]["gpu"]))
    assert declared(PROJECT["project"]["optional-dependencies"]["cluster"]) == ["ray"]  # imported when a run is to be on a cluster
    assert imported == names | set(extra) | {"ray"}


def test_the_simulator_on_the_cpu_does_without_warp_and_asking_for_the_other_says_what_to_install() -> None:
    code = """
import sys
sys.modules["warp"] = None
import vrodent
vrodent.make("gaps", camera=False)
try:
    vrodent.make("gaps", device="gpu")
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert "pip install 'vrodent[gpu]'" in ran.stdout


def test_licence_and_notices() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence and "Version 2.0, January 2004" in licence and "END OF TERMS AND CONDITIONS" in licence
    notice = (ROOT / "NOTICE").read_text()
    for owed in ("dm_control", "LabMaze", "Merel"):
        assert owed in notice
    assert metadata.metadata("vrodent")["License-Expression"] == "Apache-2.0"


@pytest.mark.parametrize("version", [(3, 10), (3, 13), (3, 14), (4, 0)])
def test_an_unfit_python_is_told_what_to_do(version: tuple[int, int]) -> None:
    with pytest.raises(ImportError, match=rf"3\.11 and 3\.12; this is {version[0]}\.{version[1]}.*uv venv --python 3\.12"):
        require_supported_python(version)


@pytest.mark.parametrize("version", [(3, 11), (3, 12)])
def test_a_fit_python_passes(version: tuple[int, int]) -> None:
    require_supported_python(version)


def setup_script(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "scripts" / "setup.sh"), "run"]
    inherited = {"PATH": os.environ["PATH"], "VENV": str(folder / "venv")}
    return subprocess.run(command, env={**inherited, **environment}, capture_output=True, text=True, check=False, timeout=60)


def fake_python(folder: Path, version: str) -> Path:
    """A program that answers the setup script's question for a version as that Python would."""
    program = folder / "python-of-another-version"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    return program


def test_setup_names_the_python_it_needs(tmp_path: Path) -> None:
    ran = setup_script(tmp_path, PYTHON=str(fake_python(tmp_path, "3.13")))
    assert ran.returncode == 1
    assert "is 3.13; vrodent needs 3.11 or 3.12" in ran.stderr
    assert not (tmp_path / "venv").exists()


def test_setup_says_what_to_install_when_there_is_only_a_newer_python(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "sh", "sed", "dirname", "id", "cat", "tr", "sha256sum", "cut", "grep", "head", "env"):
        found = next(Path(folder) / tool for folder in ("/usr/bin", "/bin") if (Path(folder) / tool).exists())
        (tools / tool).symlink_to(found)
    for name in ("python3", "python3.11", "python3.12"):
        fake_python(tmp_path, "3.13").rename(tools / name)
    script = ROOT / "scripts" / "setup.sh"
    environment = {"PATH": str(tools), "VENV": str(tmp_path / "venv"), "VRODENT_SEARCH": ""}
    command = [str(tools / "bash"), str(script), "run"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 1
    assert "vrodent needs Python 3.11 or 3.12" in ran.stderr and "uv python install 3.12" in ran.stderr


def test_an_environment_of_another_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    fake_python(tmp_path, "3.13").rename(tmp_path / "venv" / "bin" / "python")
    ran = setup_script(tmp_path)
    assert ran.returncode == 1
    assert "holds Python 3.13" in ran.stderr and "rm -r" in ran.stderr


def test_importing_the_package_loads_no_simulator_and_no_network() -> None:
    code = "import sys, vrodent; print(sorted({'jax', 'mujoco', 'equinox', 'pynwb', 'plotly', 'warp'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"
