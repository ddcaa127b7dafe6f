"""Hints after a typing error: the right spelling for options of other tools, and for near misses."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence

_SECRETS = "secrets are never options: set COS_SECRET_ID and COS_SECRET_KEY"
_POSITIONAL = "write the key without an option: cossign url KEY"
_MOVES = "cossign signs and verifies, and does not {} objects: use coscli or coscmd"
COMMANDS = {
    **dict.fromkeys(
        ("signurl", "sign", "geturl", "getobjecturl", "get-url", "signed-url"), "cossign url KEY signs one"
    ),
    **dict.fromkeys(("presign-url", "presigned", "batch"), "cossign presign FILE signs many keys, cossign url KEY one"),
    **dict.fromkeys(("cp", "mv", "sync", "upload", "download", "put", "get", "cat"), _MOVES.format("transfer")),
    **dict.fromkeys(("ls", "list", "du", "stat", "head"), _MOVES.format("list")),
    **dict.fromkeys(("rm", "delete", "del"), _MOVES.format("delete")),
    **dict.fromkeys(("config", "configure", "init", "login"), "cossign has no configuration: " + _SECRETS),
    "help": "cossign --help lists the commands",
    "version": "cossign --version shows it",
    "check": "cossign verify URL checks a URL",
}
OTHER_SERVICES = ("s3", "gs", "oss", "obs")
OPTIONS = {
    **dict.fromkeys(
        ("--expires-in", "--expire", "--expiration", "--expiry", "--expires-at", "--duration", "--time", "--ttl",
         "--timeout", "-t", "-d", "-e"),
        "use --expires, such as --expires 1h",
    ),
    **dict.fromkeys(("-m", "--http-method", "--verb"), "use -X, such as -X PUT"),
    **dict.fromkeys(("-k", "--key", "--object", "--name", "--path"), _POSITIONAL),
    **dict.fromkeys(
        ("--secret-id", "--secret-key", "--secretid", "--secretkey", "--access-key", "--access-key-id", "--token",
         "--secret-access-key", "-i", "--ak", "--sk"),
        _SECRETS,
    ),
    **dict.fromkeys(("--endpoint", "--endpoint-url", "--host"), "use -r for the region, or --domain for your own host"),
    **dict.fromkeys(("--headers", "--content-type", "-c"), "use -H, such as -H 'Content-Type: image/png'"),
    **dict.fromkeys(
        ("--params", "--param", "--query-params"), "use --query, such as --query response-content-type=text/plain"
    ),
    **dict.fromkeys(("--out", "--output-file", "-O"), "use -o"),
    **dict.fromkeys(("--in", "--input", "--file", "-f"), "write the files without an option: cossign presign FILES"),
    "--format": "use --from for the input and --to for the output",
    "--no-sign-request": "an address without a signature needs no tool: https://BUCKET.cos.REGION.myqcloud.com/KEY",
}  # fmt: skip


def address(text: str) -> str:
    """What an address is, and what to type; "" for what is not an address."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or not re.fullmatch("[a-z][a-z0-9+.-]*", scheme):
        return ""
    if scheme in ("http", "https"):
        checks = "cossign verify URL checks it, cossign explain URL finds out why it fails"
        return f"is a URL: {checks}; to sign, give the key alone"
    if scheme == "cos":
        return f"is the address of one object: cossign url {shlex.quote('cos://' + rest)} signs it"
    if scheme in OTHER_SERVICES:
        if re.match("[a-z0-9-]+-[0-9]{8,}/.", rest):
            return f"is of another service: if it means COS, cossign url {shlex.quote('cos://' + rest)} signs it"
        return "is of another service: write cos://BUCKET/KEY, with the APPID in BUCKET"
    return f"is an address: write cos://BUCKET/KEY, or, if it is a key, cos://BUCKET/{text}"


def for_command(word: str, commands: Iterable[str]) -> str:
    """Why a word is not a command, and what to type."""
    if what := address(word):
        return f"{word} {what}"
    if word.lower() in COMMANDS:
        return f"{word} is not a command of cossign: {COMMANDS[word.lower()]}"
    matches = difflib.get_close_matches(word.lower(), commands, 1)
    more = f": did you mean {matches[0]}?" if matches else f", only {', '.join(commands)}"
    return f"{word} is not a command of cossign{more}"


def for_option(word: str, options: Sequence[str], command: str) -> str:
    """Why a word is not an option of a command, and what to type. A value, which may be a secret, is not shown."""
    if not word.startswith("-"):
        quotes = ": put quotes around a key or a URL with blanks or &" if command != "completion" else ""
        return f"{word} is one argument too many{quotes}"
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    hint = OPTIONS.get(name.lower().replace("_", "-") if name.startswith("--") else name, "")
    option_match = re.match(r"use (-[\w-]+)", hint)
    has_option = not option_match or option_match[1] in options or not command
    if hint and has_option and (command == "presign" or "FILES" not in hint):
        return f"{name} is not an option here: {hint}"
    matches = [each for each in options if name.startswith("--") and each.startswith(name)]
    matches = matches or difflib.get_close_matches(name, options, 1, 0.7)
    return f"{name} is not an option here{f': did you mean {matches[0]}?' if matches else ''}"


def reason(message: str) -> str:
    """A message of argparse in our words."""
    missing_match = re.fullmatch("the following arguments are required: (.*)", message)
    if missing_match:
        return f"{missing_match[1].replace(', ', ' and ')} {'are' if ',' in missing_match[1] else 'is'} missing"
    wrong_match = re.fullmatch(r"argument ([^:]*): (.*)", message, re.S)
    if wrong_match:
        return f"{wrong_match[1].partition('/')[0]} {wrong_match[2]}"
    return message
