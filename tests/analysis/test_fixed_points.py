"""Fixed points of layers by task and behaviour, from weights whose answer is known, and the claim that follows."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from tests.analysis.worlds import two_tasks

from vrodent.analysis import AnalysisConfig, AnalysisError
from vrodent.analysis.data import Data
from vrodent.analysis.fixed_point_tables import (
    Condition,
    FixedPointConfig,
    Layer,
    fixed_point_table,
    judge_fixed_points,
    network_result,
)
from vrodent.analysis.result import Result

UNITS = 8
SIGNS = np.array([1, -1, 1, 1, -1, -1, 1, -1])
CONFIG = AnalysisConfig(fixed_points=FixedPointConfig(starts=3, seconds=4.0, longest=6.0, num_null=60))


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def layer(name: str, forget: float, *, recurrent: float = 0.0, cell: float = 0.1) -> Layer:
    """All units forget by `forget` a step, and feed one pattern of signs back to themselves through the cell gate."""
    rng = np.random.default_rng(len(name))
    weight = np.zeros((UNITS, 4 * UNITS))
    weight[:, 2 * UNITS : 3 * UNITS] = recurrent * np.outer(SIGNS, SIGNS) / UNITS
    conditions = []
    for task, push in (("gaps", 1.0), ("two_tap", -1.0)):
        drive = np.concatenate([np.zeros(UNITS), np.full(UNITS, logit(forget)), np.full(UNITS, cell * push), np.zeros(UNITS)])
        h, c = rng.normal(0, 0.3, (40, UNITS)), rng.normal(0, 0.5, (40, UNITS))
        conditions.append(Condition(name=task, behaviour=False, drive=drive, h=h, c=c))
    conditions.append(dataclasses.replace(conditions[0], name="run", behaviour=True))
    return Layer(name=name, weight_hidden=weight, conditions=conditions)


@functools.cache
def recorded() -> Data:
    return two_tasks(trials=2, length=220)


def world(*layers: Layer) -> Data:
    data = recorded()
    identifiers = tuple(session.identifier for session in data.sessions)
    return dataclasses.replace(data, network=network_result(layers, identifiers, "{}"))


def looked_at(*layers: Layer) -> Result:
    return fixed_point_table(world(*layers), CONFIG, np.random.default_rng(0), lambda: None)


def test_planted_time_constants_are_found_and_the_slower_core_is_judged() -> None:
    found = looked_at(layer("core", 0.99, cell=0.01), layer("policy0", 0.6))
    assert found["row"].tolist() == ["task:gaps", "task:two_tap", "run"]
    assert (found["num_points"] == 1).all() and (found["num_stable"] == 1).all() and (found["unstable_modes"] == 0).all()
    assert found["time_constant"][0] == pytest.approx(-0.02 / np.log(0.99), rel=1e-4)
    assert found["time_constant"][1] == pytest.approx(-0.02 / np.log(0.6), rel=1e-4)
    assert np.isnan(found["rotation"]).all()  # nothing turns
    assert found["settled"][1].tolist() == [1, 1, 1] and (found["least_speed"] <= 1e-9).all()
    assert found["eigenvalues"][1, 0, 0] == pytest.approx([0.6, 0.0], abs=1e-6)
    assert found["contrast"] == pytest.approx(np.log10(np.log(0.6) / np.log(0.99)), rel=1e-4)
    # Shuffling weights that are all 0 changes nothing: the null has the same slow core, and the claim stays open.
    judged = judge_fixed_points(found)
    assert len(judged) == 1 and judged[0].verdict == "undecided" and judged[0].null_value == pytest.approx(judged[0].value, rel=1e-4)


def test_a_core_slow_through_its_connections_is_told_from_shuffled_ones() -> None:
    """One pattern feeds itself: the forget gates hold 0.5, the loop makes it slower. Shuffled, no pattern feeds itself as much."""
    found = looked_at(layer("core", 0.5, recurrent=1.9, cell=0.0), layer("policy0", 0.5, recurrent=0.1, cell=0.02))
    # At rest c = h = 0: c after = 0.5 c + 0.5 tanh(1.9 h), h after = 0.5 tanh(c after); on (h, c) that is one mode of 0.5 + 0.25 * 1.9.
    assert found["time_constant"][0, 0] == pytest.approx(-0.02 / np.log(0.5 + 0.25 * 1.9), rel=1e-3)
    judged = judge_fixed_points(found)[0]
    assert judged.value > judged.null_value > -0.5 and judged.p_value < 0.05
    assert judged.verdict == "reproduced" and "no fixed points" in judged.remark


def test_modes_of_full_cells_count_for_no_time_constant() -> None:
    """Cells at rest at 5 hardly move their outputs: what fades slowly in them is not seen, and nothing else lasts."""
    found = looked_at(layer("core", 0.99, cell=0.1), layer("policy0", 0.6))
    assert (found["num_stable"] == 1).all() and np.isnan(found["time_constant"][0]).all() and np.isfinite(found["time_constant"][1]).all()


def test_a_layer_without_fixed_points_is_said() -> None:
    found = looked_at(layer("core", 1 - 1e-16, cell=0.5), layer("policy0", 0.6))
    assert (found["num_points"][0] == 0).all() and np.isnan(found["time_constant"][0]).all()
    # The cells grow for ever; the outputs, long full, have come to rest.
    assert (found["settled"][0] == 1).all() and (found["least_speed"][0] > 0.1).all()
    assert any(note.startswith("core: no fixed point was found in task:gaps, task:two_tap, run") for note in found.notes)
    judged = judge_fixed_points(found)[0]
    assert judged.verdict == "undecided" and "fewer than two tasks" in judged.remark


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, other = (looked_at(layer("core", 0.9, recurrent=0.4), layer("policy0", 0.6)) for _ in range(2))
    assert all(one[name].tobytes() == other[name].tobytes() for name in one.arrays)


def test_without_weights_or_with_those_of_other_sessions_it_is_refused() -> None:
    data = world(layer("core", 0.9))
    with pytest.raises(AnalysisError, match="--agent AGENT"):
        fixed_point_table(dataclasses.replace(data, network=None), CONFIG, np.random.default_rng(0), lambda: None)
    strange = network_result([layer("core", 0.9)], ("another",), "{}")
    with pytest.raises(AnalysisError, match="go with other sessions"):
        fixed_point_table(dataclasses.replace(data, network=strange), CONFIG, np.random.default_rng(0), lambda: None)


@pytest.mark.parametrize(("changes", "says"), [({"starts": 0}, "starts must lie"), ({"seconds": 0.0}, "seconds must be at least")])
def test_impossible_settings_are_refused(changes, says: str) -> None:
    with pytest.raises(AnalysisError, match=says):
        FixedPointConfig(**changes)
