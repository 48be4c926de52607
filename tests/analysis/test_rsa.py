"""Similarity over clusters: equal to the estimator on frames where they must be, high where planted, null where not; missing clusters."""

from dataclasses import replace

import numpy as np
import pytest
from tests.analysis.signals import red_noise
from tests.analysis.worlds import two_tasks

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.cka import cka
from vrodent.analysis.data import Data
from vrodent.analysis.pipeline import AnalysisConfig
from vrodent.analysis.rsa import RsaConfig, clusters, kernel_cka, kernels
from vrodent.analysis.rsa_tables import judge_rsa, rsa
from vrodent.analysis.tables import text

CONFIG = AnalysisConfig(rsa=RsaConfig(num_clusters=30, num_null=49, every=3))


def test_kernels_of_cluster_means_give_the_cka_of_the_means() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 6)), rng.normal(size=(20, 4))
    y[:, :3] += x[:, :3]
    counts = np.full(20, 7)
    left, valid = kernels(7 * (x + 5), counts, 3)
    right, _ = kernels(7 * y, counts, 3)
    assert valid.all() and float(kernel_cka(left, right, valid)) == pytest.approx(cka(x, y), abs=1e-10)


def test_clusters_without_enough_frames_are_no_items() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 5)), rng.normal(size=(12, 5))
    counts = np.full(12, 4)
    counts[[2, 7]] = 1
    left, valid = kernels(x * counts[:, None], counts, 3)
    right, _ = kernels(y * counts[:, None], counts, 3)
    assert valid.sum() == 10
    assert float(kernel_cka(left, right, valid)) == pytest.approx(cka(x[valid], y[valid]), abs=1e-10)
    assert np.isnan(kernel_cka(left, right, valid & (np.arange(12) < 4)))


def test_clusters_are_the_same_for_the_same_seed_and_refuse_too_few_frames() -> None:
    rng = np.random.default_rng(2)
    features = [red_noise(rng, 200, 5, 0.2) for _ in range(3)]
    first, again = (clusters(features, RsaConfig(num_clusters=8), seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first)) == 8 and len(first) == 600
    with pytest.raises(AnalysisError, match="50 clusters wanted of 40 frames"):
        clusters([features[0][:40]], RsaConfig(), seed=0)
    with pytest.raises(AnalysisError, match="num_clusters must be at least 5, got 2"):
        RsaConfig(num_clusters=2)


@pytest.fixture(scope="module")
def world() -> Data:
    return two_tasks()


def test_planted_similarity_is_found_and_unrelated_sets_are_not(world: Data) -> None:
    found = rsa(world, CONFIG, np.random.default_rng(0), lambda: None)
    at = {name: i for i, name in enumerate(found["set"])}
    policy, core = 1, 0
    joints = found["rsa"][:, policy, at["joint_angles"]]
    assert (joints > 0.7).all() and (found["p_value"][:, policy, at["joint_angles"]] == pytest.approx(1 / 50))
    assert (np.abs(found["rsa"][-1, :, at["forces"]]) < 0.2).all() and found["p_corrected"][-1, core, at["joint_angles"]] > 0.05
    assert np.all(found["low"][:, policy, at["joint_angles"]] < joints) and np.all(joints < found["high"][:, policy, at["joint_angles"]])
    # The plant is in the joint angles themselves: called by the name of the judged set, they are judged as they should be.
    swap: dict[str, str] = {"joint_angles": "joint_angles_fast", "joint_angles_fast": "joint_angles"}
    named = text([swap.get(str(name), str(name)) for name in found["set"]], "set")
    verdicts = {f.claim: f.verdict for f in judge_rsa(replace(found, arrays={**found.arrays, "set": named}))}
    assert verdicts == {
        "Over clusters of behaviour, policy layers reflect fast movement more than the core does": "reproduced",
        "Over clusters of behaviour, the core reflects slow movement more than policy layers do": "undecided",
        "No layer encodes forces strongly": "reproduced",
    }
    again = rsa(world, CONFIG, np.random.default_rng(0), lambda: None)
    assert all(again[name].tobytes() == found[name].tobytes() for name in found.arrays)
