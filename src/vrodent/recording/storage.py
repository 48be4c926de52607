"""A folder that appears whole or not at all, and a file that bears a full disk."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vrodent.recording.errors import RecordingError

_LOCK = ".lock"
_ABANDONED_AFTER = 60.0  # s; younger ones may be another process between making its folder and locking it
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def whole_folder(out: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a hidden folder beside `out` to write in; on success flush it to disk and rename it to `out`, on any failure remove it.

        out.parent/.NAME.partial-x7f3/    while it is written
        out.parent/NAME/                  once it is whole

    A process that is killed leaves the hidden folder; the next recording to the same place removes it. What stood at `out` before is
    replaced only by the last rename.

    Args:
        out: the folder to make.
        overwrite: replace what is there; otherwise that is an error.

    Raises:
        RecordingError: `out` exists, its parent is not writable, or the disk is full.
    """
    check_free(out, overwrite=overwrite)
    _sweep(out)
    partial = _make_partial(out)
    try:
        with (partial / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield partial
            (partial / _LOCK).unlink()
            _flush(partial)
            _rename(partial, out, overwrite)
    except OSError as error:
        raise _explained(error, out) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_free(out: Path, *, overwrite: bool) -> None:
    """See, before any work is done, that `out` may be made.

    Raises:
        RecordingError: it exists already, or is a file.
    """
    if out.is_file() or (out.exists() and not overwrite):
        what = "a file" if out.is_file() else "a folder"
        raise RecordingError(f"{out} is {what} that exists already; give another --out, or --overwrite to replace a session.")


def _make_partial(out: Path) -> Path:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=_prefix(out), dir=out.parent))
    except OSError as error:
        raise RecordingError(f"Cannot write in {out.parent}: {error.strerror}. Give another --out.") from error


def _prefix(out: Path) -> str:
    return f".{out.name}.partial-"


def _sweep(out: Path) -> None:
    """Remove what killed recordings to the same place left: folders whose lock nobody holds."""
    if not out.parent.is_dir():
        return
    for left in out.parent.glob(_prefix(out) + "*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime < _ABANDONED_AFTER:
                continue
            with (left / _LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Have the disk hold every file and folder, so that after the rename a power cut finds them whole."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _rename(partial: Path, out: Path, overwrite: bool) -> None:
    partial.chmod(0o755)  # mkdtemp's is for its owner alone
    if overwrite and out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}.replaced-", dir=out.parent)) / out.name
        out.rename(old)
        try:
            partial.rename(out)
        except OSError:
            old.rename(out)
            raise
        finally:
            shutil.rmtree(old.parent, ignore_errors=True)
    else:
        partial.rename(out)
    descriptor = os.open(out.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(error: OSError, out: Path) -> RecordingError:
    full = error.errno in _FULL or any(f"errno = {code}" in str(error) for code in _FULL)
    if not full:
        return RecordingError(f"{out} could not be written: {error}. Nothing was left there.")
    with suppress(OSError):
        free = shutil.disk_usage(out.parent).free / 1e6
        return RecordingError(
            f"No room to write {out}: {free:.0f} MB free, or a limit on file sizes. A minute of trials needs about 20 MB. "
            "Nothing was left there. Free some space, or record fewer trials."
        )
    return RecordingError(f"No room to write {out}. Nothing was left there. Free some space, or record fewer trials.")


class PatientFile(io.FileIO):
    """A file for HDF5 to write to. When the disk is full it keeps the error and takes what follows as if it were written.

    HDF5 cannot close a file that it failed to write, and brings the process down when it tries once more at its end. So it is not told;
    the caller looks at `error` once the file is closed.

    Attributes:
        error: the first error met, or None.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it, unless an error was met."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left and self.error is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the file's length, unless an error was met."""
        try:
            return super().truncate(size) if self.error is None else size or 0
        except OSError as error:
            self.error = error
            return size or 0
