"""What is written by programs from the code and its results: the man page, and pages of docs/.

python -m share.make         write the man page, which `make dist` packs; it is not kept in git
python -m share.make pages   write the pages of docs/
python -m share.make check   compare the pages with what would be written
"""

from __future__ import annotations

import argparse
import html
import importlib
import inspect
import json
import os
import re
import sys
import tempfile
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MAN_PAGE = ROOT / "share" / "man" / "man1" / "cossign.1"
BEGIN, END = "<!-- by share/make.py -->\n", "<!-- end -->\n"


def man_page() -> str:
    """The man page, from the command line's parser."""
    from argparse_manpage.manpage import Manpage

    from cossign import __version__
    from cossign.cli import parser

    os.environ.update(COLUMNS="80", SOURCE_DATE_EPOCH="0")  # the same page everywhere
    man = Manpage(parser(), format="single-commands-section")
    man.date = ""
    man.source, man.manual, man.description = f"cossign {__version__}", "cossign", "sign for Tencent Cloud COS"
    return str(man)


# --- docs/commands.md


def _cell(text: str) -> str:
    """A text for a cell of a table. What Markdown or HTML would read as its own is escaped."""
    return re.sub(r"([|<>*_\[\]{}])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """A text as code. Markdown has no way to write a pipe in code in a table, so this is HTML."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def _option(action: argparse.Action) -> str:
    """An argument as one types it."""
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices is not None and action.metavar is None:
        metavar = "|".join(action.choices)
    if not action.option_strings:
        return _code(metavar)
    value = "" if action.nargs == 0 else f" {metavar}"
    return ", ".join(_code(each + value) for each in action.option_strings)


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A command: its usage, a table for each group of its arguments, and its examples."""
    usage, description = parser.usage or "", parser.description or ""
    yield f"## {parser.prog}\n\n{description}\n\n```\n"
    yield textwrap.fill(usage.strip(), 80, subsequent_indent="    ", break_long_words=False) + "\n```\n\n"
    for group in parser._action_groups:  # argparse has no public way to list them
        actions = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
        if actions:
            title = group.title if group.title not in ("options", "positional arguments") else None
            yield f"| {title or ('option' if actions[0].option_strings else 'argument')} | |\n|---|---|\n"
            yield from (f"| {_option(action)} | {_cell(action.help or '')} |\n" for action in actions)
            yield "\n"
    note, _, examples = (parser.epilog or "").partition("examples:\n")
    yield f"{note.strip()}\n\n" if note else ""
    yield f"Examples:\n\n```\n{textwrap.dedent(examples).strip()}\n```\n\n" if examples else ""


def commands() -> str:
    """Every command and its arguments, from the command line's parser."""
    from cossign.cli import parser

    choices = next(each.choices for each in parser()._actions if isinstance(each, argparse._SubParsersAction))
    return "".join(text for command in choices.values() for text in _command(command))


# --- docs/gateway-toml.md


def _type(annotation: Any) -> str:
    """A field's type, as one who writes TOML knows it."""
    from cossign.gateway import config

    names = {
        config.Duration: "duration", config.FilePath: "path", config.Name: "name", config.Network: "network",
        config.EndpointPath: "URL path", config.Header: "header's name", config.Origin: "origin", config.Host: "host",
        config.HeaderPattern: "header's name", bool: "boolean", int: "integer", float: "number", str: "string",
    }  # fmt: skip
    if annotation in names:
        return names[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return "integer" if inner[0] is int else "string"
    if origin is typing.Literal:
        return " or ".join(f'`"{each}"`' for each in inner)
    if origin is tuple:
        return f"list of {_type(inner[0])}" + ("" if typing.get_origin(inner[0]) is typing.Literal else "s")
    if origin in (typing.Union, getattr(types, "UnionType", None)):
        return " or ".join(_type(each) for each in inner if each is not type(None))
    return "table"


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return ""
    if isinstance(value, (bool, int, str)):
        return f"`{json.dumps(value)}`"
    return f"`{json.dumps(list(value))}`" if isinstance(value, tuple) else ""


def _meanings(table: type) -> dict[str, str]:
    """What the docstring's attributes mean."""
    _, _, attributes = inspect.cleandoc(table.__doc__ or "").partition("Attributes:\n")
    parts = re.findall(r"^    (\w+): (.*(?:\n {8,}.*)*)", attributes, re.M)
    return {name: " ".join(text.split()) for name, text in parts}


def _annotations(table: type) -> dict[str, Any]:
    return typing.get_type_hints(table, include_extras=True)


def gateway_toml() -> str:
    """Every table and field of gateway.toml, from the gateway's model."""
    from cossign.gateway import config

    tables = [
        ("At the top", config.Config), ("[credentials]", config.CredentialsTable), ("[tls]", config.Tls),
        ("[client_certificate]", config.ClientCertificate), ("[bulk]", config.Bulk), ("[sdk]", config.SdkTable),
        ("[endpoints]", config.Endpoints), ("[[route]]", config.Route), ("cdn of a route", config.CdnTable),
        ("[[caller]]", config.Caller), ("[[caller.allow]]", config.Allow),
    ]  # fmt: skip
    parts = []
    for title, table in tables:
        meanings, annotations = _meanings(table), _annotations(table)
        assert set(meanings) >= set(table.model_fields), (title, set(table.model_fields) - set(meanings))
        head = inspect.cleandoc(table.__doc__ or "").partition("\n\nAttributes:")[0]
        heading = f"`{title}`" if title.startswith("[") else title
        parts += [f"## {heading}\n\n{head}\n\n", "| field | type | default | meaning |\n|---|---|---|---|\n"]
        for name, field in table.model_fields.items():
            kind = _type(annotations[name]).replace("|", "\\|")
            parts.append(f"| `{name}` | {kind} | {_default(field)} | {meanings[name]} |\n")
        parts.append("\n")
    return "".join(parts)


# --- Pages


def report() -> str:
    """The kept report, from its results."""
    pages = importlib.import_module("bench.pages")
    with tempfile.TemporaryDirectory() as folder:  # for the plots, which need not be the same bytes everywhere
        text: str = pages.text(json.loads((DOCS / "benchmarks" / "report.json").read_text()), Path(folder))
    return text


def catalogue() -> str:
    """The page of all causes."""
    from cossign.explain.catalogue import page

    return page()


def between(page: Path, text: str) -> str:
    """A page with a text between its two marks."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{page} must hold {BEGIN.strip()} and {END.strip()}"
    return f"{before}{begin}\n{text.rstrip()}\n\n{end}{after}"


def pages() -> Iterator[tuple[Path, str]]:
    """Each page that is written here, and its text."""
    whole: dict[str, Callable[[], str]] = {"signature-does-not-match.md": catalogue, "benchmarks/report.md": report}
    parts: dict[str, Callable[[], str]] = {"commands.md": commands, "gateway-toml.md": gateway_toml}
    yield from ((DOCS / name, make()) for name, make in whole.items())
    yield from ((DOCS / name, between(DOCS / name, make())) for name, make in parts.items())


def main(arguments: list[str]) -> int:
    what = arguments[0] if arguments else "man"
    if what == "man":
        MAN_PAGE.parent.mkdir(parents=True, exist_ok=True)
        MAN_PAGE.write_text(man_page(), "utf-8")
        print(MAN_PAGE.relative_to(ROOT))
        return 0
    old = []
    for path, text in pages():
        if path.read_text("utf-8") != text:
            old.append(str(path.relative_to(ROOT)))
            if what == "pages":
                path.write_text(text, "utf-8")
    if what == "pages":
        print("\n".join(old))
    elif old:
        print(f"{', '.join(old)}: not what the code says; run: make pages", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
