"""Ridge by sums equals ridge by frames; planted maps are read and carry to the other task; noise is not read; brightness of pictures."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from tests.analysis.worlds import two_tasks

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.decoding import DecodingConfig, fit, grouped, held_out, ratio_interval, transferred, trial_sums
from vrodent.analysis.decoding_tables import decodings
from vrodent.analysis.pipeline import AnalysisConfig
from vrodent.analysis.vision import brightness, session_vision
from vrodent.recording.video import VideoWriter

LENGTHS = (40, 50, 45, 60)


def planted(rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    weights = rng.normal(size=(5, 3))
    x = [rng.normal(size=(n, 5)) + 2 for n in LENGTHS]
    return x, [trial @ weights + 1 + 0.5 * rng.normal(size=(len(trial), 3)) for trial in x]


def test_sums_give_what_frames_give() -> None:
    x, y = planted(np.random.default_rng(0))
    sums = trial_sums(x, y)
    train = np.array([0, 1, 3])
    joined_x, joined_y = (np.concatenate([part[i] for i in train]) for part in (x, y))
    centred = joined_x - joined_x.mean(axis=0)
    penalty = 0.3 * np.trace(centred.T @ centred) / 5 + 1e-12 * len(joined_x)
    reference = Ridge(alpha=penalty).fit(joined_x, joined_y)
    found = fit(sums, train, 0.3)
    np.testing.assert_allclose(found[:-1].T, reference.coef_, rtol=1e-8)
    np.testing.assert_allclose(found[-1], reference.intercept_, rtol=1e-8)
    out = held_out(sums, np.array([0, 0, 1, 0]), 0.3)
    np.testing.assert_allclose(out.error[2], ((y[2] - reference.predict(x[2])) ** 2).sum(axis=0), rtol=1e-8)
    np.testing.assert_allclose(out.spread[2], ((y[2] - joined_y.mean(axis=0)) ** 2).sum(axis=0), rtol=1e-8)
    two = grouped(sums, np.array([0, 1, 0, -1]), 2)
    np.testing.assert_allclose(two.yy[0], sums.yy[0] + sums.yy[2])


def test_an_offset_between_tasks_is_forgiven_and_another_map_is_not() -> None:
    rng = np.random.default_rng(1)
    x, y = planted(rng)
    moved = [*y[:2], *(trial + 7 for trial in y[2:])]
    train, test = np.array([0, 1]), np.array([2, 3])
    assert (transferred(trial_sums(x, moved), train, test, 0.01) > 0.75).all()
    turned = [*y[:2], *(-trial for trial in y[2:])]
    assert (transferred(trial_sums(x, turned), train, test, 0.01) < -1).all()


def test_ratio_interval_covers() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(100):
        below = rng.uniform(1, 2, size=30)
        above = below * 0.4 * rng.lognormal(-0.02, 0.2, size=30)
        _, low, high = ratio_interval(above, below, rng, num=400)
        hits += bool(low <= 0.6 <= high)
    assert hits >= 86  # 95 of 100 expected; percentile intervals of 30 trials are a little narrow
    with pytest.raises(AnalysisError, match="1 trial"):
        ratio_interval(np.ones(1), np.ones(1), rng)


def test_planted_decoding_within_and_across_tasks() -> None:
    config = AnalysisConfig(num_bootstrap=200, decoding=DecodingConfig(num_null=39, every=2))
    found = decodings(two_tasks(), config, np.random.default_rng(0), lambda: None)
    at = {name: i for i, name in enumerate(found["set"])}
    assert (found["r2"][:, 1, at["joint_angles"]] > 0.7).all()
    assert found["p_corrected"][-1, 1, at["joint_angles"]] == pytest.approx(1 / 40)
    assert (found["r2"][:, :, at["forces"]] < 0.01).all() and (found["p_corrected"][:, 0] > 0.02).all()
    assert (found["null_mean"] < 0.01).all()
    across = found["transfer"][1, :, :, at["joint_angles"]]
    assert (across > 0.6).all()
    np.testing.assert_allclose(np.diag(across), found["r2"][:2, 1, at["joint_angles"]])


def test_refuses_settings() -> None:
    with pytest.raises(AnalysisError, match="folds must be at least 2, got 1"):
        DecodingConfig(folds=1)
    with pytest.raises(AnalysisError, match=r"ridge must be positive, got 0\.0"):
        DecodingConfig(ridge=0.0)


def test_brightness_of_cells() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[8:16, 24:32] = 255
    expected = np.zeros((8, 8))
    expected[1, 3] = 1.0
    np.testing.assert_allclose(brightness(picture), expected.ravel(), atol=1e-6)
    with pytest.raises(ValueError, match="60 x 64 do not divide"):
        brightness(picture[:, :60])


def test_vision_comes_from_the_videos_or_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "egocentric").mkdir()
    with VideoWriter(tmp_path / "egocentric" / "trial_001.mkv", 50, "lossless") as writer:
        for i in range(5):
            writer.add(np.full((64, 64, 3), 40 * i, np.uint8))
    seen, reason = session_vision(tmp_path, [1], [5])
    assert seen is not None and reason == ""
    np.testing.assert_allclose(seen[0], np.repeat(np.arange(5)[:, None] * 40 / 255, 64, axis=1), atol=0.01)
    assert session_vision(tmp_path, [1], [6]) == (None, "the video of trial 1 has 5 pictures, the trial 6 frames")
    assert session_vision(tmp_path, [0, 1], [5, 5])[1] == "no video of what the animal saw"
    (tmp_path / "egocentric" / "trial_001.mkv").write_bytes(b"half")
    assert "cannot be read as a video" in session_vision(tmp_path, [1], [5])[1]
