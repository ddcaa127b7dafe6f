"""An explanation as a page that stands alone: no script, no font and no picture from anywhere."""

from __future__ import annotations

from html import escape

from cossign.explain.catalogue import SURENESS
from cossign.explain.findings import Finding, Findings, instant
from cossign.explain.report import (
    STEPS_INTRODUCTION,
    Row,
    make_visible,
    other_lists,
    rows,
    time_left,
    verdict,
    verdict_kind,
)

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


def html(explanation: Findings) -> str:
    """The page.

    Args:
        explanation: what `explain` has found; its texts are masked already, and are escaped here.

    Returns:
        HTML, complete.
    """
    headline = verdict(explanation)
    kind = verdict_kind(explanation)
    parts = [
        "<!DOCTYPE html>", '<html lang="en">', '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(headline)}</title>", f"<style>{_STYLE}</style>", f'<h1 class="{kind}">{escape(headline)}</h1>',
        f'<pre class="wraps">{escape(explanation.method)} {escape(make_visible(explanation.url))}</pre>',
        *[_finding(each) for each in explanation.findings if each.sureness != "possible"],
    ]  # fmt: skip
    for title, entries in other_lists(explanation):
        parts.append(f"<h2>{escape(title)}</h2><ol>")
        parts += [
            f"<li><code>{escape(each.cause.code)}</code>: {escape(make_visible(each.detail))}</li>" for each in entries
        ]
        parts.append("</ol>")
    if explanation.next_steps:
        parts.append("<h2>What to do next</h2><ul>")
        parts += [f"<li>{escape(each)}</li>" for each in explanation.next_steps]
        parts.append("</ul>")
    if explanation.key_time is not None:
        start, end = explanation.key_time
        parts.append(
            f"<h2>When it holds</h2><dl><dt>From</dt><dd>{escape(instant(start))}</dd>"
            f"<dt>Until</dt><dd>{escape(instant(end))}</dd>"
            f"<dt>Seen</dt><dd>{escape(instant(explanation.now))}: {escape(time_left(explanation))}</dd></dl>"
        )
    if explanation.steps:
        parts.append(f'<p class="soft">{escape(STEPS_INTRODUCTION)}</p>')
    step = ""
    lines: list[str] = []
    for row in rows(explanation):
        if row.step != step:
            parts += _wrap_lines(lines)
            lines = []
            step = row.step
            parts.append(f"<h2>{escape(step)}</h2>")
        lines.append(_row(row))
    parts += _wrap_lines(lines)
    if explanation.difference is not None:
        difference = explanation.difference
        parts.append(
            f'<p class="soft">HttpString differs from byte {difference.offset} on: byte {difference.line_offset} of '
            f"{escape(difference.line)}, counted from 0.</p>"
        )
    parts.append(
        f'<p class="soft">Read from: {escape(explanation.source)}. {explanation.tried:,} signatures recomputed.</p>'
    )
    return "\n".join(parts) + "\n"


def _wrap_lines(lines: list[str]) -> list[str]:
    text = "\n".join(lines)
    return [f"<pre>{text}</pre>"] if lines else []


def _finding(finding: Finding) -> str:
    return (
        f'<section class="cause bad"><p class="code">{escape(finding.cause.code)}</p>'
        f"<p>{escape(make_visible(finding.detail))}</p>"
        f'<p class="soft">{escape(SURENESS[finding.sureness])}</p><p>{escape(finding.cause.why)}</p>'
        f'<pre class="wraps">{escape(finding.cause.fix)}</pre></section>'
    )


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
