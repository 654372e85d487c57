"""A report as one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;
color:#222;background:#fff}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:#555}
.grid{stroke:#ddd;stroke-width:1;fill:none}.band{fill:#f5b700;fill-opacity:.18}
svg.round{max-width:700px;margin:auto}
table{border-collapse:collapse}td,th{padding:.15em 1em .15em 0;text-align:left}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.legend span{margin-right:1.2em;white-space:nowrap}
.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.35em}
.bad{color:#b00}pre{overflow:auto;background:#f5f5f5;padding:1em}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}.grid{stroke:#444}
svg text{fill:#aaa}pre{background:#222}}
"""


def page(title: str, body: Iterable[str]) -> str:
    """The whole file; ``body`` is HTML, piece by piece."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        "<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_right: bool = True) -> str:
    """A table; cells that begin with a digit stand to the right, unless that is not wanted."""
    made = ["<table>"]
    if head:
        made.append("<tr>" + "".join(_cell("th", each, numbers_right) for each in head) + "</tr>")
    made += [
        "<tr>" + "".join(_cell("td", each, numbers_right) for each in row) + "</tr>" for row in rows
    ]
    return "".join(made) + "</table>"


def _cell(tag: str, text: str, numbers_right: bool) -> str:
    is_number = text[:1].isdigit() or text.endswith("ms")
    number = ' class="n"' if numbers_right and is_number else ""
    return f"<{tag}{number}>{escape(text)}</{tag}>"
