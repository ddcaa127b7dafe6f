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


# --- Sections ---------------------------------------------------------------------------------------------------------


def hashed(url: str, once: bool = False) -> str:
    """What a signature of this URL hashes, whoever makes it; with SignKey and padded keys `once` for all URLs."""
    path, _, query = url.partition("://")[2].partition("?")
    host, _, key = path.partition("/")
    if "X-Amz-Signature" in query:
        signed = re.sub("&?X-Amz-Signature=[^&]*", "", query)
        canonical = f"GET\n/{key}\n{signed}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        return f"SHA-256: {(len(canonical) + 72) // 64} of the canonical request, 5 of HMAC, and 16 of the signing key"
    lengths = len(f"get\n/{key}\n\nhost={host}\n" if "q-header-list=host" in query else f"get\n/{key}\n\n\n")
    rest = "3 of HMAC" if once else "5 of HMAC, and some 5 of the SignKey"
    return f"SHA-1: {(lengths + 72) // 64} of HttpString, {rest}"


def signers(result: dict[str, Any], folder: Path) -> str:
    rows = sorted(of(result, "signers"), key=lambda each: -each["median"])
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
    left = [each for each in result["measurements"] if each["suite"] == "signers" and "left out" in each]
    told = table(
        "signer | URLs/s: | spread: | to the loop by hand: | to cos-python-sdk-v5: | 10^9 URLs, one core:",
        (
            (
                each["name"], f"{each['median']:,.0f}", f"{each['spread']:.0%}", f"{each['median'] / by_hand:.2f}x",
                f"{each['median'] / sdk:,.1f}x", length(1e9 / each["median"]),
            )
            for each in rows
        ),
    )  # fmt: skip
    does = table(
        "peer | version | what it does for a URL | blocks hashed for a URL",
        (
            (each["name"], each.get("version") or "", each["does"], hashed(each["url"], each["name"] == BY_HAND))
            for each in rows
            if "does" in each
        ),
    )
    return f"""## Signers

Every round calls each signer for some tens of milliseconds, in turn, on one pinned core; {rows[0]["rounds"]} rounds after one that warms up. Keys have 35 bytes, such as
`photos/2026/11/23/img_00000042.jpg`. All sign for 900 seconds.

![Presigned URLs a second, by signer](signers.svg)

{told}
`presign_arrow` streams: each chunk is looked at and dropped. `presign_many` takes and gives lists of str. The spread is what the middle
half of the rounds spreads over.

{"".join(f"Left out: {each['name']}: {each['left out']}.{chr(10)}" for each in left)}
### What the peers do, and do not

A comparison is fair only if both sides' work is said. cossign checks bucket, region and every key, percent-encodes, builds HttpString,
and hashes 2 SHA-1 blocks of it and 3 of HMAC for such a key; SignKey and what a batch has in common it computes once. That is not
possible to callers of an SDK that takes one key a call. S3's SigV4 hashes more, and by SHA-256: those rows say what users of such signers get, not
that their authors write slow code. None of the peers but the loop by hand is made for batches.

{does}
![10^9 URLs in hours of one core](cost.svg)
"""


def kernels(result: dict[str, Any], folder: Path) -> str:
    rows = sorted(of(result, "kernels"), key=lambda each: -each["median"])
    labels = {
        each["name"]: each["name"] if "hashlib" in each["name"] or "isa" in each["name"] else f"cossign {each['name']}"
        for each in rows
    }
    bars(
        folder, "kernels", "SHA-1 blocks of 64 bytes a second, one core (log scale)",
        [(labels[each["name"]], each["median"], si(each["median"])) for each in rows], "blocks a second",
    )  # fmt: skip
    told = table(
        "SHA-1 | million blocks/s: | ns a block: | spread:",
        ((labels[each["name"]], f"{each['median'] / 1e6:.1f}", f"{1e9 / each['median']:.1f}", f"{each['spread']:.0%}") for each in rows),
    )  # fmt: skip
    return f"""## SHA-1

The bound of all that follows: a URL of these keys takes 5 blocks. Engines hash 128 messages of 16 blocks; hashlib is OpenSSL's.

![SHA-1 blocks a second, by engine](kernels.svg)

{told}"""


def lengths(result: dict[str, Any], folder: Path) -> str:
    rows = of(result, "lengths")
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
    cells = {(each["engine"], each["length"]): each for each in rows}
    told = table(
        "bytes of the key | blocks a URL: | " + " | ".join(f"{engine}:" for engine in engines),
        (
            (
                str(size), f"{cells[engines[0], size]['blocks']:.0f}",
                *(
                    f"{cells[engine, size]['median'] / 1e6:.2f}"
                    + (f" ({cells[engine, size]['share']:.2f})" if "share" in cells[engine, size] else "")
                    for engine in engines
                ),
            )
            for size in sizes
        ),
    )  # fmt: skip
    return f"""## By length of the key, and engine

Million URLs a second of `presign_arrow`, streamed, one core; in brackets the share of what the same engine's SHA-1 alone would allow, measured in
the same rounds. What is missing to 1 is all else: checking and encoding keys, laying out HttpString and URL, writing them.

![URLs a second by key length and engine](lengths.svg)

{told}"""


def inputs(result: dict[str, Any], folder: Path) -> str:
    rows = of(result, "inputs")
    told = table(
        "keys | million URLs/s: | to plain keys: | spread:",
        ((each["name"], f"{each['median'] / 1e6:.2f}", f"{each['median'] / rows[0]['median']:.2f}", f"{each['spread']:.0%}") for each in rows),
    )  # fmt: skip
    return f"""## By what keys need

`presign_arrow`, streamed, one core, in turn. Plain keys have 35 bytes; parameters are signed, stand in the URL, and make it longer.

{told}"""


def clients(result: dict[str, Any], folder: Path) -> str:
    told = table(
        "client | a signed call, us: | what signing adds: | of it, carrying the headers: | spread:",
        ((each["name"], f"{each['median']:.0f}", f"{each['added']:.1f}", f"{each['carried']:.1f}", f"{each['spread']:.0%}") for each in of(result, "clients")),
    )  # fmt: skip
    return f"""## HTTP clients

The same call with and without `auth`, in turn, 200 at a time: by a transport that sends nothing, and over loopback to another process.

{told}"""


def threads(result: dict[str, Any], folder: Path) -> str:
    rows = of(result, "threads")
    one = rows[0]["median"]
    lines(
        folder, "threads", "presign_arrow by threads",
        {"URLs a second": [(each["threads"], each["median"] / 1e6) for each in rows],
         "as many times one, alone": [(each["threads"], each["threads"] * one / 1e6) for each in rows]},
        xlabel="threads", ylabel="million URLs a second", ticks=[(each["threads"], each["name"]) for each in rows],
        ylim=(0, None),
    )  # fmt: skip
    told = table(
        "threads: | million URLs/s: | to one: | spread:",
        ((each["name"], f"{each['median'] / 1e6:.1f}", f"{each['median'] / one:.2f}x", f"{each['spread']:.0%}") for each in rows),
    )  # fmt: skip
    return f"""## Threads

`presign_arrow`, streamed, not pinned. Dotted: as many times one. Two threads of one core's hyper-threads share its vector units.

![URLs a second by threads](threads.svg)

{told}"""


def by_percentile(folder: Path, name: str, title: str, unit: str, rows: Rows, drawn: dict[str, Any]) -> str:
    """A table of times by percentile, and a plot of those that are `drawn`."""
    names = [name for name in rows[0] if re.fullmatch(r"p[\d.]+", name)]
    points = {label: [(place, each[name]) for place, name in enumerate(names)] for label, each in drawn.items()}
    lines(folder, name, title, points, yscale="log", ylabel=unit, ticks=list(enumerate(names)))
    return table(
        f"{unit} | " + " | ".join(f"{name}:" for name in names),
        ((each["name"], *(short(each[name]) for name in names)) for each in rows),
    )


def calls(result: dict[str, Any], folder: Path) -> str:
    rows = sorted(of(result, "calls"), key=lambda each: each["median"])
    title = "Microseconds of one call, by percentile (log scale)"
    told = by_percentile(folder, "calls", title, "microseconds", rows, {each["name"]: each for each in rows})
    return f"""## One call

Each call is timed alone, {rows[0]["rounds"]:,} of each, in turns of 500, with another key each; the clock itself takes some 0.05 microseconds.

![Microseconds of one call](calls.svg)

{told}"""


def instructions(result: dict[str, Any], folder: Path) -> str:
    told = table(
        "call | instructions a URL:", ((each["name"], f"{each['median']:,.0f}") for each in of(result, "instructions"))
    )
    return f"""## Instructions

Counted by callgrind, so the same on every run of this build; valgrind has AVX2 at most. A vector instruction of AVX2 serves eight URLs.

{told}"""


def memory(result: dict[str, Any], folder: Path) -> str:
    rows = of(result, "memory")
    drawn: dict[str, list[tuple[float, float]]] = {}
    for each in rows:
        drawn.setdefault(each["job"], []).append((each["rows"], each["median"]))
    lines(
        folder, "memory", "Peak memory of `cossign presign`, by rows", drawn, xscale="log", ylim=(0, None), xlabel="rows",
        ylabel="MiB",
    )  # fmt: skip
    counts = list(dict.fromkeys(each["rows"] for each in rows))
    told = table(
        "MiB | " + " | ".join(f"{count:,} rows:" for count in counts),
        ((job, *(f"{peak:.0f}" for _, peak in points)) for job, points in drawn.items()),
    )
    return f"""## Memory

The peak of the whole process, as the kernel counts it.

![Peak memory by rows](memory.svg)

{told}"""


def files(result: dict[str, Any], folder: Path) -> str:
    rows = of(result, "files")
    told = table(
        "job | rows/s: | spread: | peak, MiB: | beside it | times as long:",
        (
            (
                each["name"], f"{each['median']:,.0f}", f"{each['spread']:.0%}", f"{each['peak']:.0f}",
                {"cp": "`cp` and `sync` of the output", "gunzip": "unpacking the input", None: ""}[each.get("beside")],
                f"{each['ratio']:.2f}" if "ratio" in each else "",
            )
            for each in rows
        ),
    )  # fmt: skip
    return f"""## Files

Whole jobs of `cossign presign`, {rows[0]["rows"]:,} rows, {rows[0]["rounds"]} rounds, two threads at most, start and sync included.

{told}"""


def gateway(result: dict[str, Any], folder: Path) -> str:
    rows, delayed = of(result, "gateway"), of(result, "delays")
    told = table(
        "server, answer | requests/s: | to a constant answer: | spread:",
        ((each["name"], f"{each['median']:,.0f}", f"{each['ratio']:.2f}x", f"{each['spread']:.0%}") for each in rows),
    )
    if not delayed:
        return f"## Gateway\n\n{told}"
    title = "Milliseconds of a redirect at half of the full rate, by percentile (log scale)"
    redirects = {f"{each['server']}, {each['which']}": each for each in delayed if each["answer"] == "redirect"}
    slow = by_percentile(folder, "gateway", title, "milliseconds", delayed, redirects)
    return f"""## Gateway

`cossign serve` beside an application of the same server that gives one constant answer, in turn, by wrk over loopback; one worker. The client has the
other core. Delays are h2load's, at half of the rate that the slower of the two reached.

{told}
![Milliseconds of a redirect](gateway.svg)

{slow}"""


def columns(result: dict[str, Any], folder: Path) -> str:
    rows = of(result, "columns")
    told = table(
        "engine | rows/s: | a function that signs nothing / ours:",
        ((each["name"], f"{each['median']:,.0f}", f"{each['ratio']:.2f}") for each in rows),
    )
    return f"""## Engines of columns

{rows[0]["rows"]:,} keys, Parquet to Parquet, two workers, the engine's start left out: signing, and a function of the same shape that gives constants as
long as a URL. 1 means that signing costs nothing beside what the engine does anyway.

{told}"""


def loses(result: dict[str, Any]) -> str:
    """Where cossign is slower than something that a reader may have in mind; of this report's own numbers."""
    said = []
    rate = {each["name"]: each["median"] for each in of(result, "signers")}
    hashlibs = [value for name, value in rate.items() if name.endswith("many, hashlib")]
    if hashlibs and BY_HAND in rate:
        said.append(
            f"Where no native engine runs, `presign_many` is {hashlibs[0] / rate[BY_HAND]:.1f} times the loop by hand, not "
            f"{rate['cossign presign_many'] / rate[BY_HAND]:.1f} times."
        )
    arrow = max((value for name, value in rate.items() if "presign_arrow" in name), default=0)
    if arrow:
        said.append(
            f"Lists of str cost {arrow / rate['cossign presign_many']:.1f} times what Arrow columns do: making a str takes longer than signing it."
        )
    shares = [each["share"] for each in of(result, "lengths") if "share" in each]
    if shares:
        said.append(
            f"Signing reaches {min(shares):.2f} of what SHA-1 alone would allow, at worst over all engines and lengths of keys: the faster an engine "
            "hashes, the more the rest of the work counts."
        )
    more = of(result, "threads")
    if len(more) > 1:
        said.append(
            f"{more[-1]['name']} threads are {more[-1]['median'] / more[0]['median']:.2f} times one, not {more[-1]['name']} times."
        )
    single = {each["name"]: each["median"] for each in of(result, "calls")}
    if single:
        said.append(
            f"One call of `COS.getObjectUrl` takes {single['cossign COS.getObjectUrl']:.1f} microseconds, "
            f"{single['cossign COS.getObjectUrl'] / single['cossign Signer.presign']:.1f} times `Signer.presign`, and "
            f"{single['cossign COS.getObjectUrl'] * arrow / 1e6:.0f} times a row of a batch."
        )
    slow = [each for each in of(result, "files") if each.get("beside") == "cp" and each["ratio"] > 1]
    said += [f"`{each['name']}` takes {each['ratio']:.1f} times as long as `cp` of its output." for each in slow]
    behind = [each for each in of(result, "gateway") if each["ratio"] < 1]
    if behind:
        worst = min(behind, key=lambda each: each["ratio"])
        said.append(f"The gateway reaches {worst['ratio']:.2f} of a constant answer at worst ({worst['name']}).")
    behind = [each for each in of(result, "columns") if each["ratio"] < 0.97]
    said += [
        f"{each['name']} writes {each['ratio']:.2f} of the rows that it would if nothing were signed."
        for each in behind
    ]
    said.append(
        "cossign is a package with a compiled core: where there is no wheel, it needs a C compiler, and the loop by hand needs nothing."
    )
    return "## Where cossign loses\n\n" + "\n".join(f"- {each}" for each in said) + "\n"


SECTIONS: dict[str, Callable[[dict[str, Any], Path], str]] = {
    "signers": signers, "kernels": kernels, "lengths": lengths, "inputs": inputs, "threads": threads, "calls": calls,
    "clients": clients, "files": files, "memory": memory, "gateway": gateway, "columns": columns, "instructions": instructions,
}  # fmt: skip


def text(result: dict[str, Any], folder: Path) -> str:
    """The page in Markdown; its plots are written into the folder."""
    facts = result["machine"]
    rates = {each["name"]: each["median"] for each in of(result, "signers")}
    fastest = max(
        (each for each in of(result, "signers") if "presign" in each["name"]),
        key=lambda each: each["median"],
        default=None,
    )
    first = ""
    if fastest and SDK in rates:
        first = (
            f"**{si(fastest['median'])} presigned URLs a second on one core**: {fastest['median'] / rates[SDK]:,.0f} times Tencent's SDK for Python and "
            f"{fastest['median'] / rates[BY_HAND]:,.0f} times a careful loop by hand, in the same run. Every URL is the one that the documents and the SDKs make: "
            "the tests compare them."
        )
    warning = "**A quick run, to see that it works: its numbers mean nothing.**\n\n" if result.get("quick") else ""
    about = table(
        "this run | ",
        (
            (name, ", ".join(value) if isinstance(value, list) else "yes" if value is True else str(value))
            for name, value in facts.items()
        ),
    )
    parts = [make(result, folder) for name, make in SECTIONS.items() if of(result, name)]
    minutes = sum(result["seconds"].values()) / 60
    return f"""# How fast: the report

{warning}{first}

{about}
Repeat it: `make report` measures all of this on your machine, with every peer that installs, in some {max(1, round(minutes)):.0f} minutes, and writes this page;
`python -m bench compare A.json B.json` says what changed between two runs beyond their noise. Absolute numbers drift with the machine, so
look at the ratios: all of a table was measured in turn, in one run. Medians; nothing was tuned for this machine.

{chr(10).join(parts)}
{loses(result)}"""


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
