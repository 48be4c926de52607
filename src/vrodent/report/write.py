"""The page: one HTML file that holds everything it shows."""

from __future__ import annotations

import contextlib
import os
from html import escape
from importlib import resources
from pathlib import Path

from plotly.offline import get_plotlyjs

from vrodent.analysis import Result, ResultError, load_results
from vrodent.report.clips import ClipConfig
from vrodent.report.contents import Page
from vrodent.report.errors import ReportError
from vrodent.report.markup import tag
from vrodent.report.sections import body

MOST_BYTES = 40_000_000
_NEEDED = ("sessions", "spectra", "encoding", "findings")


def write_report(study: Path, out: Path | None = None, *, clips: ClipConfig | None = None) -> Path:
    """Make the page of a study.

    Args:
        study: folder with `results/` as `vrodent.analysis.analyze` writes it and `sessions/` with the recorded sessions and their videos.
        out: the page; `study/report.html` by default.
        clips: how videos are shrunk.

    Returns:
        Path of the page.

    Raises:
        ReportError: results are missing or damaged, a video cannot be read, the page would pass 40 MB, or it cannot be written.
    """
    study = Path(study)
    out = Path(out) if out else study / "report.html"
    results = _results(study)
    page = Page(results=results, sessions=study / "sessions", clips=clips or ClipConfig())
    html = _document(page).encode()
    if len(html) > MOST_BYTES:
        raise ReportError(
            f"The page would have {len(html) / 1e6:.0f} MB, more than {MOST_BYTES / 1e6:.0f}; make the clips shorter (ClipConfig.seconds)."
        )
    _write(out, html)
    return out


def _results(study: Path) -> dict[str, Result]:
    try:
        results = load_results(study / "results")
    except ResultError as error:
        raise ReportError(str(error)) from error
    missing = [name for name in _NEEDED if name not in results]
    if missing:
        raise ReportError(f"{study / 'results'} lacks {', '.join(missing)}; run the analysis again: vrodent analyze.")
    return results


def _document(page: Page) -> str:
    style, script = (
        resources.files("vrodent.report").joinpath("page", name).read_text(encoding="utf-8") for name in ("style.css", "script.js")
    )
    content = body(page)
    head = "".join([
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        tag("title", escape(page.title)),
        tag("style", style),
    ])  # fmt: skip
    scripts = tag("script", get_plotlyjs().replace("</script", "<\\/script")) + tag("script", script)
    return f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body>{content}{scripts}</body>\n</html>\n'


def _write(out: Path, html: bytes) -> None:
    temporary = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(html)
        temporary.replace(out)
    except OSError as error:
        raise ReportError(f"The page cannot be written to {out}: {error}. Choose another place or make room.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
