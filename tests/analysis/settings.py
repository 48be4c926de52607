"""Settings that make every analysis quick, for tests that are not about its answer."""

from __future__ import annotations

import dataclasses

from vrodent.analysis import AnalysisConfig
from vrodent.analysis.behaviour import BehaviourConfig
from vrodent.analysis.behaviour_map import MapConfig
from vrodent.analysis.decoding import DecodingConfig
from vrodent.analysis.dynamics_tables import DynamicsConfig
from vrodent.analysis.fixed_point_tables import FixedPointConfig
from vrodent.analysis.rsa import RsaConfig
from vrodent.analysis.sequence_tables import SequenceConfig
from vrodent.analysis.sharing_tables import SharingConfig
from vrodent.analysis.task_overlap import OverlapConfig
from vrodent.analysis.timing import TimingConfig


def quick(config: AnalysisConfig) -> AnalysisConfig:
    """The same with few draws and few frames in the analyses beside spectra and encoding."""
    return dataclasses.replace(
        config,
        behaviour=BehaviourConfig(
            map=MapConfig(sample=150, iterations=100, perplexity=10, placing=20, grid=64, num_null=9, null_sample=100)
        ),
        sequences=SequenceConfig(num_null=9, most_events=40),
        dynamics=DynamicsConfig(num_null=9, most_conditions=8),
        fixed_points=FixedPointConfig(starts=3, seconds=2.0, longest=2.0, num_null=9),
        rsa=RsaConfig(num_clusters=12, num_null=9),
        decoding=DecodingConfig(num_null=9),
        sharing=SharingConfig(num_null=9),
        overlap=OverlapConfig(num_null=9, frames=20),
        timing=TimingConfig(num_null=9),
    )
