"""Perturbation experiments in closed loop: rank an agent's units in a recorded session, silence or drive them, keep what came of it.

config = PerturbConfig(task="two_tap", event="first_tap", trials=10)
path = perturb(agent, load_session("sessions/four-tasks-two_tap"), config, Path("perturbed"), lineage=lineage)
result = Result.load(path)
"""

from vrodent.experiment.plan import PREFERRED, SUCCESS, PerturbConfig, Plan, check_session, plan, resolved
from vrodent.experiment.run import add_to_study, perturb

__all__ = ["PREFERRED", "SUCCESS", "PerturbConfig", "Plan", "add_to_study", "check_session", "perturb", "plan", "resolved"]
