"""What a page is made of, and what a section of it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from vrodent.analysis import Result
from vrodent.report.clips import ClipConfig
from vrodent.report.markup import tag
from vrodent.report.origin import Origin


@dataclass(frozen=True, kw_only=True, eq=False)
class Page:
    """What the page is made of.

    Attributes:
        results: by name.
        sessions: folder of the session folders, for their videos.
        clips: how videos are shrunk.
    """

    results: Mapping[str, Result]
    sessions: Path
    clips: ClipConfig

    @property
    def agent(self) -> str:
        """Name of the agent."""
        return str(self.results["sessions"]["agent"][0])

    @property
    def title(self) -> str:
        """Title of the page."""
        return f"vrodent study: {self.agent}"

    @property
    def origin(self) -> Origin:
        """Where the agent comes from."""
        return Origin.of(str(self.results["sessions"]["lineage"][0]))


Paragraphs = Sequence[tuple[str, str]]
"""Title and plain text of each."""


def no_methods(page: Page) -> Paragraphs:
    """Of a section that computes nothing."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the page.

    Attributes:
        key: its anchor is `section-KEY`; findings name it.
        title: its heading.
        show: makes its HTML; called only if every result of `needs` is there and present.
        needs: names of results. Without one of them the section is left out; with one that is absent its reasons are shown instead.
        methods: paragraphs for the methods.
    """

    key: str
    title: str
    show: Callable[[Page], str]
    needs: tuple[str, ...] = ()
    methods: Callable[[Page], Paragraphs] = no_methods

    def on(self, page: Page) -> bool:
        """Whether the page has it."""
        return all(name in page.results for name in self.needs)

    def content(self, page: Page) -> str:
        """Its HTML, or why there is nothing to show."""
        reasons = [note for name in self.needs if not page.results[name].present for note in page.results[name].notes]
        if any(not page.results[name].present for name in self.needs):
            return tag("p", "Not measured: " + escape(" ".join(reasons)), class_="text")
        return self.show(page)
