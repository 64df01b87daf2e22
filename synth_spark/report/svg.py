"""Small pictures as inline SVG: tracks, bars, curves, heat maps. Colours come from the page's CSS.

Every function returns markup that scales with its container and carries a text for readers who do
not see it. Nothing here asks the network for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from markupsafe import Markup

Series = tuple[str, Sequence[float]]  # CSS class and values


def _svg(width: float, height: float, said: str, body: str, kind: str = "") -> Markup:
    # a small table must not be blown up to the width of the page
    most = f' style="max-width:{width:g}px"' if kind.startswith(("matrix", "heat")) else ""
    head = f'<svg class="pic {kind}" viewBox="0 0 {width:g} {height:g}"{most} role="img"'
    return Markup(f'{head} aria-label="{escape(said, quote=True)}">{body}</svg>')


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {where}>{escape(text)}</text>'


def _rect(
    box: tuple[float, float, float, float], kind: str, title: str = "", more: str = ""
) -> str:
    x, y, w, h = box
    tip = f"<title>{escape(title)}</title>" if title else ""
    size = f'x="{x:.2f}" y="{y:.2f}" width="{max(w, 0):.2f}" height="{max(h, 0):.2f}"'
    return f'<rect class="{kind}" {size} {more}>{tip}</rect>'


def cut(text: str, most: int) -> str:
    """A label of at most `most` characters.

    Example:
        >>> cut("Electronic check", 8)
        'Electro…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


# ---- one number between independence and floor --------------------------------------------------


def track(
    value: float | None, floor: float | None, alone: float | None, best: float, worst: float
) -> Markup:
    """A line on which right is better: hollow ring independence, tick floor, dot synthetic."""
    known = [x for x in (value, floor, alone) if x is not None]
    if not known:
        return Markup("")
    width, pad = 220.0, 9.0
    far = min(known) if best > worst else max(known)
    reach = max(abs(best - far) * 1.06, abs(best - worst) / 20)  # a tiny difference stays tiny

    def at(x: float) -> float:
        return pad + (width - 2 * pad) * (1 - min(abs(best - x) / reach, 1.0))

    body = f'<line class="rail" x1="{pad}" x2="{width - pad}" y1="11" y2="11"/>'
    if alone is not None:
        body += f'<circle class="alone" cx="{at(alone):.1f}" cy="11" r="4.5"/>'
    if floor is not None:
        body += f'<line class="floor" x1="{at(floor):.1f}" x2="{at(floor):.1f}" y1="2" y2="20"/>'
    if value is not None:
        body += f'<circle class="synth" cx="{at(value):.1f}" cy="11" r="5.5"/>'
    words = {"synthetic": value, "floor": floor, "independent": alone}
    said = ", ".join(f"{k} {v:.3f}" for k, v in words.items() if v is not None)
    return _svg(width, 22, said, body, "track")


# ---- shares of bins -----------------------------------------------------------------------------


def bars(
    names: Sequence[str], real: Sequence[float], synthetic: Sequence[float], said: str
) -> Markup:
    """A broad grey bar for the real share of each bin, a slim blue one for the synthetic share."""
    shown = [i for i in range(len(names)) if real[i] > 0 or synthetic[i] > 0]
    top = max([*(real[i] for i in shown), *(synthetic[i] for i in shown), 1e-9])
    row, left, width = 17.0, 104.0, 300.0
    scale, body = (width - left - 42) / top, ""
    for place, i in enumerate(shown):
        y = place * row + 2
        title = f"{names[i]}: real {real[i]:.1%}, synthetic {synthetic[i]:.1%}"
        body += _text(left - 6, y + 10.5, cut(names[i], 17), "label", "end")
        body += _rect((left, y, real[i] * scale, 13), "realbar", title)
        body += _rect((left, y + 4, synthetic[i] * scale, 5), "synthbar", title)
        end = left + max(real[i], synthetic[i]) * scale + 4
        body += _text(end, y + 10.5, f"{synthetic[i]:.1%}", "figure")
    return _svg(width, max(len(shown), 1) * row + 4, said, body, "bars")


# ---- curves -------------------------------------------------------------------------------------


