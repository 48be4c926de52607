"""Teachers: privileged experts, learned off-policy in training physics, from which the camera-and-LSTM student is kickstarted.

A teacher feels the rat's own senses and, beside them, what no animal of ours is ever shown: where to go and how fast, the height of the
ground around it, where the orb is and how long ago it was tapped.
"""

from vrodent.training.teachers.network import Teacher, TeacherConfig
from vrodent.training.teachers.sac import SacConfig, SacLearner, SacVariables
from vrodent.training.teachers.transitions import TransitionReplay, Transitions

__all__ = ["SacConfig", "SacLearner", "SacVariables", "Teacher", "TeacherConfig", "TransitionReplay", "Transitions"]
