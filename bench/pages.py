"""The page of a report: tables, plots and what they mean, of report.json alone."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.in_turn import BY_HAND, SDK
from cossign.cli.words import length

Rows = list[dict[str, Any]]
INK, GRID = "#7a818c", "#7a818c55"  # readable on white and on black
OURS, OTHERS = "#2f81f7", "#9aa4b2"
COLOURS = ("#2f81f7", "#f0883e", "#3fb950", "#db61a2", "#a371f7", "#d4a72c", "#39c5cf", "#8b949e", "#b5651d")
STYLE = """
:root { color-scheme: light dark; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.55 system-ui, sans-serif; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: .9rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }
code { font-size: .9em; }
"""


def of(result: dict[str, Any], suite: str) -> Rows:
    return [each for each in result["measurements"] if each["suite"] == suite and "left out" not in each]


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """Markdown; a column whose heading ends with a colon is aligned to the right."""
    names = [name.strip() for name in head.split("|")]
    lines = [
        f"| {' | '.join(name.removesuffix(':') for name in names)} |",
        f"|{'|'.join('---:' if name.endswith(':') else '---' for name in names)}|",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)]) + "\n"


def si(number: float) -> str:
    """15.2 million, 881 thousand, 42."""
    for size, name in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{name}"
    return f"{number:.3g}"


def short(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


# --- Plots ------------------------------------------------------------------------------------------------------------


def figure(width: float = 8, height: float = 4.2) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({
        "svg.hashsalt": "cossign", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GRID, "xtick.color": INK, "ytick.color": INK,
        "axes.spines.top": False, "axes.spines.right": False, "grid.color": GRID, "grid.linewidth": 0.5,
        "legend.frameon": False, "axes.titlesize": 11, "axes.titlelocation": "left",
    })  # fmt: skip
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")


def save(made: Any, folder: Path, name: str) -> None:
    from matplotlib import pyplot

    made.savefig(folder / f"{name}.svg", metadata={"Date": None}, transparent=True)
    pyplot.close(made)


def bars(folder: Path, name: str, title: str, values: list[tuple[str, float, str]], axis: str) -> None:
    """Horizontal bars on a log scale, the longest first, each with its text."""
    made, axes = figure(8, 0.8 + 0.32 * len(values))
    values = values[::-1]
    places = range(len(values))
    colours = [OURS if label.startswith("cossign") else OTHERS for label, _, _ in values]
    axes.barh(places, [value for _, value, _ in values], color=colours, height=0.7)
    for place, (_, value, text) in zip(places, values, strict=True):
        axes.annotate(text, (value, place), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(places, [label for label, _, _ in values])
    least, most = min(value for _, value, _ in values), max(value for _, value, _ in values)
    axes.set(xscale="log", xlabel=axis, xlim=(least / 3, most * 12))
    axes.set_title(title)
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    save(made, folder, name)


def lines(folder: Path, name: str, title: str, drawn: dict[str, list[tuple[float, float]]], **axis: Any) -> None:
    """A line for each name; one that ends with "alone" is dotted, in the colour of the one before."""
    made, axes = figure()
    number = -1
    for label, points in drawn.items():
        dotted = label.endswith("alone")
        number += not dotted
        xs, ys = zip(*points, strict=True)
        style = {"linestyle": ":", "linewidth": 1.2} if dotted else {"marker": "o", "markersize": 3.5, "label": label}
        axes.plot(xs, ys, color=COLOURS[number % len(COLOURS)], **style)
    ticks = axis.pop("ticks", None)
    axes.set(**axis)
    if ticks:
        axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
        axes.minorticks_off()
    axes.set_title(title)
    axes.grid(visible=True)
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    save(made, folder, name)


# --- What the template shows ------------------------------------------------------------------------------------------


def hashed(url: str, once: bool = False) -> str:
    """The bytes that a signature of this URL hashes, in any signer; with SignKey and padded keys `once` for all URLs."""
    path, _, query = url.partition("://")[2].partition("?")
    host, _, key = path.partition("/")
    if "X-Amz-Signature" in query:
        signed = re.sub("&?X-Amz-Signature=[^&]*", "", query)
        canonical = f"GET\n/{key}\n{signed}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        return f"SHA-256: {(len(canonical) + 72) // 64} of the canonical request, 5 of HMAC, and 16 of the signing key"
    lengths = len(f"get\n/{key}\n\nhost={host}\n" if "q-header-list=host" in query else f"get\n/{key}\n\n\n")
    rest = "3 of HMAC" if once else "5 of HMAC, and some 5 of the SignKey"
    return f"SHA-1: {(lengths + 72) // 64} of HttpString, {rest}"


def millions(number: float) -> str:
    return f"{number / 1e6:.2f}"


def percent(share: float) -> str:
    return f"{share:.0%}"


def simple(rows: Rows, head: str, *cells: Callable[[dict[str, Any]], str]) -> str:
    """A table with a row for each measurement: its name, what `cells` say of it, and its spread."""
    lines = ((each["name"], *(cell(each) for cell in cells), percent(each["spread"])) for each in rows)
    return table(f"{head} | spread:", lines)


def signers(rows: Rows, folder: Path) -> dict[str, Any]:
    rows = sorted(rows, key=lambda each: -each["median"])
    rates = {each["name"]: each["median"] for each in rows}
    by_hand, sdk = rates.get(BY_HAND, float("nan")), rates.get(SDK, float("nan"))
    bars(
        folder, "signers", "URLs a second, presigned or verified, one core (log scale)",
        [(each["name"], each["median"], f"{si(each['median'])}  ({each['median'] / sdk:,.3g}x)") for each in rows],
        "URLs a second; in brackets: to cos-python-sdk-v5",
    )  # fmt: skip
    cost = [each for each in rows if "verify" not in each["name"] and "hashlib" not in each["name"]]
    bars(
        folder, "cost", "10^9 URLs, in hours of one core (log scale)",
        [(each["name"], 1e9 / each["median"] / 3600, length(1e9 / each["median"])) for each in cost], "hours of one core",
    )  # fmt: skip
    return {
        "rounds": rows[0]["rounds"],
        "table": simple(
            rows, "signer | URLs/s: | to the loop by hand: | to cos-python-sdk-v5: | 10^9 URLs, one core:",
            lambda each: f"{each['median']:,.0f}", lambda each: f"{each['median'] / by_hand:.2f}x",
            lambda each: f"{each['median'] / sdk:,.1f}x", lambda each: length(1e9 / each["median"]),
        ),
        "peers": table(
            "peer | version | what it does for a URL | blocks hashed for a URL",
            (
                (each["name"], each.get("version") or "", each["does"], hashed(each["url"], each["name"] == BY_HAND))
                for each in rows
                if "does" in each
            ),
        ),
    }  # fmt: skip


def kernels(rows: Rows, folder: Path) -> dict[str, Any]:
    rows = sorted(rows, key=lambda each: -each["median"])
    rows = [
        {
            **each,
            "name": each["name"] if "hashlib" in each["name"] or "isa" in each["name"] else f"cossign {each['name']}",
        }
        for each in rows
    ]
    bars(
        folder, "kernels", "SHA-1 blocks of 64 bytes a second, one core (log scale)",
        [(each["name"], each["median"], si(each["median"])) for each in rows], "blocks a second",
    )  # fmt: skip
    return {
        "table": simple(
            rows, "SHA-1 | million blocks/s: | ns a block:", lambda each: f"{each['median'] / 1e6:.1f}",
            lambda each: f"{1e9 / each['median']:.1f}",
        )
    }  # fmt: skip


def bulk(rows: Rows, folder: Path) -> dict[str, Any]:
    by_hand = next(each["median"] for each in rows if each["name"] == BY_HAND)
    shown = [each for each in rows if each["unit"] == "URLs/s"]
    return {
        "table": simple(
            shown, "call | million URLs/s: | ns a URL: | to the loop by hand: | of its SHA-1 bound:",
            lambda each: millions(each["median"]), lambda each: f"{1e9 / each['median']:.0f}",
            lambda each: f"{each['median'] / by_hand:.1f}x",
            lambda each: f"{each['share']:.2f}" if "share" in each else "",
        ),
        "bound": 1e9 / next(each["median"] for each in rows if each["unit"] == "blocks/s"),
        "rounds": rows[0]["rounds"],
    }  # fmt: skip


def lengths(rows: Rows, folder: Path) -> dict[str, Any]:
    engines = list(dict.fromkeys(each["engine"] for each in rows))
    drawn = {}
    for engine in engines:
        ours = [each for each in rows if each["engine"] == engine]
        drawn[engine] = [(each["length"], each["median"]) for each in ours]
        if "bound" in ours[0]:
            drawn[f"{engine} alone"] = [(each["length"], each["bound"]) for each in ours]
    sizes = list(dict.fromkeys(each["length"] for each in rows))
    lines(
        folder, "lengths", "URLs a second by length of the key; dotted: what SHA-1 alone would allow", drawn, xscale="log",
        yscale="log", xlabel="bytes of the key", ylabel="URLs a second", ticks=[(size, str(size)) for size in sizes],
    )  # fmt: skip
    found = {(each["engine"], each["length"]): each for each in rows}

    def cell(engine: str, size: int) -> str:
        each = found[engine, size]
        return millions(each["median"]) + (f" ({each['share']:.2f})" if "share" in each else "")

    return {
        "table": table(
            "bytes of the key | blocks a URL: | " + " | ".join(f"{engine}:" for engine in engines),
            (
                (str(size), f"{found[engines[0], size]['blocks']:.0f}", *(cell(engine, size) for engine in engines))
                for size in sizes
            ),
        )
    }


def inputs(rows: Rows, folder: Path) -> dict[str, Any]:
    plain = rows[0]["median"]
    return {
        "table": simple(
            rows, "keys | million URLs/s: | to plain keys:", lambda each: millions(each["median"]),
            lambda each: f"{each['median'] / plain:.2f}",
        )
    }  # fmt: skip


def threads(rows: Rows, folder: Path) -> dict[str, Any]:
    one = rows[0]["median"]
    lines(
        folder, "threads", "presign_arrow by threads",
        {"URLs a second": [(each["threads"], each["median"] / 1e6) for each in rows],
         "as many times one, alone": [(each["threads"], each["threads"] * one / 1e6) for each in rows]},
        xlabel="threads", ylabel="million URLs a second", ticks=[(each["threads"], each["name"]) for each in rows],
        ylim=(0, None),
    )  # fmt: skip
    return {
        "table": simple(
            rows, "threads: | million URLs/s: | to one: | SHA-1 alone in as many threads, to one:",
            lambda each: f"{each['median'] / 1e6:.1f}", lambda each: f"{each['ratio']:.2f}x",
            lambda each: f"{each['cores']:.2f}x",
        )
    }  # fmt: skip


def by_percentile(folder: Path, name: str, title: str, unit: str, rows: Rows, drawn: dict[str, Any]) -> str:
    """A table of times by percentile, and a plot of those that are `drawn`."""
    names = [name for name in rows[0] if re.fullmatch(r"p[\d.]+", name)]
    points = {label: [(place, each[name]) for place, name in enumerate(names)] for label, each in drawn.items()}
    lines(folder, name, title, points, yscale="log", ylabel=unit, ticks=list(enumerate(names)))
    return table(
        f"{unit} | " + " | ".join(f"{name}:" for name in names),
        ((each["name"], *(short(each[name]) for name in names)) for each in rows),
    )


def calls(rows: Rows, folder: Path) -> dict[str, Any]:
    rows = sorted(rows, key=lambda each: each["median"])
    title = "Microseconds of one call, by percentile (log scale)"
    drawn = {each["name"]: each for each in rows}
    return {
        "rounds": rows[0]["rounds"],
        "table": by_percentile(folder, "calls", title, "microseconds", rows, drawn),
    }


def clients(rows: Rows, folder: Path) -> dict[str, Any]:
    return {
        "table": simple(
            rows, "client | a signed call, us: | what signing adds: | of it, carrying the headers:",
            lambda each: f"{each['median']:.0f}", lambda each: f"{each['added']:.1f}", lambda each: f"{each['carried']:.1f}",
        )
    }  # fmt: skip


def instructions(rows: Rows, folder: Path) -> dict[str, Any]:
    return {"table": table("call | instructions a URL:", ((each["name"], f"{each['median']:,.0f}") for each in rows))}


def memory(rows: Rows, folder: Path) -> dict[str, Any]:
    drawn: dict[str, list[tuple[float, float]]] = {}
    for each in rows:
        drawn.setdefault(each["job"], []).append((each["rows"], each["median"]))
    lines(
        folder, "memory", "Peak memory of `cossign presign`, by rows", drawn, xscale="log", ylim=(0, None), xlabel="rows",
        ylabel="MiB",
    )  # fmt: skip
    counts = list(dict.fromkeys(each["rows"] for each in rows))
    return {
        "table": table(
            "MiB | " + " | ".join(f"{count:,} rows:" for count in counts),
            ((job, *(f"{peak:.0f}" for _, peak in points)) for job, points in drawn.items()),
        )
    }


def files(rows: Rows, folder: Path) -> dict[str, Any]:
    against = {"cp": "`cp` and `sync` of the output", "gunzip": "unpacking the input", None: ""}
    return {
        "rows": rows[0]["rows"],
        "rounds": rows[0]["rounds"],
        "table": simple(
            rows, "job | rows/s: | peak, MiB: | beside it | times as long:", lambda each: f"{each['median']:,.0f}",
            lambda each: f"{each['peak']:.0f}", lambda each: against[each.get("beside")],
            lambda each: f"{each['ratio']:.2f}" if "ratio" in each else "",
        ),
    }  # fmt: skip


def beside(rows: Rows, folder: Path) -> dict[str, Any]:
    return {
        "rows": rows[0]["rows"],
        "rounds": rows[0]["rounds"],
        "table": simple(
            rows, f"job | rows/s: | {' | '.join(f'{peer}:' for peer in rows[0]['peers'])} | to the best: | peak, MiB:",
            lambda each: f"{each['median']:,.0f}",
            *(lambda each, peer=peer: f"{each['peers'][peer]:,.0f}" for peer in rows[0]["peers"]),
            lambda each: f"{each['ratio']:.2f}x", lambda each: f"{each['peak']:.0f}",
        ),
    }  # fmt: skip


def listing(rows: Rows, folder: Path) -> dict[str, Any]:
    def rate(number: float, each: dict[str, Any]) -> str:
        return f"{number:,.0f} objects/s" if each["unit"] == "objects/s" else f"{number / 1e6:,.0f} MB/s"

    return {
        "table": simple(
            rows, "what | cossign: | the SDK alone: | ratio:", lambda each: rate(each["median"], each),
            lambda each: rate(each["alone"], each), lambda each: f"{each['ratio']:.2f}x",
        )
    }  # fmt: skip


def gateway(rows: Rows, folder: Path) -> dict[str, Any]:
    return {
        "table": simple(
            rows, "server, answer | requests/s: | to a constant answer:", lambda each: f"{each['median']:,.0f}",
            lambda each: f"{each['ratio']:.2f}x",
        )
    }  # fmt: skip


def delays(rows: Rows, folder: Path) -> dict[str, Any]:
    title = "Milliseconds of a redirect at half of the full rate, by percentile (log scale)"
    redirects = {f"{each['server']}, {each['which']}": each for each in rows if each["answer"] == "redirect"}
    return {"table": by_percentile(folder, "gateway", title, "milliseconds", rows, redirects)}


def columns(rows: Rows, folder: Path) -> dict[str, Any]:
    return {
        "rows": rows[0]["rows"],
        "table": simple(
            rows, "engine | workers: | rows/s: | to a function that signs nothing:", lambda each: str(each.get("workers", 2)),
            lambda each: f"{each['median']:,.0f}", lambda each: f"{each['ratio']:.2f}",
        ),
    }  # fmt: skip


SUITES: dict[str, Callable[[Rows, Path], dict[str, Any]]] = {
    each.__name__: each
    for each in (
        signers, kernels, bulk, lengths, inputs, threads, calls, clients, files, beside, memory, listing, gateway, delays,
        columns, instructions,
    )
}  # fmt: skip


def text(result: dict[str, Any], folder: Path) -> str:
    """The page in Markdown, of report.md.jinja; its plots are written into the folder."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    environment.filters.update(si=si, percent=percent)
    machine = table(
        "this run | ",
        (
            (name, ", ".join(value) if isinstance(value, list) else "yes" if value is True else str(value))
            for name, value in result["machine"].items()
        ),
    )
    last = result.get("last")
    worse = (
        ((suite, name, f"{ratio:.2f}", percent(noise)) for suite, name, ratio, noise in last["worse"]) if last else ()
    )
    found = {name: of(result, name) for name in SUITES}
    return environment.get_template("report.md.jinja").render(
        suites={name: make(found[name], folder) for name, make in SUITES.items() if found[name]},
        rows={name: {each["name"]: each for each in rows} for name, rows in found.items()},
        left=[each for each in result["measurements"] if "left out" in each],
        fastest=max((each["median"] for each in found["signers"] if "presign_arrow" in each["name"]), default=0),
        worse=table("suite | measurement | after / before: | noise:", worse), cpu=result["machine"].get("cpu"),
        machine=machine, last=last, quick=result.get("quick"), by_hand=BY_HAND, sdk=SDK,
        minutes=max(1, round(sum(result["seconds"].values()) / 60)),
    )  # fmt: skip


def write(result: dict[str, Any], folder: Path) -> Path:
    """report.md, the plots, and the same as one page of HTML that stands alone; the latter's path."""
    told = text(result, folder)
    (folder / "report.md").write_text(told)
    try:
        import markdown
    except ImportError:
        return folder / "report.md"
    body = markdown.markdown(told, extensions=["tables"])

    def inlined(found: re.Match[str]) -> str:
        drawn = (folder / found[2]).read_text()
        drawn = drawn[drawn.index("<svg") :]
        stem = Path(found[2]).stem  # several drawings on a page may not share the names of their parts
        drawn = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{stem}-", drawn)
        return f'<div role="img" aria-label="{html.escape(found[1])}">{drawn}</div>'

    body = re.sub(r'<img alt="([^"]*)" src="(\w+\.svg)" />', inlined, body)
    page = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>cossign: how fast</title>"
    (folder / "report.html").write_text(
        f"{page}<style>{STYLE}svg {{ max-width: 100%; height: auto; }}</style>{body}</html>\n"
    )
    return folder / "report.html"
