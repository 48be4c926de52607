"""The behaviour map: frames laid out in a plane so that like movements lie together, and the plane cut into regions.

found = behaviour_map(trials, groups, rate, MapConfig())         # trials of one agent in all its tasks
place = found.embed(other_trial)                                 # (time, 2), in the same plane, of a trial it never saw
region = found.region(place)                                     # (time,)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from openTSNE import TSNE, TSNEEmbedding
from sklearn.cluster import KMeans

from vrodent.analysis.behaviour_regions import Grid, Regions, density, watershed
from vrodent.analysis.behaviour_spectra import Floors, Modes, SpectraConfig, distributions, phase_randomised
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.statistics import null_p_value

Tick = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class MapConfig:
    """How the map is made.

    Attributes:
        spectra: how frames become distributions.
        sample: most frames laid out by t-SNE, the same number from every task; all others are placed among them.
        spacing: s, least time between two of them in a trial, so that a frame's neighbours are not merely the moments around it.
        num_axes: principal components of the square roots of the distributions that distances are taken in.
        perplexity: of t-SNE, about how many neighbours a frame keeps.
        iterations: of t-SNE after 250 of early exaggeration.
        placing: iterations for placing other frames.
        grid: cells along a side of the density.
        bandwidth: standard deviation of the density's Gaussian, as a share of the map's side.
        contrast: a peak that stands out of the pass to a higher one by less than this share of its height is no region of its own.
        num_null: draws of phase-randomised movement that the real one is compared with; 0 for none.
        null_sample, null_trials: most frames and trials in each draw, and in the real movement that they are compared with.
        null_kinds: kinds of movement (k-means clusters) in the comparison.
    """

    spectra: SpectraConfig = field(default_factory=SpectraConfig)
    sample: int = 10_000
    spacing: float = 0.1
    num_axes: int = 30
    perplexity: int = 30
    iterations: int = 500
    placing: int = 100
    grid: int = 128
    bandwidth: float = 0.03
    contrast: float = 0.2
    num_null: int = 49
    null_sample: int = 1500
    null_trials: int = 8
    null_kinds: int = 10

    def __post_init__(self) -> None:
        for name in ("sample", "num_axes", "perplexity", "iterations", "placing", "null_sample", "null_trials", "null_kinds"):
            if getattr(self, name) < 1:
                raise AnalysisError(f"MapConfig.{name} must be at least 1, got {getattr(self, name)}.")
        if self.grid < 16 or not 0 < self.bandwidth < 0.5 or self.spacing < 0 or self.num_null < 0 or not 0 <= self.contrast < 1:
            raise AnalysisError(
                "MapConfig needs grid >= 16, 0 < bandwidth < 0.5, spacing >= 0, num_null >= 0 and 0 <= contrast < 1; got "
                f"{self.grid}, {self.bandwidth}, {self.spacing}, {self.num_null} and {self.contrast}."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class BehaviourMap:
    """A finished map.

    Attributes:
        config, rate, modes, floors: how frames become distributions.
        mean, axes: (bin,) and (bin, axis), the space that distances are taken in.
        layout: the frames that t-SNE laid out.
        sample_trial, sample_frame: (sample,) where they come from: index of the trial, frame of it.
        grid, density, regions: of the plane.
        spread: variance of the laid out frames' distributions (of their square roots; the whole of it is at most 1) between regions.
    """

    config: MapConfig
    rate: float
    modes: Modes
    floors: Floors
    mean: np.ndarray
    axes: np.ndarray
    layout: TSNEEmbedding
    sample_trial: np.ndarray
    sample_frame: np.ndarray
    grid: Grid
    density: np.ndarray
    regions: Regions
    spread: float

    @property
    def sample(self) -> np.ndarray:
        """(sample, 2) where t-SNE laid them."""
        return np.asarray(self.layout)

    def embed(self, trial: dict[str, np.ndarray], every: int = 1) -> np.ndarray:
        """Place the frames of a trial among those of the map; each is pulled by the map's frames alone, not by one another.

        Args:
            trial: its signals, as the map was made from.
            every: place every so-manieth frame.

        Returns:
            (time / every, 2).

        Raises:
            AnalysisError: values not finite, other columns, or fewer frames than one period of the lowest frequency.
        """
        spectra = distributions(self.modes.channels(trial), self.rate, self.config.spectra, self.floors)[::every]
        return np.asarray(self.layout.transform((np.sqrt(spectra) - self.mean) @ self.axes, n_iter=self.config.placing))

    def region(self, places: np.ndarray) -> np.ndarray:
        """(time,) region of each place; one in empty country belongs to the nearest region."""
        return self.regions.filled[tuple(self.grid.cells(places).T)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Structure:
    """Whether movement comes in kinds more than movement of the same spectra without beginnings and ends would.

    Attributes:
        spread: variance of distributions (of their square roots) between kinds of movement.
        null: (draw,) the same for phase-randomised movement.
        p_value: two-sided, so that movement of fewer kinds than the null's shows too.
        trials: indices of the trials that were compared.
        by_trial: (trial,) spread of each of them, in kinds of its own, less the mean of the same in its phase-randomised copies.
    """

    spread: float
    null: np.ndarray
    p_value: float
    trials: np.ndarray
    by_trial: np.ndarray


def stratified(lengths: Sequence[int], groups: Sequence[str], most: int, spacing: int, offset: int = 0) -> list[np.ndarray]:
    """Frames of each trial to lay out: evenly spaced, as many from every group as there are, and `most` in all.

    Args:
        lengths: frames of each trial.
        groups: task of each trial.
        most: frames wanted.
        spacing: least frames between two of a trial.
        offset: shifts the choice.

    Returns:
        (chosen,) frames of each trial.
    """
    names = sorted(set(groups))
    quota = max(1, most // len(names))
    totals = {name: sum(n for n, g in zip(lengths, groups, strict=True) if g == name) for name in names}
    steps = {name: max(1, spacing, -(-totals[name] // quota)) for name in names}
    return [np.arange((offset + steps[g] // 2) % steps[g], n, steps[g]) for n, g in zip(lengths, groups, strict=True)]


def behaviour_map(
    trials: Sequence[dict[str, np.ndarray]], groups: Sequence[str], rate: float, config: MapConfig, *, seed: int = 0,
    tick: Tick = lambda: None,
) -> BehaviourMap:  # fmt: skip
    """Make a map of the movements in some trials.

    Args:
        trials: of each, `joint_angles`, `pose` and `movement`, (time, column).
        groups: task of each trial.
        rate: frames a second, Hz.
        config: how.
        seed: of t-SNE.
        tick: called once a trial, and once for the layout.

    Returns:
        The map; the same trials, settings and seed give the same bytes.

    Raises:
        AnalysisError: no trials, values not finite, a trial shorter than one period of the lowest frequency, or too few frames.
    """
    if not trials:
        raise AnalysisError("behaviour map: 0 trials given, at least 1 needed; record more trials.")
    modes = Modes.fit(trials, config.spectra.num_modes)
    channels = [modes.channels(trial) for trial in trials]
    floors = Floors.fit(channels, rate, config.spectra)
    return _mapped(channels, groups, rate, config, modes, floors, config.sample, seed, tick)


def structure(
    trials: Sequence[dict[str, np.ndarray]], groups: Sequence[str], rate: float, config: MapConfig, rng: np.random.Generator, *,
    seed: int = 0, tick: Tick = lambda: None,
) -> Structure:  # fmt: skip
    """Compare the variance between kinds of movement with that in phase-randomised movement, over the same few trials and frames.

    The kinds are k-means clusters of a fixed number, in the space of the map: regions would not do, for a layout of noise falls into
    more of them, and these then hold more of the variance.

    Args and raises as `behaviour_map`; `rng` draws the phases; `tick` is called once a draw.
    """
    modes = Modes.fit(trials, config.spectra.num_modes)
    chosen = _spread(groups, config.null_trials)
    channels, tasks = [modes.channels(trials[i]) for i in chosen], [groups[i] for i in chosen]
    floors = Floors.fit(channels, rate, config.spectra)
    frames = stratified([len(trial) for trial in channels], tasks, config.null_sample, round(config.spacing * rate))

    def spreads(of: list[np.ndarray]) -> np.ndarray:
        rooted = [np.sqrt(distributions(t, rate, config.spectra, floors)[f]) for t, f in zip(of, frames, strict=True)]
        mean, axes = _principal(np.concatenate(rooted), config.num_axes)
        places = [(part - mean) @ axes for part in rooted]
        tick()
        return np.array([_kinds(part, config.null_kinds, seed) for part in (np.concatenate(places), *places)])

    observed = spreads(channels)
    null = np.array([spreads([phase_randomised(trial, rng) for trial in channels]) for _ in range(config.num_null)])
    null = null.reshape(config.num_null, len(observed))
    none = not config.num_null
    return Structure(
        spread=float(observed[0]), null=null[:, 0], trials=np.array(chosen),
        p_value=float("nan") if none else float(null_p_value(observed[:1], null[:, :1], "two-sided")[0]),
        by_trial=np.full(len(chosen), np.nan) if none else observed[1:] - null[:, 1:].mean(axis=0),
    )  # fmt: skip


def _kinds(places: np.ndarray, num: int, seed: int) -> float:
    """Variance between k-means clusters of frames."""
    num = min(num, len(places))
    return between(places, KMeans(num, n_init="auto", random_state=seed).fit_predict(places))


def _spread(groups: Sequence[str], most: int) -> list[int]:
    """Indices of at most so many trials, from every group in turn, evenly through it."""
    names = sorted(set(groups))
    each = max(1, most // len(names))
    members = [[i for i, group in enumerate(groups) if group == name] for name in names]
    return sorted(part[i] for part in members for i in np.unique(np.linspace(0, len(part) - 1, min(each, len(part))).round().astype(int)))


def _mapped(
    channels: list[np.ndarray], groups: Sequence[str], rate: float, config: MapConfig, modes: Modes, floors: Floors, most: int,
    seed: int, tick: Tick,
) -> BehaviourMap:  # fmt: skip
    frames = stratified([len(trial) for trial in channels], groups, most, round(config.spacing * rate))
    num = sum(len(chosen) for chosen in frames)
    if num < 3 * config.perplexity + 1:
        raise AnalysisError(
            f"behaviour map: {num} frames to lay out, at least {3 * config.perplexity + 1} needed for perplexity "
            f"{config.perplexity}; record more or longer trials, or lower the perplexity or the spacing."
        )
    parts = []
    for trial, chosen in zip(channels, frames, strict=True):
        parts.append(np.sqrt(distributions(trial, rate, config.spectra, floors)[chosen]))
        tick()
    rooted = np.concatenate(parts)
    mean, axes = _principal(rooted, config.num_axes)
    layout = TSNE(
        perplexity=config.perplexity, n_iter=config.iterations, initialization="pca", metric="euclidean", neighbors="exact",
        negative_gradient_method="bh" if num < 4000 else "fft", n_jobs=1, random_state=seed,
    ).fit((rooted - mean) @ axes)  # fmt: skip
    # Else the first placing would do it, and shift the layout under the finished map while it is at it.
    layout.prepare_interpolation_grid()
    tick()
    places = np.array(layout)
    grid = Grid.over(places, config.grid)
    values = density(places, grid, config.bandwidth * grid.cell * grid.size)
    regions = watershed(values, config.contrast)
    which = np.repeat(np.arange(len(frames)), [len(chosen) for chosen in frames])
    return BehaviourMap(
        config=config, rate=rate, modes=modes, floors=floors, mean=mean, axes=axes, layout=layout, sample_trial=which,
        sample_frame=np.concatenate(frames), grid=grid, density=values, regions=regions,
        spread=between(rooted, regions.filled[tuple(grid.cells(places).T)]),
    )  # fmt: skip


def between(rows: np.ndarray, labels: np.ndarray) -> float:
    """Variance of (frame, column) rows between the means of labelled groups, summed over columns."""
    mean = rows.mean(axis=0)
    return sum(float(((rows[labels == k].mean(axis=0) - mean) ** 2).sum() * (labels == k).mean()) for k in np.unique(labels))


def _principal(rows: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
    mean = rows.mean(axis=0)
    centred = (rows - mean).astype(float)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :num]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    return mean, axes.astype(np.float32)
