"""The command line: `vrodent COMMAND ...`. Finds the command, parses its options with tyro, runs it, and turns known errors into
messages.

A command is a module of `vrodent.commands` with a dataclass `Command` (its fields are the options) and a method `run`. Modules are
imported when their command is named, so that help is fast and a missing optional piece breaks nothing else.

Exit status: 0 done, 1 a check failed or the program is at fault (then with a traceback), 2 the input was wrong, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from vrodent.config import UsageError
from vrodent.version import __version__

COMMANDS = {
    "doctor": "say what works on this machine, and how to mend what does not",
    "bench": "measure how fast the tasks run here, beside dm_control's original",
    "record": "run an agent through trials of a task and write a session (NWB)",
    "analyze": "analyse recorded sessions: spectra of units, similarity of layers and behaviour",
    "perturb": "silence or drive an agent's units in closed loop, and compare it with itself intact",
    "report": "make one web page of sessions and analyses",
    "evaluate": "score an agent in the four tasks",
    "teach": "train a privileged teacher, for students to be kickstarted from",
    "look": "teach an agent's eyes where orbs are, before it is taught to act",
    "equip": "exchange one of an agent's skills for a teacher's network",
    "train": "train an agent, by a preset",
    "study": "record, analyse and report, in one go",
}
"""Name and summary of every command, in the order that help lists them."""


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vrodent COMMAND [options]        vrodent COMMAND --help tells more, with an example",
            "",
            "A virtual-rodent laboratory: a simulated rat in four tasks, recorded and analysed.",
            "",
            *lines,
            "",
            "example: vrodent study --quick --out study",
        ]
    )


def _is_input_error(error: BaseException) -> bool:
    """Whether the message alone tells a person what to do: files, and errors that this package defines."""
    return isinstance(error, UsageError | OSError) or type(error).__module__.startswith("vrodent.")


def _run(name: str, arguments: Sequence[str]) -> int:
    import tyro

    module = importlib.import_module(f"vrodent.commands.{name}")
    style: tuple[Any, ...] = (tyro.conf.FlagCreatePairsOff, tyro.conf.CascadeSubcommandArgs)
    if not getattr(module, "PREFIXES", False):  # settings of many parts, where a name may come twice, keep their part's name before theirs
        style = (tyro.conf.OmitArgPrefixes, *style)
    command = module.Command
    parsed = tyro.cli(command, prog=f"vrodent {name}", args=list(arguments), config=style)
    return int(parsed.run() or 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `vrodent`; those of this process when None.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"vrodent {__version__}")
        return 0
    name, *rest = words
    if name not in COMMANDS:
        print(f"vrodent: there is no command {name!r}; there are {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    try:
        return _run(name, rest)
    except KeyboardInterrupt:
        print("vrodent: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output, `head` for one, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("VRODENT_TRACEBACK") or not _is_input_error(error):
            raise
        print(f"vrodent {name}: {error}", file=sys.stderr)
        return 2
