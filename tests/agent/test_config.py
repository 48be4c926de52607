from __future__ import annotations

import dataclasses
import json

import pytest

from vrodent.agent import AgentConfig, layer_names, layer_sizes, unit_ids


def test_json_round_trip_is_equal() -> None:
    config = AgentConfig(num_policy_layers=2, image_channels=(8, 8), image_blocks=(1, 0), skip=False, action_scale=1.0)
    assert AgentConfig.from_json(config.to_json()) == config
    assert hash(AgentConfig.from_json(config.to_json())) == hash(config)


def test_json_of_another_schema_is_refused_by_field_name() -> None:
    fields = json.loads(AgentConfig().to_json())
    del fields["skip"]
    fields["dropout"] = 0.1
    with pytest.raises(ValueError, match=r"unknown fields \['dropout'\] and missing fields \['skip'\]"):
        AgentConfig.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("field", "value"),
    [("core_size", 12.5), ("core_size", "12"), ("core_size", True), ("skip", 1), ("image_channels", [1.5]), ("max_std", "1")],
)
def test_json_of_a_wrong_type_is_refused(field: str, value: object) -> None:
    fields = json.loads(AgentConfig().to_json()) | {field: value}
    with pytest.raises(ValueError, match=field):
        AgentConfig.from_dict(fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_policy_layers": 4}, "not 4"),
        ({"core_size": 0}, "core_size must be at least 1, not 0"),
        ({"image_blocks": (1,)}, "image_blocks"),
        ({"image_stem": 6}, "24 times"),
        ({"action_scale": 0.0}, "action_scale"),
        ({"min_std": 0.5}, "min_std"),
    ],
)
def test_bad_values_are_named(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(AgentConfig(), **change)


def test_units_are_named_in_the_order_of_flow() -> None:
    config = AgentConfig(num_policy_layers=2, core_size=3, policy_size=2)
    assert layer_names(config) == ("core", "policy0", "policy1")
    assert layer_sizes(config) == {"core": 3, "policy0": 2, "policy1": 2}
    assert unit_ids(config) == ("core:0", "core:1", "core:2", "policy0:0", "policy0:1", "policy1:0", "policy1:1")
