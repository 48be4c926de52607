"""Everything that is computed from an agent's sessions, in order, each kept on disk and not computed twice.

To add an analysis: a function of the prepared sessions that gives a `Result`, the claims of the paper that it can judge, a function from
its result to findings, and one entry in `ANALYSES`. Its section of the page is one entry in `vrodent.report.sections.SECTIONS`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vrodent.analysis import tables
from vrodent.analysis.behaviour import BEHAVIOUR_CLAIMS, BehaviourConfig, behaviours, judge_behaviour
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, file_digest, load, prepare
from vrodent.analysis.decoding import DecodingConfig
from vrodent.analysis.decoding_tables import decodings
from vrodent.analysis.dynamics_tables import DYNAMICS_CLAIMS, DynamicsConfig, dynamics, judge_dynamics
from vrodent.analysis.encoding import EncodingConfig
from vrodent.analysis.events import EventConfig
from vrodent.analysis.features import FeatureConfig
from vrodent.analysis.fixed_point_tables import FIXED_POINT_CLAIMS, NETWORK, FixedPointConfig, fixed_point_table, judge_fixed_points
from vrodent.analysis.gait import GaitConfig
from vrodent.analysis.gait_tables import GAIT_CLAIMS, gait, judge_gait
from vrodent.analysis.perturbation_claims import PERTURBATION_CLAIMS, SUMMARY, judge_perturbation
from vrodent.analysis.progress import Listener, Progress, silent
from vrodent.analysis.reader import session_file
from vrodent.analysis.result import Parameter, Result, ResultError, absent, read_head
from vrodent.analysis.rsa import RsaConfig
from vrodent.analysis.rsa_tables import RSA_CLAIMS, judge_rsa, rsa
from vrodent.analysis.sequence_tables import SEQUENCE_CLAIMS, SequenceConfig, judge_sequences, sequences
from vrodent.analysis.sharing_tables import SHARING_CLAIMS, SharingConfig, judge_sharing, sharing
from vrodent.analysis.task_overlap import OVERLAP_CLAIMS, OverlapConfig, judge_overlap, overlap
from vrodent.analysis.timing import TIMING_CLAIMS, TimingConfig, judge_timing, timing
from vrodent.analysis.verdicts import (
    ENCODING_CLAIMS,
    SPECTRA_CLAIMS,
    Claim,
    Finding,
    complete,
    findings_result,
    judge_encoding,
    judge_spectra,
)
from vrodent.analysis.vision import FOLDER as VIDEO_FOLDER
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
        behaviour: of the behaviour map and the ethogram.
        gait: of strides.
        events: rules by which strides, turns, rears and jumps are found.
        sequences: windows around events.
        dynamics: of rotations and flow.
        fixed_points: of layers left to themselves.
        rsa: of similarity over clusters of behaviour.
        decoding: of features from activity.
        sharing: of what layers share across tasks.
        overlap: of tasks in what the body does.
        timing: of the two-tap task.
    """

    seed: int = 0
    variable: Literal["h", "c"] = "h"
    segment: float = 0.0
    num_bootstrap: int = 2000
    features: FeatureConfig = field(default_factory=FeatureConfig)
    encoding: EncodingConfig = field(default_factory=EncodingConfig)
    behaviour: BehaviourConfig = field(default_factory=BehaviourConfig)
    gait: GaitConfig = field(default_factory=GaitConfig)
    events: EventConfig = field(default_factory=EventConfig)
    sequences: SequenceConfig = field(default_factory=SequenceConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)
    fixed_points: FixedPointConfig = field(default_factory=FixedPointConfig)
    rsa: RsaConfig = field(default_factory=RsaConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    sharing: SharingConfig = field(default_factory=SharingConfig)
    overlap: OverlapConfig = field(default_factory=OverlapConfig)
    timing: TimingConfig = field(default_factory=TimingConfig)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise AnalysisError(f"seed must not be negative, got {self.seed}.")
        if self.variable not in ("h", "c"):
            raise AnalysisError(f"variable must be 'h' or 'c', got {self.variable!r}.")
        if self.segment < 0:
            raise AnalysisError(f"segment must be positive, or 0 to choose it, got {self.segment}.")
        if self.num_bootstrap < 100:
            raise AnalysisError(f"num_bootstrap must be at least 100, got {self.num_bootstrap}.")


Compute = Callable[[Data, AnalysisConfig, np.random.Generator, Tick], Result]


def no_findings(result: Result) -> Sequence[Finding]:
    """Of an analysis that judges no claim."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """One analysis.

    Attributes:
        name: of its result.
        compute: makes it. None: another command leaves the result in the same folder, and it is judged where it is there.
        steps: of progress, from the number of sessions and the settings.
        claims: of the paper that it can judge.
        judge: from its result to findings on some of those claims.
        needed: whether the page cannot do without it. Another that finds the sessions too little is kept as absent, with the reason.
        uses: name of a result that another room left in the folder, and that it is made from beside the sessions; "" for none.
    """

    name: str
    compute: Compute | None
    steps: Callable[[int, AnalysisConfig], int] = lambda sessions, config: sessions
    claims: tuple[Claim, ...] = ()
    judge: Callable[[Result], Sequence[Finding]] = no_findings
    needed: bool = False
    uses: str = ""


FINDINGS = "findings"
"""Name of the result that judges the others."""

ANALYSES: tuple[Analysis, ...] = (
    Analysis(name="sessions", compute=tables.sessions, steps=lambda sessions, config: 1, needed=True),
    Analysis(name="behaviour", compute=behaviours, steps=lambda sessions, config: 30 * sessions + config.behaviour.map.num_null,
             claims=BEHAVIOUR_CLAIMS, judge=judge_behaviour),
    Analysis(name="gait", compute=gait, claims=GAIT_CLAIMS, judge=judge_gait),
    Analysis(name="spectra", compute=tables.spectra, claims=SPECTRA_CLAIMS, judge=judge_spectra, needed=True),
    Analysis(name="encoding", compute=tables.encodings, steps=lambda sessions, config: sessions * config.encoding.num_null,
             claims=ENCODING_CLAIMS, judge=judge_encoding, needed=True),
    Analysis(name="rsa", compute=rsa, claims=RSA_CLAIMS, judge=judge_rsa),
    Analysis(name="decoding", compute=decodings),
    Analysis(name="sharing", compute=sharing, claims=SHARING_CLAIMS, judge=judge_sharing),
    Analysis(name="overlap", compute=overlap, claims=OVERLAP_CLAIMS, judge=judge_overlap),
    Analysis(name="sequences", compute=sequences, claims=SEQUENCE_CLAIMS, judge=judge_sequences),
    Analysis(name="dynamics", compute=dynamics, claims=DYNAMICS_CLAIMS, judge=judge_dynamics),
    Analysis(name="fixed_points", compute=fixed_point_table, claims=FIXED_POINT_CLAIMS, judge=judge_fixed_points, uses=NETWORK,
             steps=lambda sessions, config: 4),
    Analysis(name="timing", compute=timing, claims=TIMING_CLAIMS, judge=judge_timing),
    Analysis(name=SUMMARY, compute=None, claims=PERTURBATION_CLAIMS, judge=judge_perturbation),
)  # fmt: skip
"""In the order of the page and of the table of findings."""


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
    marks = _fingerprints(files, config, out)
    wanted = [a for a in ANALYSES if a.compute and not _is_current(out / f"{a.name}.json", marks[a.name])]
    if wanted:
        _compute(wanted, files, out, config, marks, listener)
    judge(out)
    return [out / f"{name}.json" for name in marks]


def judge(out: Path) -> Path:
    """Judge every claim by the results in a folder, and keep the table; for a command that adds a result to it.

    Returns:
        Path of the findings' json file.

    Raises:
        ResultError: no analysis left its results there, or one is damaged.
        OSError: the folder cannot be written.
    """
    heads, rows = [], []
    for analysis in ANALYSES:
        path = out / f"{analysis.name}.json"
        if analysis.compute is None and not path.is_file():
            rows += complete(analysis.claims, (), f"not measured: no result {analysis.name!r} is here")
            continue
        heads.append(read_head(path))
        if analysis.claims:
            result = Result.load(path)
            found = analysis.judge(result) if result.present else ()
            rows += complete(analysis.claims, found, f"not measured: {' '.join(result.notes) or 'the sessions do not allow it'}")
    marks = [f"{head['name']} {head['fingerprint']} {head['sha256']}" for head in heads]
    mark = hashlib.sha256("\n".join([FINDINGS, _code(), *marks]).encode()).hexdigest()
    if not _is_current(out / f"{FINDINGS}.json", mark):
        dataclasses.replace(findings_result(rows), fingerprint=mark, version=__version__).save(out)
    return out / f"{FINDINGS}.json"


def _compute(
    wanted: Sequence[Analysis], files: Sequence[Path], out: Path, config: AnalysisConfig, marks: Mapping[str, str], listener: Listener
) -> None:
    reading = config.encoding.num_null  # reading a session takes about as long as its null
    progress = Progress(reading * len(files) + sum(analysis.steps(len(files), config) for analysis in wanted), listener)
    progress.label("reading sessions")
    data = prepare(load(files, config.variable, lambda: progress.tick(reading)), config.variable, config.features)
    weights = out / f"{NETWORK}.json"
    data = dataclasses.replace(data, network=Result.load(weights) if weights.is_file() else None)
    for analysis in wanted:
        progress.label(analysis.name)
        rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=_spawn_key(analysis.name)))
        result = _attempt(analysis, data, config, rng, progress.tick)
        dataclasses.replace(
            result, fingerprint=marks[analysis.name], version=__version__, parameters={**_flat(config), **result.parameters}
        ).save(out)
    progress.finish()


def _attempt(analysis: Analysis, data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Tick) -> Result:
    assert analysis.compute is not None
    try:
        result = analysis.compute(data, config, rng, tick)
    except AnalysisError as error:
        if analysis.needed:
            raise
        result = absent(analysis.name, str(error))
    if analysis.needed:
        return result  # these say for themselves what they leave out
    few = [session.task for session in data.sessions if session not in data.analysable]
    notes = tuple(f"{task} has fewer than two usable trials and takes no part." for task in few)
    return dataclasses.replace(result, notes=result.notes + notes)


def _is_current(path: Path, fingerprint: str) -> bool:
    try:
        return read_head(path)["fingerprint"] == fingerprint and bool(Result.load(path))
    except ResultError:
        return False


def _spawn_key(name: str) -> tuple[int, ...]:
    """Each analysis draws from a stream of its own, whichever others run."""
    return tuple(name.encode())


def _fingerprints(files: Sequence[Path], config: AnalysisConfig, out: Path) -> dict[str, str]:
    """What each result was made from: sessions, settings, version, the code of this room, and what it uses of another."""
    parts = [__version__, _code(), json.dumps(dataclasses.asdict(config), sort_keys=True), *(_digest(path) for path in files)]
    names = {analysis.name: analysis.uses for analysis in ANALYSES if analysis.compute} | {FINDINGS: ""}
    used = {uses: str(read_head(path)["sha256"]) for uses in names.values() if uses and (path := out / f"{uses}.json").is_file()}
    return {name: hashlib.sha256("\n".join([name, *parts, used.get(uses, "")]).encode()).hexdigest() for name, uses in names.items()}


def _code() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _digest(path: Path) -> str:
    seen = [f"{video.name} {video.stat().st_size}" for video in sorted((path.parent / VIDEO_FOLDER).glob("*.mkv"))]
    return " ".join([path.parent.name, file_digest(path), *seen])


def _flat(config: AnalysisConfig) -> dict[str, Parameter]:
    def leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Parameter]]:
        for key, value in tree.items():
            if isinstance(value, dict):
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield prefix + key, value

    return dict(leaves(dataclasses.asdict(config), ""))
