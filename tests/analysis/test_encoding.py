"""Planted tuning is found in its own layer and set, and only there."""

import numpy as np
import pytest
from tests.analysis.signals import red_noise

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.cka import cka
from vrodent.analysis.encoding import EncodingConfig, encoding, session_moments

RATE = 50.0


def planted(rng: np.random.Generator, lengths: list[int]) -> tuple[list[dict[str, np.ndarray]], list[dict[str, np.ndarray]]]:
    """`core` is a rotated copy of the slow set with noise; `policy0` follows nothing."""
    mixing = np.random.default_rng(0).normal(size=(3, 8))
    layers, features = [], []
    for time in lengths:
        slow, fast = red_noise(rng, time, 3, 0.5), red_noise(rng, time, 4, 0.05)
        layers.append({"core": slow @ mixing + 0.3 * rng.normal(size=(time, 8)), "policy0": red_noise(rng, time, 6, 0.1)})
        features.append({"slow": slow, "fast": fast})
    return layers, features


@pytest.mark.parametrize("null", ["circular", "trial"])
def test_planted_tuning_stands_out_of_the_null(null: str) -> None:
    rng = np.random.default_rng(1)
    layers, features = planted(rng, [500] * 8)
    found = encoding([session_moments(layers, features, EncodingConfig(null=null, num_null=99), rng, RATE)])
    assert found.cka[0, 0] > 0.6 and found.low[0, 0] > 0.5
    assert found.p_value[0, 0] == pytest.approx(0.01)
    assert found.p_corrected[0, 0] == pytest.approx(0.01)
    others = [found.cka[0, 1], found.cka[1, 0], found.cka[1, 1]]
    assert max(np.abs(others)) < 0.05
    assert min(found.p_value[0, 1], found.p_value[1, 0], found.p_value[1, 1]) > 0.02
    assert found.contrast_high[1, 0] < 0 < found.cka[0, 0]
    np.testing.assert_array_equal(found.contrast[0], 0)


def test_equals_cka_of_the_joined_frames_of_all_sessions() -> None:
    rng = np.random.default_rng(2)
    config = EncodingConfig(num_null=2)
    sessions = [planted(rng, lengths) for lengths in ([80, 120], [90, 60, 70])]
    pooled = encoding([session_moments(*session, config, rng, RATE) for session in sessions])
    joined = {
        name: np.concatenate([trial[name] for _, features in sessions for trial in features]) for name in ("slow", "fast")
    }
    activity = {name: np.concatenate([trial[name] for layers, _ in sessions for trial in layers]) for name in ("core", "policy0")}
    expected = [[cka(activity[layer], joined[name]) for name in ("slow", "fast")] for layer in ("core", "policy0")]
    np.testing.assert_allclose(pooled.cka, expected, atol=1e-9)
    assert pooled.null.shape == (2, 2, 2)


def test_pooling_tasks_keeps_task_differences_in_the_null() -> None:
    """Layer and behaviour that share nothing but their means by task: alike over tasks, but not more so than the null."""
    rng = np.random.default_rng(3)
    config = EncodingConfig(null="circular", num_null=99)
    moments = []
    for offset in (-3.0, 3.0):
        layers = [{"core": offset + red_noise(rng, 400, 3, 0.1)} for _ in range(4)]
        features = [{"pose": offset + red_noise(rng, 400, 3, 0.1)} for _ in range(4)]
        moments.append(session_moments(layers, features, config, rng, RATE))
    found = encoding(moments)
    assert found.cka[0, 0] > 0.9
    assert found.p_value[0, 0] > 0.02


def test_a_layer_that_never_varies_has_no_cka() -> None:
    rng = np.random.default_rng(4)
    layers, features = planted(rng, [100, 100])
    dead = [{**trial, "policy0": np.full((100, 6), 0.5)} for trial in layers]
    found = encoding([session_moments(dead, features, EncodingConfig(num_null=3), rng, RATE)])
    assert np.isnan(found.cka[1]).all() and np.isnan(found.p_value[1]).all()
    assert np.isfinite(found.cka[0]).all()


def test_refuses() -> None:
    rng = np.random.default_rng(5)
    layers, features = planted(rng, [100, 100])
    with pytest.raises(AnalysisError, match="1 trial"):
        session_moments(layers[:1], features[:1], EncodingConfig(), rng, RATE)
    with pytest.raises(AnalysisError, match="do not pair up"):
        session_moments(layers, [features[0], {k: v[:-1] for k, v in features[1].items()}], EncodingConfig(), rng, RATE)
    for bad in ({"null": "shuffle"}, {"num_null": 0}, {"level": 1.0}):
        with pytest.raises(AnalysisError, match=str(next(iter(bad.values())))):
            EncodingConfig(**bad)
