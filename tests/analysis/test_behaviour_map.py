"""The map finds planted movements in trials it saw and in trials it did not, finds none in noise, and repeats itself to the byte."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.segmentation import watershed as library_watershed
from sklearn.metrics import adjusted_rand_score, homogeneity_score
from tests.analysis.movers import RATE, crowd, fidget, inside, mover

from vrodent.analysis.behaviour_map import BehaviourMap, MapConfig, behaviour_map, stratified, structure
from vrodent.analysis.behaviour_regions import Grid, density, watershed
from vrodent.analysis.behaviour_spectra import Floors, Modes, SpectraConfig, distributions, phase_randomised
from vrodent.analysis.checks import AnalysisError

# The density of 600 frames has dips of a fifth of a peak that rounding on another processor moves; valleys between planted movements are
# three quarters deep. A contrast of 0.4 lies between.
QUICK = MapConfig(sample=600, iterations=250, grid=64, bandwidth=0.04, num_null=9, null_sample=400, perplexity=20, contrast=0.4)
TASKS = ["gaps", "bowl"]


@pytest.fixture(scope="module")
def planted() -> tuple[list[dict[str, np.ndarray]], list[np.ndarray]]:
    return crowd(1, [1000, 1100, 900])


@pytest.fixture(scope="module")
def found(planted: tuple[list[dict[str, np.ndarray]], list[np.ndarray]]) -> BehaviourMap:
    return behaviour_map(planted[0][:2], TASKS, RATE, QUICK)


def test_planted_movements_are_recovered_also_in_a_trial_never_seen(planted, found) -> None:
    trials, labels = planted
    for which, least in ((0, 0.9), (2, 0.9)):
        regions = found.region(found.embed(trials[which]))
        steady = inside(labels[which], 25)
        # Frames less than half a second from a change belong to two movements; the slowest one takes that long for a cycle.
        assert adjusted_rand_score(labels[which][steady], regions[steady]) > least
    assert len(found.regions.mass) == 3
    for trial, label in zip(trials, labels, strict=True):
        steady = inside(label, 25)
        assert homogeneity_score(label[steady], found.region(found.embed(trial))[steady]) > 0.95


def test_frames_of_the_map_placed_anew_land_near_themselves(planted, found) -> None:
    side = found.grid.cell * found.grid.size
    for which, trial in enumerate(planted[0][:2]):
        again = found.embed(trial)[found.sample_frame[found.sample_trial == which]]
        distance = np.linalg.norm(again - found.sample[found.sample_trial == which], axis=1)
        assert np.median(distance) < 0.01 * side
        assert np.quantile(distance, 0.9) < 0.05 * side


def test_the_same_seed_gives_the_same_bytes(planted, found) -> None:
    again = behaviour_map(planted[0][:2], TASKS, RATE, QUICK)
    assert again.sample.tobytes() == found.sample.tobytes()
    assert again.density.tobytes() == found.density.tobytes()
    assert again.embed(planted[0][2], every=10).tobytes() == found.embed(planted[0][2], every=10).tobytes()


def test_structure_stands_out_of_the_null_where_planted_and_not_in_noise(planted) -> None:
    real = structure(planted[0][:2], TASKS, RATE, QUICK, np.random.default_rng(0))
    assert real.spread > 1.2 * real.null.max() and real.p_value == 2 / 10
    assert real.trials.tolist() == [0, 1] and (real.by_trial > 0.01).all()
    rng = np.random.default_rng(1)
    noise = structure([fidget(rng, 1000), fidget(rng, 1000)], TASKS, RATE, QUICK, rng)
    assert noise.null.min() < noise.spread * 1.1 and noise.spread < noise.null.max() and noise.p_value > 0.2
    assert np.abs(noise.by_trial).max() < 0.005


def test_a_distribution_adds_to_one_and_finds_the_oscillation() -> None:
    rng = np.random.default_rng(0)
    trial = mover(rng, np.ones(500, int), noise=0.01)
    config = SpectraConfig(posture=0.0, floor=0.0)
    modes = Modes.fit([trial], 2)
    channels = modes.channels(trial)
    shares = distributions(channels, RATE, config, Floors.fit([channels], RATE, config))
    assert shares.shape == (500, channels.shape[1] * 25 + 1) and (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    first = shares[:, :25].mean(axis=0)
    frequencies = np.geomspace(0.3, 24, 25)
    assert abs(np.log(frequencies[first.argmax()] / 5.0)) < np.log(80) / 24  # within one step of the planted 5 Hz


def test_stillness_and_posture_have_bins_of_their_own() -> None:
    rng = np.random.default_rng(0)
    moving = rng.normal(size=(400, 3))
    config = SpectraConfig()
    floors = Floors.fit([moving], RATE, config)
    still = np.zeros((400, 3))
    shares = distributions(still, RATE, config, floors)
    np.testing.assert_allclose(shares[:, [3 * 25, -1]], [[1 - config.posture, config.posture]] * 400, atol=1e-6)
    high = still.copy()
    high[:, 1] = 2.0
    up, down = distributions(high, RATE, config, floors), distributions(-high, RATE, config, floors)
    assert np.abs(np.sqrt(up) - np.sqrt(down)).max() > 0.3  # held above and held below the mean are told apart


def test_phase_randomising_keeps_every_spectrum_and_mean() -> None:
    rng = np.random.default_rng(0)
    for frames in (400, 401):
        channels = rng.normal(size=(frames, 2)).cumsum(axis=0)
        other = phase_randomised(channels, rng)
        np.testing.assert_allclose(np.abs(np.fft.rfft(other, axis=0)), np.abs(np.fft.rfft(channels, axis=0)), atol=1e-8)
        assert np.abs(other - channels).max() > 1


def test_every_task_gives_as_many_frames_and_they_keep_their_distance() -> None:
    frames = stratified([1500, 1500, 300], ["a", "a", "b"], most=200, spacing=1)
    assert sum(map(len, frames[:2])) == len(frames[2]) == 100
    apart = stratified([1000], ["a"], most=10_000, spacing=5)[0]
    assert np.diff(apart).min() == 5 and len(apart) == 200


def test_regions_are_the_librarys_watershed() -> None:
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.normal(centre, 1.0, size=(300, 2)) for centre in ((0, 0), (6, 1), (2, 7))])
    grid = Grid.over(points, 64)
    values = density(points, grid, 0.9)
    regions = watershed(values, contrast=0.0)
    on = regions.labels >= 0
    other = library_watershed(-values, mask=on, connectivity=2)
    assert len(regions.mass) == other.max()
    # They may differ on the ridge lines alone.
    assert adjusted_rand_score(other[on], regions.labels[on]) > 0.97
    assert values.sum() * grid.cell**2 == pytest.approx(1)


def test_a_shallow_peak_is_dissolved_and_a_deep_valley_kept() -> None:
    x = np.arange(40)
    profile = np.exp(-(((x - 8) / 3.0) ** 2)) + 0.9 * np.exp(-(((x - 14) / 3.0) ** 2)) + 0.7 * np.exp(-(((x - 32) / 2.0) ** 2))
    values = profile * np.exp(-(((x[:, None] - 20) / 4.0) ** 2))
    saddle = profile[8:15].min() / 0.9
    deep, shallow = watershed(values, contrast=max(0.0, 0.98 - saddle)), watershed(values, contrast=0.5)
    assert len(shallow.mass) == 2 and len(deep.mass) == 3
    assert shallow.mass.sum() == pytest.approx(1) and (np.diff(shallow.mass) <= 0).all()
    assert shallow.peak[1].tolist() == [20, 32]
    assert shallow.saddle.max() < 0.01 and shallow.separation > 0.99
    assert (shallow.filled >= 0).all()
    assert watershed(np.exp(-((x - 20.0) ** 2) / 20)[:, None] * np.ones(40)).separation == 0.0


@pytest.mark.parametrize(
    ("trials", "config", "message"),
    [
        ([], QUICK, "0 trials given"),
        ([fidget(np.random.default_rng(0), 200)], QUICK, "40 frames to lay out, at least 61 needed for perplexity 20"),
        ([fidget(np.random.default_rng(0), 100)], replace(QUICK, perplexity=5, spacing=0.0), "100 frames, at least 167 needed"),
        ([{**fidget(np.random.default_rng(0), 400), "movement": np.full((400, 9), np.nan)}], QUICK, "400 of 400 frames hold NaN"),
        ([{name: np.zeros_like(v) for name, v in fidget(np.random.default_rng(0), 400).items()}], QUICK, "the body never moves"),
    ],
)
def test_refuses(trials, config, message) -> None:
    with pytest.raises(AnalysisError, match=message):
        behaviour_map(trials, ["gaps"] * len(trials), RATE, config)


def test_refuses_a_trial_of_another_body_and_bad_settings(found) -> None:
    other = fidget(np.random.default_rng(0), 400)
    with pytest.raises(AnalysisError, match="a trial has 26 \\+ 9 columns, the modes were found on 27 \\+ 9"):
        found.embed({**other, "joint_angles": other["joint_angles"][:, :-1]})
    with pytest.raises(AnalysisError, match="grid >= 16"):
        MapConfig(grid=4)
    with pytest.raises(AnalysisError, match="perplexity must be at least 1, got 0"):
        MapConfig(perplexity=0)
    with pytest.raises(AnalysisError, match="0 <= posture < 1"):
        SpectraConfig(posture=1.0)
    with pytest.raises(AnalysisError, match="contrast must be in"):
        watershed(np.ones((3, 3)), 1.0)
    with pytest.raises(AnalysisError, match="somewhere above 0"):
        watershed(np.zeros((3, 3)))
