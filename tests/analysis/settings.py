"""Settings that make every analysis quick, for tests that are not about its answer."""

from __future__ import annotations

import dataclasses

from vrodent.analysis import AnalysisConfig
from vrodent.analysis.dynamics_tables import DynamicsConfig
from vrodent.analysis.sequence_tables import SequenceConfig


def quick(config: AnalysisConfig) -> AnalysisConfig:
    """The same with few draws and few frames in the analyses beside spectra and encoding."""
    return dataclasses.replace(
        config,
        sequences=SequenceConfig(num_null=9, most_events=40),
        dynamics=DynamicsConfig(num_null=9, most_conditions=8),
    )
