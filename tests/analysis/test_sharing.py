"""A layer that knows its task is decoded; one that does not is not; a shared geometry is alike in all tasks."""

import numpy as np
import pytest
from scipy import stats
from tests.analysis.signals import red_noise

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.sharing import cluster_frames, decode_label, geometry


def test_a_task_that_moves_the_mean_is_decoded_and_its_confusion_is_diagonal() -> None:
    rng = np.random.default_rng(0)
    offset = rng.normal(size=(3, 10))
    labels = [0, 1, 2] * 5
    trials = [red_noise(rng, 300, 10, 0.2) + 1.5 * offset[label] for label in labels]
    found = decode_label(trials, labels, rng, num_null=39)
    assert found.accuracy > 0.9 and found.p_value == pytest.approx(1 / 40)
    np.testing.assert_allclose(found.confusion.sum(axis=1), 1.0)
    assert np.all(found.confusion.argmax(axis=1) == [0, 1, 2])
    assert abs(found.null.mean() - 1 / 3) < 0.1


def test_slow_noise_of_trials_is_not_mistaken_for_a_task() -> None:
    """Trials differ from each other, but not by task: splitting frames instead of trials would decode this."""
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(40):
        labels = [0, 1] * 5
        trials = [rng.normal(size=4) + 0.2 * rng.normal(size=(20, 4)) for _ in labels]
        p_values.append(decode_label(trials, labels, rng, num_null=19, folds=2, frames=10).p_value)
    # Few trials make few different accuracies, and ties make p-values larger, never smaller, than uniform ones.
    assert stats.kstest(p_values, "uniform", alternative="greater").pvalue > 0.01
    assert max(p_values) > 0.8


def test_clusters_find_planted_groups() -> None:
    rng = np.random.default_rng(2)
    truth = [rng.integers(0, 5, size=200) for _ in range(3)]
    centres = 10 * rng.normal(size=(5, 4))
    found = np.concatenate(cluster_frames([centres[k] + rng.normal(size=(200, 4)) for k in truth], 5, seed=0))
    pairs = set(zip(np.concatenate(truth).tolist(), found.tolist(), strict=True))
    assert len(pairs) == 5


def test_a_shared_layer_has_one_geometry_and_a_task_layer_has_not() -> None:
    rng = np.random.default_rng(3)
    tasks = [0, 1] * 4
    clusters = [rng.integers(0, 20, size=600) for _ in tasks]
    shared, own = rng.normal(size=(20, 15)), rng.normal(size=(2, 20, 15))
    noise = [0.3 * rng.normal(size=(600, 15)) for _ in tasks]
    alike = geometry([shared[k] + n for k, n in zip(clusters, noise, strict=True)], clusters, tasks)
    apart = geometry([own[t][k] + n for t, k, n in zip(tasks, clusters, noise, strict=True)], clusters, tasks)
    assert alike.likeness[0, 1] > 0.95
    assert abs(apart.likeness[0, 1]) < 0.2
    np.testing.assert_allclose(np.diag(apart.likeness), 1.0)
    assert alike.shared[0, 1] == 20 and alike.visits.sum() == 8 * 600


def test_clusters_that_a_task_hardly_visits_do_not_count() -> None:
    rng = np.random.default_rng(4)
    clusters = [np.repeat(np.arange(6), 50), np.concatenate([np.repeat(np.arange(5), 50), [5, 5]])]
    found = geometry([rng.normal(size=(len(k), 3)) for k in clusters], clusters, [0, 1])
    assert found.shared[0, 1] == 5 and np.isnan(found.means[1, 5]).all()
    only = [np.zeros(60, int), np.ones(60, int)]
    none = geometry([rng.normal(size=(60, 3)) for _ in only], only, [0, 1])
    assert np.isnan(none.likeness[0, 1])


def test_refuses() -> None:
    rng = np.random.default_rng(5)
    trials = [rng.normal(size=(50, 3)) for _ in range(4)]
    with pytest.raises(AnalysisError, match=r"classes? are \[3, 1\]|by class are \[3, 1\]"):
        decode_label(trials, [0, 0, 0, 1], rng)
    with pytest.raises(AnalysisError, match="500 clusters wanted of 200 frames"):
        cluster_frames(trials, 500, seed=0)
    with pytest.raises(AnalysisError, match="do not pair up"):
        geometry(trials, [np.zeros(49, int)] * 4, [0, 0, 1, 1])
