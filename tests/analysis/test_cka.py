"""CKA: invariances, independence, the explicit n x n form, rsatoolbox, intervals and nulls."""

import numpy as np
import pytest
from scipy import stats
from tests.analysis.signals import red_noise

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.cka import cka, cka_over_trials, hsic_from_products, null_orders, products, widen
from vrodent.analysis.statistics import null_p_value


def explicit_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. 2012, equation 5, with the kernels written out."""
    n = len(x)
    k, h = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0.0)
    np.fill_diagonal(h, 0.0)
    one = np.ones(n)
    return (np.trace(k @ h) + k.sum() * h.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ h @ one) / (n * (n - 3))


def test_unchanged_by_rotation_scale_and_shift() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 12)) * np.linspace(0.2, 3, 12)
    rotation, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    for debiased in (True, False):
        assert cka(x, 3.7 * x @ rotation + 5.0, debiased=debiased) == pytest.approx(1.0, abs=1e-9)
    assert cka(x, x @ rng.normal(size=(12, 12))) < 0.99  # a general linear map is not forgiven


def test_debiased_is_near_zero_for_independent_data_and_the_plug_in_is_not() -> None:
    rng = np.random.default_rng(1)
    pairs = [(rng.normal(size=(100, 64)), rng.normal(size=(100, 40))) for _ in range(40)]
    values = [(cka(x, y), cka(x, y, debiased=False)) for x, y in pairs]
    debiased, plain = np.mean(values, axis=0)
    assert abs(debiased) < 0.01
    assert plain > 0.3


@pytest.mark.parametrize(("n", "p", "q"), [(5, 3, 2), (60, 7, 11), (40, 90, 3)])
def test_the_moment_form_equals_the_explicit_kernels(n: int, p: int, q: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.normal(1.0, 2.0, size=(n, p)), rng.normal(-0.5, 1.0, size=(n, q))
    y[:, 0] += x[:, 0]
    np.testing.assert_allclose(hsic_from_products(products(widen(x), widen(y))), explicit_hsic(x, y), rtol=1e-9)
    expected = explicit_hsic(x, y) / np.sqrt(explicit_hsic(x, x) * explicit_hsic(y, y))
    assert cka(x, y) == pytest.approx(expected, abs=1e-9)


def test_plug_in_equals_rsatoolbox_cosine_of_whitened_dissimilarities() -> None:
    rsatoolbox = pytest.importorskip("rsatoolbox")
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(14, 6)), rng.normal(size=(14, 9))
    y[:, :3] += x[:, :3]
    rdms = [rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(values), method="euclidean") for values in (x, y)]
    theirs = rsatoolbox.rdm.compare(rdms[0], rdms[1], method="cosine_cov").item()
    assert cka(x, y, debiased=False) == pytest.approx(theirs, abs=1e-6)


def test_interval_over_trials_covers_the_population_value() -> None:
    mixing = np.random.default_rng(4).normal(size=(3, 5))

    def draw(rng: np.random.Generator, time: int) -> tuple[np.ndarray, np.ndarray]:
        x = red_noise(rng, time, 3, 0.1)
        return x, x @ mixing + 2.0 * red_noise(rng, time, 5, 0.1)

    truth = cka(*draw(np.random.default_rng(99), 200_000))
    hits = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        pairs = [draw(rng, 150) for _ in range(12)]
        interval = cka_over_trials([x for x, _ in pairs], [y for _, y in pairs])
        hits += bool(interval.low <= truth <= interval.high)
    assert 0.88 <= hits / 120 <= 0.99


def test_estimate_over_trials_is_that_of_the_joined_frames() -> None:
    rng = np.random.default_rng(5)
    x = [rng.normal(size=(n, 4)) + 3 for n in (20, 35)]
    y = [trial[:, :2] + rng.normal(size=(len(trial), 2)) for trial in x]
    assert cka_over_trials(x, y).estimate == pytest.approx(cka(np.concatenate(x), np.concatenate(y)))


@pytest.mark.parametrize("kind", ["circular", "trial"])
def test_p_values_are_uniform_for_independent_autocorrelated_data(kind) -> None:
    rng = np.random.default_rng(6)
    lengths = [120] * 6
    p_values = []
    for _ in range(150):
        x, y = (np.concatenate([red_noise(rng, n, 3, 0.3) for n in lengths]) for _ in range(2))
        orders = null_orders(lengths, kind, 39, rng, min_shift=60)
        null = np.array([cka(x[order], y) for order in orders])
        p_values.append(float(null_p_value(np.asarray(cka(x, y)), null)))
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_frames_shuffled_one_by_one_would_be_a_wrong_null() -> None:
    """Why the nulls shift: the same data give far too many small p-values when frames are exchanged singly."""
    rng = np.random.default_rng(7)
    p_values = []
    for _ in range(60):
        x, y = red_noise(rng, 400, 2, 0.5), red_noise(rng, 400, 2, 0.5)
        null = np.array([cka(x[rng.permutation(400)], y) for _ in range(19)])
        p_values.append(float(null_p_value(np.asarray(cka(x, y)), null)))
    assert stats.kstest(p_values, "uniform").pvalue < 1e-4


def test_null_orders_are_reorderings_that_move_every_frame() -> None:
    rng = np.random.default_rng(8)
    for order in null_orders([50] * 6, "trial", 20, rng):
        np.testing.assert_array_equal(np.sort(order), np.arange(300))
        assert not np.any(order == np.arange(300))
        assert np.all(order.reshape(6, 50) % 50 == np.arange(50))  # equal trials keep the time within the trial
    for order in null_orders([100, 200], "circular", 20, rng, min_shift=60):
        shift = (-order[0]) % 300
        assert 60 <= shift <= 240
        np.testing.assert_array_equal(order, np.roll(np.arange(300), shift))


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.zeros((3, 1)), np.zeros((3, 1)), "3 frames, at least 4"),
        (np.zeros((0, 1)), np.zeros((0, 1)), "0 frames"),
        (np.zeros((9, 2)), np.eye(9), "x: no column varies"),
        (np.eye(9), np.eye(8), "do not pair up"),
        (np.full((9, 2), np.nan), np.eye(9), "9 of 9 frames hold NaN"),
    ],
)
def test_refuses(x: np.ndarray, y: np.ndarray, match: str) -> None:
    with pytest.raises(AnalysisError, match=match):
        cka(x, y)


def test_refuses_one_trial_and_too_few_for_the_trial_null() -> None:
    with pytest.raises(AnalysisError, match=r"1 trial\(s\) given, at least 2"):
        cka_over_trials([np.eye(9)], [np.eye(9)])
    with pytest.raises(AnalysisError, match="3 trials, at least 4"):
        null_orders([9, 9, 9], "trial", 1, np.random.default_rng(0))
