"""`vrodent report`: from a study's sessions and results to its page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vrodent.config import UsageError
from vrodent.report import write_report


@dataclass(frozen=True, kw_only=True)
class Command:
    """Make one self-contained web page of a study: its videos, trials, figures, methods and where everything comes from.

    STUDY holds `sessions/` (folders that `vrodent record` made) and `results/` (what `vrodent analyze` made of them).

    example: vrodent report study --out study/report.html
    """

    study: Annotated[Path, tyro.conf.Positional]
    """Folder of the study."""
    out: Path | None = None
    """The page; STUDY/report.html unless given."""
    json: bool = False
    """Print where the page is as one JSON object."""

    def run(self) -> int:
        """Make the page and say where it is.

        Raises:
            UsageError: there is no such folder.
        """
        if not self.study.is_dir():
            raise UsageError(f"there is no folder {self.study}. Make a study with: vrodent study --out {self.study}")
        page = write_report(self.study, self.out)
        print(json.dumps({"page": str(page), "bytes": page.stat().st_size}) if self.json else f"page: {page.resolve()}")
        return 0
