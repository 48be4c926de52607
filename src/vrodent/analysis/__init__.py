"""Sessions in, arrays and tables out. Imports neither JAX nor MuJoCo.

    session = load_session("sessions/four-tasks-bowl")
    analyze([Path("sessions/four-tasks-bowl"), Path("sessions/four-tasks-gaps")], Path("results"), AnalysisConfig(seed=0))
    spectra = load_results(Path("results"))["spectra"]
"""

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.cka import cka, cka_over_trials
from vrodent.analysis.encoding import EncodingConfig
from vrodent.analysis.errors import SessionError
from vrodent.analysis.features import FeatureConfig
from vrodent.analysis.pipeline import AnalysisConfig, analyze
from vrodent.analysis.progress import Step, silent, to_stderr
from vrodent.analysis.reader import load_session
from vrodent.analysis.result import Quantity, Result, ResultError, load_results
from vrodent.analysis.session import Events, Series, Session, Trials

__all__ = [
    "AnalysisConfig",
    "AnalysisError",
    "EncodingConfig",
    "Events",
    "FeatureConfig",
    "Quantity",
    "Result",
    "ResultError",
    "Series",
    "Session",
    "SessionError",
    "Step",
    "Trials",
    "analyze",
    "cka",
    "cka_over_trials",
    "load_results",
    "load_session",
    "silent",
    "to_stderr",
]
