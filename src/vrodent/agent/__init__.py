"""The agent: arrays and memory in, action and new memory out. Pure; knows no simulator."""

from vrodent.agent.baselines import Actor, BaselineOutput, RandomAgent, StandingAgent
from vrodent.agent.benchmark import AgentThroughput, benchmark_agent
from vrodent.agent.config import AgentConfig
from vrodent.agent.encoders import image_encoder_flops
from vrodent.agent.memory import LSTMMemory, Memory, forget, layer_names, layer_sizes, unit_ids
from vrodent.agent.motor import Command
from vrodent.agent.network import ActorOutput, Agent, Observation, Perturbation, UnrollOutput, learned, num_parameters
from vrodent.agent.perturbation import Clamp, clamp
from vrodent.agent.precision import Precision, in_precision

__all__ = [
    "Actor",
    "ActorOutput",
    "Agent",
    "AgentConfig",
    "AgentThroughput",
    "BaselineOutput",
    "Clamp",
    "Command",
    "LSTMMemory",
    "Memory",
    "Observation",
    "Perturbation",
    "Precision",
    "RandomAgent",
    "StandingAgent",
    "UnrollOutput",
    "benchmark_agent",
    "clamp",
    "forget",
    "image_encoder_flops",
    "in_precision",
    "layer_names",
    "layer_sizes",
    "learned",
    "num_parameters",
    "unit_ids",
]
