"""What must hold of every file in the repository: nothing of one machine, nothing big, nothing unpickled, nothing overgrown."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PYTHON = sorted(p for folder in ("src", "tests", "examples", "benchmarks", "scripts") for p in (ROOT / folder).rglob("*.py"))
ROOMS = ("body", "task", "simulation", "agent", "training", "recording", "analysis", "report")

# The forbidden words are put together here so that this file does not hold them.
MACHINE = re.compile("|".join([r"/" + r"work/", r"/" + r"root/", r"/" + r"home/\w", r"/" + r"opt/\w", r"/" + r"tmp/\w"]))
REGISTRY = re.compile("|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "--(extra-)?index" + "-url[ =]", "--find" + "-links[ =]"]))


def tracked() -> list[Path]:
    """Files under version control; in a source archive without git, every file that is not generated."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        return [p for p in ROOT.rglob("*") if p.is_file() and not any(part.startswith((".venv", "__pycache__")) for part in p.parts)]
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    """Tracked files that are text."""
    for path in tracked():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(path)))


def where(path: Path, node: ast.AST | None = None) -> str:
    """`src/vrodent/cli.py:12`, for messages."""
    line = getattr(node, "lineno", None)
    return f"{path.relative_to(ROOT)}" + (f":{line}" if line else "")


def imports(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Every module that a file imports, with the statement."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body, less its docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0


def test_no_file_holds_a_path_of_one_machine() -> None:
    assert [where(path) for path, text in texts() if MACHINE.search(text)] == []


def test_no_file_names_a_package_registry() -> None:
    assert [where(path) for path, text in texts() if REGISTRY.search(text)] == []


def test_every_tracked_file_is_small() -> None:
    assert [(where(path), path.stat().st_size) for path in tracked() if path.stat().st_size > 20e6] == []


def test_modules_are_short() -> None:
    assert [where(path) for path in PYTHON if len(path.read_text(encoding="utf-8").splitlines()) >= 400] == []


def test_functions_are_short() -> None:
    functions = ((path, node) for path in SOURCES for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert [f"{where(path, node)} {node.name}: {body_lines(node)}" for path, node in functions if body_lines(node) >= 40] == []


def test_nothing_is_ever_unpickled() -> None:
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    assert [where(path, node) for path in SOURCES for name, node in imports(path) if name.split(".")[0] in forbidden] == []
    calls = [(path, node) for path in PYTHON for node in nodes(path) if isinstance(node, ast.Call)]
    assert [where(path, node) for path, node in calls if ast.unparse(node.func) in ("torch.load", "eval", "exec")] == []
    readers = re.compile(r"(pickle|dill|joblib|marshal)\.(load|loads|Unpickler)$")  # a test may write one, to see it refused
    assert [where(path, node) for path, node in calls if readers.search(ast.unparse(node.func))] == []
    for path, node in calls:
        for keyword in node.keywords:
            if keyword.arg == "allow_pickle":
                assert isinstance(keyword.value, ast.Constant) and keyword.value.value is False, where(path, node)


def test_nothing_is_named_done_or_bare_state() -> None:
    named, forbidden = [], ("done", "dones", "state")
    for path in SOURCES:
        for node in nodes(path):
            match node:
                case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()) if name in forbidden:
                    named.append(f"{where(path, node)} {name}")
    assert named == []


def test_no_global_random_numbers() -> None:
    # Objects with a seed of their own.
    allowed = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox", "BitGenerator", "RandomState"}
    assert [where(path, node) for path in SOURCES for name, node in imports(path) if name == "random"] == []
    used = [(path, name) for path in SOURCES for name in re.findall(r"\bnp\.random\.(\w+)", path.read_text(encoding="utf-8"))]
    assert [(where(path), name) for path, name in used if name not in allowed] == []


def test_every_module_and_public_thing_says_what_it_is() -> None:
    assert [where(path) for path in SOURCES if not ast.get_docstring(parsed(path))] == []
    public = ((path, node) for path in SOURCES for node in parsed(path).body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    assert [where(path, node) for path, node in public if not node.name.startswith("_") and not ast.get_docstring(node)] == []


def test_rooms_do_not_import_the_front_door() -> None:
    """`import vrodent` inside a room would tie it to every other room, past the contracts between them."""
    rooms = [path for path in SOURCES if path.relative_to(ROOT / "src" / "vrodent").parts[0] in ROOMS]
    assert len(rooms) > len(ROOMS)
    assert [where(path, node) for path in rooms for name, node in imports(path) if name == "vrodent"] == []


def test_simulation_alone_imports_batched_physics() -> None:
    others = [path for path in SOURCES if "simulation" not in path.parts]
    assert [where(path, node) for path in others for name, node in imports(path) if name.startswith("mujoco.batch")] == []
    attributes = ((path, node) for path in others for node in nodes(path) if isinstance(node, ast.Attribute))
    assert [where(path, node) for path, node in attributes if ast.unparse(node) == "mujoco.batch"] == []


def test_recording_takes_nothing_of_training_but_checkpoints() -> None:
    recording = [path for path in SOURCES if "recording" in path.parts]
    taken = [(path, name, node) for path in recording for name, node in imports(path) if name.startswith("vrodent.training")]
    assert [where(path, node) for path, name, node in taken if name != "vrodent.training.checkpoint"] == []
