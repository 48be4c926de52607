"""Everything that is computed from an agent's sessions, in order, each kept on disk and not computed twice."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from vrodent.analysis import tables
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, file_digest, load, prepare
from vrodent.analysis.encoding import EncodingConfig
from vrodent.analysis.features import FeatureConfig
from vrodent.analysis.progress import Listener, Progress, silent
from vrodent.analysis.reader import session_file
from vrodent.analysis.result import Parameter, Result, ResultError, read_head
from vrodent.analysis.verdicts import findings_result
from vrodent.version import __version__

Tick = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class AnalysisConfig:
    """Settings of all analyses.

    Attributes:
        seed: of every random number drawn.
        variable: LSTM output `h` or cell state `c`.
        segment: s, Welch segment of the spectra; 0 takes the longest of 8, 4 and 2 s that half of each session's trials reach.
        num_bootstrap: resamples of trials for intervals.
        features: of the kinematic features.
        encoding: of the similarity of layers and features.
    """

    seed: int = 0
    variable: Literal["h", "c"] = "h"
    segment: float = 0.0
    num_bootstrap: int = 2000
    features: FeatureConfig = field(default_factory=FeatureConfig)
    encoding: EncodingConfig = field(default_factory=EncodingConfig)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise AnalysisError(f"seed must not be negative, got {self.seed}.")
        if self.variable not in ("h", "c"):
            raise AnalysisError(f"variable must be 'h' or 'c', got {self.variable!r}.")
        if self.segment < 0:
            raise AnalysisError(f"segment must be positive, or 0 to choose it, got {self.segment}.")
        if self.num_bootstrap < 100:
            raise AnalysisError(f"num_bootstrap must be at least 100, got {self.num_bootstrap}.")


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """One analysis: its name, how it is computed, and how many steps of progress it takes."""

    name: str
    compute: Callable[[Data, AnalysisConfig, np.random.Generator, Tick], Result]
    steps: Callable[[int, AnalysisConfig], int]


FINDINGS = "findings"
"""Name of the result that judges the others."""

ANALYSES: tuple[Analysis, ...] = (
    Analysis(name="sessions", compute=tables.sessions, steps=lambda sessions, config: 1),
    Analysis(name="spectra", compute=tables.spectra, steps=lambda sessions, config: sessions),
    Analysis(name="encoding", compute=tables.encodings, steps=lambda sessions, config: sessions * config.encoding.num_null),
)


def analyze(sessions: Sequence[Path], out: Path, config: AnalysisConfig | None = None, listener: Listener = silent) -> list[Path]:
    """Run every analysis on the sessions of one agent, and keep the results.

    A result that is on disk, whole, and was made from the same sessions with the same settings and code is left as it is.

    Args:
        sessions: session folders or NWB files, at most one a task.
        out: folder for the results.
        config: settings.
        listener: told of progress.

    Returns:
        Paths of the results' json files, in order.

    Raises:
        SessionError: a session is missing, damaged, or lacks what is needed.
        AnalysisError: sessions that do not belong together, or too little data.
        OSError: the folder cannot be written.
    """
    config = config or AnalysisConfig()
    files = [session_file(path) for path in sessions]
    if not files:
        raise AnalysisError("No session given; record one with: vrodent record AGENT --task TASK.")
    marks = _fingerprints(files, config)
    wanted = [analysis for analysis in ANALYSES if not _is_current(out / f"{analysis.name}.json", marks[analysis.name])]
    if wanted:
        _compute(wanted, files, out, config, marks, listener)
    if wanted or not _is_current(out / f"{FINDINGS}.json", marks[FINDINGS]):
        judged = findings_result(Result.load(out / "spectra.json"), Result.load(out / "encoding.json"))
        dataclasses.replace(judged, fingerprint=marks[FINDINGS], version=__version__, parameters=_flat(config)).save(out)
    return [out / f"{name}.json" for name in marks]


def _compute(
    wanted: Sequence[Analysis], files: Sequence[Path], out: Path, config: AnalysisConfig, marks: Mapping[str, str], listener: Listener
) -> None:
    reading = config.encoding.num_null  # reading a session takes about as long as its null
    progress = Progress(reading * len(files) + sum(analysis.steps(len(files), config) for analysis in wanted), listener)
    progress.label("reading sessions")
    data = prepare(load(files, config.variable, lambda: progress.tick(reading)), config.variable, config.features)
    for analysis in wanted:
        progress.label(analysis.name)
        rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=_spawn_key(analysis.name)))
        result = analysis.compute(data, config, rng, progress.tick)
        dataclasses.replace(
            result, fingerprint=marks[analysis.name], version=__version__, parameters={**_flat(config), **result.parameters}
        ).save(out)
    progress.finish()


def _is_current(path: Path, fingerprint: str) -> bool:
    try:
        return read_head(path)["fingerprint"] == fingerprint and bool(Result.load(path))
    except ResultError:
        return False


def _spawn_key(name: str) -> tuple[int, ...]:
    """Each analysis draws from a stream of its own, whichever others run."""
    return tuple(name.encode())


def _fingerprints(files: Sequence[Path], config: AnalysisConfig) -> dict[str, str]:
    """What each result was made from: sessions, settings, version and the code of this room."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    parts = [__version__, code, json.dumps(dataclasses.asdict(config), sort_keys=True), *(_digest(path) for path in files)]
    names = (*(analysis.name for analysis in ANALYSES), FINDINGS)
    return {name: hashlib.sha256("\n".join([name, *parts]).encode()).hexdigest() for name in names}


def _digest(path: Path) -> str:
    return f"{path.parent.name} {file_digest(path)}"


def _flat(config: AnalysisConfig) -> dict[str, Parameter]:
    flat: dict[str, Parameter] = {}
    for key, value in dataclasses.asdict(config).items():
        flat.update({f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value})
    return flat
