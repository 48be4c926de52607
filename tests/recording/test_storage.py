from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vrodent.recording import RecordingError
from vrodent.recording.storage import whole_folder


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_folder_appears_with_all_that_was_written(tmp_path):
    out = tmp_path / "deep" / "session"
    with whole_folder(out) as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b").write_text("x")
        assert not out.exists()
    assert (out / "a" / "b").read_text() == "x"
    assert _left(out) == ["a"]
    assert _left(out.parent) == ["session"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_after_an_error(tmp_path, error):
    with pytest.raises(error), whole_folder(tmp_path / "session") as folder:
        (folder / "half").write_text("x")
        raise error
    assert _left(tmp_path) == []


def test_what_exists_is_not_touched(tmp_path):
    (tmp_path / "session").mkdir()
    (tmp_path / "session" / "old").write_text("old")
    with pytest.raises(RecordingError, match="--overwrite"), whole_folder(tmp_path / "session"):
        pytest.fail("must not get here")
    assert _left(tmp_path / "session") == ["old"]


def test_a_file_is_never_replaced(tmp_path):
    (tmp_path / "session").write_text("precious")
    with pytest.raises(RecordingError, match="a file"), whole_folder(tmp_path / "session", overwrite=True):
        pytest.fail("must not get here")
    assert (tmp_path / "session").read_text() == "precious"


def test_overwrite_replaces_only_once_the_new_one_is_whole(tmp_path):
    out = tmp_path / "session"
    for name in ("old", "new"):
        with whole_folder(out, overwrite=True) as folder:
            (folder / name).write_text(name)
            assert name == "old" or _left(out) == ["old"]
    assert _left(out) == ["new"]
    assert _left(tmp_path) == ["session"]
    with pytest.raises(ValueError), whole_folder(out, overwrite=True):
        raise ValueError
    assert _left(out) == ["new"]


def test_unwritable_parent(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="Cannot write in"), whole_folder(tmp_path / "file" / "session"):
        pytest.fail("must not get here")


_CHILD = """
import resource, sys, time
from pathlib import Path
from vrodent.recording.storage import whole_folder
{before}
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "data").write_bytes(b"x" * 100_000)
    {during}
"""


def _child(out: Path, before: str = "", during: str = "pass") -> subprocess.Popen[str]:
    code = _CHILD.format(before=before, during=during)
    return subprocess.Popen([sys.executable, "-c", code, str(out)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_full_disk_leaves_nothing_and_is_told(tmp_path):
    child = _child(tmp_path / "session", before="resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))")
    _, said = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "No room to write" in said
    assert _left(tmp_path) == []


def _wait_for(folder: Path, pattern: str) -> Path:
    for _ in range(600):
        if found := list(folder.glob(pattern)):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no {pattern} in {folder}")


def test_a_killed_process_leaves_no_session_and_the_next_one_tidies_up(tmp_path):
    child = _child(tmp_path / "session", during="print(1, flush=True); time.sleep(60)")
    data = _wait_for(tmp_path, ".session.partial-*/data")
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    assert not (tmp_path / "session").exists()
    long_ago = time.time() - 3600
    os.utime(data.parent, (long_ago, long_ago))
    with whole_folder(tmp_path / "session") as folder:
        (folder / "data").write_text("whole")
    assert _left(tmp_path) == ["session"]


def test_another_process_at_work_is_left_alone(tmp_path):
    child = _child(tmp_path / "session", during="print(1, flush=True); time.sleep(60)")
    data = _wait_for(tmp_path, ".session.partial-*/data")
    long_ago = time.time() - 3600
    os.utime(data.parent, (long_ago, long_ago))
    with whole_folder(tmp_path / "session") as folder:
        (folder / "data").write_text("whole")
    assert data.exists()
    child.kill()
    child.communicate(timeout=60)


def test_an_interrupt_leaves_nothing(tmp_path):
    # A shell that runs tests in the background has them ignore interrupts, and their children after them.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    child = _child(tmp_path / "session", before=heeding, during="print(1, flush=True); time.sleep(60)")
    _wait_for(tmp_path, ".session.partial-*/data")
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert _left(tmp_path) == []
