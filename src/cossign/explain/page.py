"""The pieces of a page that stands alone: no script, no font and no picture from anywhere.

All texts are masked already, and are escaped here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from cossign.explain.alignment import Row, make_visible, rows
from cossign.explain.findings import SURENESS, Finding, Step

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --box: #f6f8fa;
  --bad: #b42318; --good: #1a7f37; --unsure: #8a5a00; --mark: #ffd8b5; --mark-text: #5c2300; }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3; --soft: #9198a1; --line: #30363d;
  --box: #161b22; --bad: #ff8177; --good: #4ac26b; --unsure: #e3b341; --mark: #7a3b00; --mark-text: #ffe7d1; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 3rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; line-height: 1.3; margin: 0 0 1rem; } h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
.bad { color: var(--bad); } .good { color: var(--good); } .unsure { color: var(--unsure); }
code, pre { font: 13px/1.6 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { margin: 0; padding: .6rem .8rem; background: var(--box); border: 1px solid var(--line); border-radius: 6px;
  overflow-x: auto; white-space: pre; }
pre.wraps { white-space: pre-wrap; }
.cause { border-left: 4px solid currentColor; padding: .1rem 0 .1rem .9rem; margin: 1rem 0; }
.cause > * { color: var(--text); margin: .3rem 0; } .cause .code { color: inherit; font-weight: 600; }
.soft { color: var(--soft); font-size: .9rem; }
mark { background: var(--mark); color: var(--mark-text); border-radius: 2px; }
.side { color: var(--soft); user-select: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
"""


def document(headline: str, kind: str, parts: Iterable[str]) -> str:
    """The page: a headline, painted as "good", "bad" or "unsure", and its parts."""
    lines = [
        "<!DOCTYPE html>", '<html lang="en">', '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(headline)}</title>", f"<style>{_STYLE}</style>", f'<h1 class="{kind}">{escape(headline)}</h1>',
        *parts,
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def box(text: str) -> str:
    """Text as it is written, in a box."""
    return f'<pre class="wraps">{escape(text)}</pre>'


def note(text: str) -> str:
    """A remark in small letters."""
    return f'<p class="soft">{escape(text)}</p>'


def bullets(title: str, texts: Sequence[str]) -> Iterator[str]:
    """A list, if there is anything in it."""
    if texts:
        yield f"<h2>{escape(title)}</h2><ul>{''.join(f'<li>{escape(each)}</li>' for each in texts)}</ul>"


def table(title: str, entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Names and values, if there are any."""
    if entries:
        cells = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in entries)
        yield f"<h2>{escape(title)}</h2><dl>{cells}</dl>"


def findings(title: str, entries: Sequence[Finding]) -> str:
    """A list of causes that are not known to be."""
    items = [f"<li><code>{each.cause.code}</code>: {escape(make_visible(each.detail))}</li>" for each in entries]
    return "\n".join([f"<h2>{escape(title)}</h2><ol>", *items, "</ol>"])


def finding(each: Finding) -> str:
    """A cause, as it is known to be."""
    return (
        f'<section class="cause bad"><p class="code">{escape(each.cause.code)}</p>'
        f"<p>{escape(make_visible(each.detail))}</p>"
        f'<p class="soft">{escape(SURENESS[each.sureness])}</p><p>{escape(each.cause.why)}</p>'
        f'<pre class="wraps">{escape(each.cause.fix)}</pre></section>'
    )


def steps(all_steps: Sequence[Step]) -> Iterator[str]:
    """The signature's steps, each in a box."""
    lines_by_step: dict[str, list[str]] = {}
    for row in rows(all_steps):
        lines_by_step.setdefault(row.step, []).append(_row(row))
    for name, lines in lines_by_step.items():
        text = "\n".join(lines)
        yield f"<h2>{escape(name)}</h2>\n<pre>{text}</pre>"


def _row(row: Row) -> str:
    name = f'<span class="side">{escape(row.line)}</span>\n' if row.line else ""
    if row.sides == 1:
        text = escape("".join(one for one, _, _ in row.pieces))
        return name + (text or '<span class="side">(empty)</span>')
    sides = [f'<span class="side">{label:<9}</span>' for label in row.labels]
    for one, other, differs in row.pieces:
        size = max(len(one), len(other))
        for side, piece in enumerate((one, other)):
            cell = escape(piece) + " " * (size - len(piece))
            sides[side] += f"<mark>{cell}</mark>" if differs else cell
    return name + "\n".join(sides)