def curves(
    area: Sequence[float], lines: Sequence[Series], ticks: Sequence[tuple[float, str]], said: str
) -> Markup:
    """A grey area for the real records and lines over it; `ticks` in positions along the values."""
    width, height, foot = 640.0, 190.0, 24.0
    count = max(len(area) - 1, 1)
    seen = [max(values) for kind, values in lines if kind != "alone"]
    top = max([*area, *seen, 1e-9]) * 1.15  # a spike of independence must not flatten the rest

    def point(i: int, v: float) -> str:
        return f"{width * i / count:.1f},{(height - foot) * (1 - min(v / top, 1.0)):.1f}"

    base = height - foot
    body = ""
    for place, name in ticks:
        x = width * place / count
        body += f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{base}"/>'
        anchor = "start" if x < width * 0.96 else "end"
        body += _text(x + (3 if anchor == "start" else -2), height - 6, name, "label", anchor)
    path = " ".join(point(i, v) for i, v in enumerate(area))
    body += f'<polygon class="realarea" points="0,{base} {path} {width},{base}"/>'
    for kind, values in lines:
        path = " ".join(point(i, v) for i, v in enumerate(values))
        body += f'<polyline class="line {kind}" points="{path}"/>'
    body += f'<line class="axis" x1="0" x2="{width}" y1="{base}" y2="{base}"/>'
    return _svg(width, height, said, body, "curves")


# ---- heat maps ----------------------------------------------------------------------------------


def heat(
    names: Sequence[str], cells: dict[tuple[int, int], tuple[float, str]], span: float, said: str
) -> Markup:
    """A triangle of pairs: blue where synthetic beats the floor, orange where it falls short.

    Args:
        names: Of rows and columns.
        cells: (row, column) -> (difference, title).
        span: The difference at which a colour is full.
        said: For readers who do not see the picture.
    """
    n, left = len(names), 150.0
    side = min(30.0, (640.0 - left) / max(n, 1))
    size = min(11.0, side * 0.85)
    kind_of_map = "heat roomy" if side >= 17 else "heat"
    tall = [len(cut(name, 18)) * size * 0.47 - i * side for i, name in enumerate(names)]
    head, body = max([*tall, 0.0]), ""
    for i, name in enumerate(names):
        y = head + i * side + side / 2 + size * 0.35
        label = _text(left - 6, y, cut(name, 18), "label", "end")
        body += f'<g style="font-size:{size:.1f}px">{label}</g>'
        for j in range(i):
            if (i, j) not in cells:
                continue
            gap, title = cells[i, j]
            kind = "over" if gap >= 0 else "under"
            more = f'style="fill-opacity:{min(abs(gap) / span, 1.0):.2f}"'
            box = (left + j * side, head + i * side, side - 1, side - 1)
            body += _rect(box, "blank")
            body += _rect(box, kind, title, more)
        x = left + i * side + side / 2
        y = head + i * side + side - 4
        turn = f'transform="rotate(-50 {x:.1f} {y:.1f})" style="font-size:{size:.1f}px"'
        body += f"<g {turn}>{_text(x, y, cut(name, 18), 'label')}</g>"
    return _svg(left + n * side + 70, head + n * side + 4, said, body, kind_of_map)


def matrix(names: Sequence[str], table: Sequence[Sequence[float]], said: str) -> Markup:
    """A table of shares as squares, darker where the share is larger; rows add up to at most 1."""
    n, left, side, head = len(names), 74.0, 30.0, 58.0
    body = ""
    for i, name in enumerate(names):
        body += _text(left - 5, head + i * side + 19, cut(name, 11), "label", "end")
        x = left + i * side + side / 2 + 3
        turn = f'transform="rotate(-50 {x:.1f} {head - 5})"'
        body += f"<g {turn}>{_text(x, head - 5, cut(name, 11), 'label')}</g>"
        for j in range(n):
            share = table[i][j]
            title = f"{name} → {names[j]}: {share:.1%}"
            place = (left + j * side, head + i * side, side - 1, side - 1)
            body += _rect(place, "blank")
            body += _rect(place, "shade", title, f'style="fill-opacity:{share**0.7:.3f}"')
    return _svg(left + n * side + 40, head + n * side + 2, said, body, "matrix")


def stack(parts: Sequence[tuple[str, str, int]]) -> Markup:
    """One bar of counts that add up: (CSS class, word, count)."""
    total = max(sum(n for _, _, n in parts), 1)
    x, body = 0.0, ""
    for kind, word, count in parts:
        w = 640.0 * count / total
        body += _rect((x, 0, w, 18), kind, f"{word}: {count:,}")
        x += w
    said = ", ".join(f"{word} {count:,}" for _, word, count in parts)
    return _svg(640, 18, said, body, "stack")
