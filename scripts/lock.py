"""Write the exact versions, and the hashes of their files, that an install verifies: constraints/pyXYZ.txt and pyXYZ-dev.txt.

`make lock` runs it. It needs `uv` (`pip install uv`) and the public package index; the files it writes name no address.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12")
OPTIONS = (
    "--quiet", "--no-config", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
    "--generate-hashes", "--python-platform", "x86_64-manylinux_2_28",
)  # fmt: skip


def compile_lock(uv: str, python: str, out: Path, *more: str) -> None:
    """Resolve the requirements of pyproject.toml for one Python and write them with hashes.

    Raises:
        subprocess.CalledProcessError: no set of versions satisfies them, or the index does not answer.
    """
    command = [uv, "pip", "compile", *OPTIONS, "--python-version", python, *more, "pyproject.toml", "--output-file", str(out)]
    # A machine's own wheel folders may hold other builds of the same version: only the public index's files are locked.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)


def main() -> int:
    """Write all four files. Returns an exit status."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        print("uv is not installed. Install it and run this again: pip install uv", file=sys.stderr)
        return 2
    folder = ROOT / "constraints"
    folder.mkdir(exist_ok=True)
    for python in PYTHONS:
        name = f"py{python.replace('.', '')}"
        full = folder / f"{name}-dev.txt"
        compile_lock(uv, python, full, "--extra", "dev", "--extra", "build", *sys.argv[1:])
        compile_lock(uv, python, folder / f"{name}.txt", "--extra", "build", "--constraint", str(full.relative_to(ROOT)))
        print(f"wrote {full.relative_to(ROOT)} and {name}.txt")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
