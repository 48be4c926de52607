"""Pieces of the sections on behaviour: borders between regions, bouts as bars, a part of a video."""

from pathlib import Path

import numpy as np
from tests.report.study import film

from vrodent.analysis.result import Quantity, Result
from vrodent.report.behaviour import _borders, raster
from vrodent.report.clips import ClipConfig, video_part


def test_a_border_runs_between_cells_of_different_regions_only() -> None:
    labels = np.array([[0, 0, 1], [0, 0, 1]])
    drawn = _borders(labels, np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0]))
    assert drawn["x"] == [1.5, 1.5, None, 1.5, 1.5, None]
    assert drawn["y"] == [-0.5, 0.5, None, 0.5, 1.5, None]


def test_a_bout_is_a_bar_from_its_start_to_its_stop_in_its_trials_row() -> None:
    arrays = {
        "trial_session": [1, 0, 0], "trial_number": [0, 0, 2], "region_name": ["run", "still", "run"],
        "bout_trial": [0, 1, 1, 2], "bout_start": [0, 0, 50, 0], "bout_stop": [10, 50, 75, 25], "bout_region": [0, 0, 1, 2],
    }  # fmt: skip
    quantities = {name: Quantity(values=np.array(values), axes=("row",)) for name, values in arrays.items()}
    figure = raster(Result(name="behaviour", kind="behaviour", arrays=quantities, parameters={"behaviour.rate": 50.0}), 0, ["run", "still"])
    run, still = figure["data"]
    assert run["x"] == [0, 1, None, 0, 0.5, None] and run["y"] == [0, 0, None, 1, 1, None]
    assert still["x"] == [1, 1.5, None] and still["y"] == [0, 0, None]
    assert figure["layout"]["yaxis"]["ticktext"] == ["0", "2"]


def test_a_part_of_a_video_begins_where_it_is_asked_to_and_is_empty_past_the_end(tmp_path: Path) -> None:
    film(tmp_path)
    config, path = ClipConfig(seconds=0.5, film_width=64), tmp_path / "third_person" / "trial_000.mp4"
    early, late = (video_part(path, config, 64, start) for start in (0.0, 1.4))
    assert early.startswith("data:video/mp4;base64,") and late.startswith("data:video/mp4;base64,") and early != late
    assert video_part(path, config, 64, 1.9) == ""
