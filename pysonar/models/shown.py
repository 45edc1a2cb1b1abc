"""A linear model as a notebook shows it: how good it is, and its largest coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from pysonar.models.base import Portable
from sonar.families.quadratic.slopes import Slope
from sonar.telling.figures import in_words, plain
from sonar.telling.text import printable

MOST = 40
_CELL = 'style="text-align:left"'


def html_of(model: Portable, slopes: Mapping[str, Slope]) -> str:
    """Return a model as HTML: a line, and a table of up to `MOST` coefficients with their ranges."""
    what = f"{', '.join(model.targets)} from {', '.join(model.features)}"
    told = f"<div><b>{_safe(what)}</b></div><div>{_safe(in_words(model.figures))}</div>"
    shown = list(slopes.items())[:MOST]
    rows = "".join(
        f"<tr><td {_CELL}>{_safe(name)}</td><td>{plain(slope.per_unit, 5)}</td><td>{_range(slope)}</td></tr>"
        for name, slope in shown
    )
    more = f"<div>and {len(slopes) - MOST} more: model.coefficients</div>" if len(slopes) > MOST else ""
    heads = f"<tr><th {_CELL}>column</th><th>per unit</th><th>range</th></tr>"
    return f"{told}<table>{heads}{rows}</table>{more}"


def _range(slope: Slope) -> str:
    return f"{plain(slope.low, 4)} to {plain(slope.high, 4)}" if slope.bounded else ""


def _safe(text: str) -> str:
    return escape(printable(text)).replace("\n", "<br>")
