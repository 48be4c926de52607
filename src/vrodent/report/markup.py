"""Small pieces of HTML. Everything that comes from data is escaped here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from math import floor, isfinite, log10


def tag(name: str, content: str = "", /, **attributes: str) -> str:
    """An element; `content` is HTML already, attribute values are escaped. `class_` becomes `class`, `data_x` becomes `data-x`."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{content}</{name}>"


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, an em dash where there is none."""
    if not isfinite(value):
        return "—"
    if value == 0:
        return "0"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}".replace(",", "\u202f").replace("-", "\u2212")
    return f"{value:#.{digits}g}".rstrip(".").replace("-", "\u2212")


def p_value(value: float) -> str:
    """A p-value as it is written in a text."""
    if not isfinite(value):
        return "—"
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def estimate(value: float, low: float, high: float) -> tuple[str, str]:
    """A value and its interval, written to the place at which the interval's width has two digits."""
    width = high - low
    if not isfinite(width):
        return number(value), "—"
    places = max(0, 1 - floor(log10(width))) if width > 0 else 2
    # Adding 0 after rounding leaves no minus before a zero.
    rounded = (round(x, places) + 0.0 for x in (value, low, high))
    value_, low_, high_ = (f"{x:,.{places}f}".replace(",", "\u202f").replace("-", "\u2212") for x in rounded)
    return value_, f"{low_} to {high_}"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, numeric: Sequence[int] = (), id_: str = "",
    links: Sequence[str] = (), stacked: bool = False,
) -> str:  # fmt: skip
    """A table in a box that scrolls by itself. Cells are escaped; columns in `numeric` are set flush right.

    Args:
        columns: headings.
        rows: cells, the first of each row names it.
        caption: what the table shows.
        numeric: indices of number columns.
        id_: element id, for links to it.
        links: where each row's first cell leads; "" or () for no link.
        stacked: in a narrow window every row becomes a list of its cells, each under the name of its column.
    """
    kind = ["number" if i in numeric else "" for i in range(len(columns))]
    head = "".join(tag("th", escape(name), scope="col", **_class(kind[i])) for i, name in enumerate(columns))
    labels = list(columns) if stacked else []
    body = "".join(_row(row, kind, links[i] if links else "", labels) for i, row in enumerate(rows))
    identity = ({"id": id_} if id_ else {}) | ({"class_": "stacked"} if stacked else {})
    whole = tag("table", tag("caption", escape(caption)) + tag("thead", tag("tr", head)) + tag("tbody", body), **identity)
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _row(row: Sequence[str], kind: Sequence[str], link: str, labels: Sequence[str]) -> str:
    first = tag("a", escape(row[0]), href=link) if link else escape(row[0])
    label = [{"data_label": name} for name in labels] or [{}] * len(row)
    rest = "".join(tag("td", escape(cell), **_class(kind[i]), **label[i]) for i, cell in enumerate(row) if i)
    return tag("tr", tag("th", first, scope="row", **_class(kind[0])) + rest)


def _class(kind: str) -> dict[str, str]:
    return {"class_": kind} if kind else {}


def numbers_behind(summary: str, tables: str) -> str:
    """Tables folded away under a summary line."""
    return tag("details", tag("summary", escape(summary)) + tables)


def embedded_json(value: object) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\!--")
