"""Causes: the steps from the request's text to the signature, and the signature itself."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable

from cossign.explain.causes.cause import Clues, Group, Values
from cossign.explain.steps import DOCUMENTED_RECIPE, Recipe, hmac_hex

RECIPES = Group("How the signature is computed")
_Recipes = dict[str, Recipe]


def _sha(kind: str, data: bytes) -> bytes:
    return hashlib.new(kind, data).hexdigest().encode()


def _base64(hexadecimal: bytes) -> bytes:
    return b64encode(bytes.fromhex(hexadecimal.decode()))


def _join_lines(end: bytes, newline: bytes = b"\n", skips: bool = False) -> Callable[..., bytes]:
    return lambda lines: newline.join([line for line in lines if line or not skips]) + end


def _join_text(form: bytes) -> Callable[[bytes, bytes], bytes]:
    return lambda time, digest: form % (time, digest)


def _values(recipe: Recipe, recipes: _Recipes) -> Values:
    if recipe is DOCUMENTED_RECIPE:
        yield from ((other, detail) for detail, other in recipes.items())


# --- The texts --------------------------------------------------------------------------------------------------------

lines_differ = RECIPES.cause(
    "lines-differ",
    title="The text that was signed has other lines",
    why="HttpString has four lines. The last two may be empty. StringToSign has three: sha1, KeyTime and the hash. Each "
    "line ends with one newline, also the last one. Editors, templates and trim() remove it, and some write "
    "CR and LF.",
    fix='http_string = f"{method}\\n{path}\\n{parameters}\\n{headers}\\n"\n'
    'string_to_sign = f"sha1\\n{key_time}\\n{digest}\\n"',
)


@lines_differ.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    bare_text = _join_text(b"sha1\n%b\n%b")
    yield from _values(recipe, {
        "HttpString had no newline at its end": Recipe(http=_join_lines(b"")),
        "StringToSign had no newline at its end": Recipe(text=bare_text),
        "neither HttpString nor StringToSign had a newline at its end": Recipe(http=_join_lines(b""), text=bare_text),
        "HttpString had two newlines at its end": Recipe(http=_join_lines(b"\n\n")),
    })  # fmt: skip


@lines_differ.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    http = _join_lines(b"\r\n", b"\r\n")
    yield from _values(recipe, {
        "HttpString's lines ended with CR and LF": Recipe(http=http),
        "all lines ended with CR and LF": Recipe(http=http, text=_join_text(b"sha1\r\n%b\r\n%b\r\n")),
        "HttpString had the two characters backslash and n for each newline": Recipe(http=_join_lines(b"\\n", b"\\n")),
    })  # fmt: skip


@lines_differ.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    yield from _values(recipe, {
        "HttpString had no line for what is empty": Recipe(http=_join_lines(b"\n", skips=True)),
        "HttpString had no line for what is empty, and no newline at its end": Recipe(http=_join_lines(b"", skips=True)),
    })  # fmt: skip


@lines_differ.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    yield from _values(recipe, {
        "StringToSign had no line 'sha1'": Recipe(text=_join_text(b"%b\n%b\n")),
        "StringToSign had no line for KeyTime": Recipe(text=lambda time, digest: b"sha1\n%b\n" % digest),
        "StringToSign began with SHA1, not sha1": Recipe(text=_join_text(b"SHA1\n%b\n%b\n")),
        "HttpString's hash alone was signed": Recipe(text=lambda time, digest: digest),
    })  # fmt: skip


# --- The hashes -------------------------------------------------------------------------------------------------------

sign_key_form = RECIPES.cause(
    "sign-key-form",
    title="SignKey was made or used otherwise",
    why="There are two HMACs. The first is of KeyTime, with the SecretKey. The second is of StringToSign, and its key, "
    "SignKey, is the 40 lower-case hex characters of the first.",
    fix='sign_key = hmac.new(secret_key, key_time, "sha1").hexdigest()\n'
    'hmac.new(sign_key.encode(), string_to_sign, "sha1").hexdigest()',
)


@sign_key_form.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    binary = Recipe(sign_key=lambda key, time: bytes.fromhex(hmac_hex(key, time).decode()))
    yield from _values(recipe, {"SignKey was the HMAC's 20 bytes, not their 40 hex characters": binary})


@sign_key_form.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    yield from _values(recipe, {
        "SignKey was in upper-case hex": Recipe(sign_key=lambda key, time: hmac_hex(key, time).upper()),
        "SignKey was in base64": Recipe(sign_key=lambda key, time: _base64(hmac_hex(key, time))),
    })  # fmt: skip


@sign_key_form.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    skipping = Recipe(sign_key=lambda key, time: key)
    yield from _values(recipe, {"the SecretKey itself signed StringToSign, not SignKey": skipping})


hash_differs = RECIPES.cause(
    "hash-differs",
    title="A hash or an HMAC was computed otherwise",
    why="The signature is an HMAC-SHA1 in lower-case hex, and StringToSign holds the SHA-1 of HttpString in lower-case "
    "hex. AWS has SHA-256. Languages disagree about the order: Python's hmac has the key first, CryptoJS the message.",
    fix="digest = hashlib.sha1(http_string).hexdigest()\n"
    "hmac.new(key, message, 'sha1').hexdigest()\nCryptoJS.HmacSHA1(message, key).toString()",
)


@hash_differs.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    swapped = "was made with the key and the message in each other's place"
    yield from _values(recipe, {
        f"SignKey {swapped}": Recipe(sign_key=lambda key, time: hmac_hex(time, key)),
        f"the signature {swapped}": Recipe(last=lambda key, text: hmac_hex(text, key)),
        "both HMACs were made with the key and the message in each other's place":
            Recipe(sign_key=lambda key, time: hmac_hex(time, key), last=lambda key, text: hmac_hex(text, key)),
    })  # fmt: skip


@hash_differs.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    plain = Recipe(last=lambda key, text: _sha("sha1", key + text))
    yield from _values(recipe, {"plain SHA-1 of key and text was made, no HMAC": plain})


@hash_differs.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    def last(key: bytes, text: bytes) -> bytes:
        return hmac_hex(key, text, "sha256")

    def digest(http: bytes) -> bytes:
        return _sha("sha256", http)

    yield from _values(recipe, {
        "the signature's HMAC was SHA-256": Recipe(last=last),
        "HttpString's hash was SHA-256": Recipe(digest=digest),
        "SignKey's HMAC was SHA-256": Recipe(sign_key=last),
        "both HMACs were SHA-256": Recipe(sign_key=last, last=last),
        "all hashes were SHA-256": Recipe(sign_key=last, digest=digest, last=last),
        "all hashes were SHA-256, and StringToSign began with sha256":
            Recipe(sign_key=last, digest=digest, text=_join_text(b"sha256\n%b\n%b\n"), last=last),
    })  # fmt: skip


@hash_differs.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    yield from _values(recipe, {"HttpString's hash was MD5": Recipe(digest=lambda http: _sha("md5", http))})


@hash_differs.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    yield from _values(recipe, {
        "StringToSign held HttpString itself, not its SHA-1": Recipe(digest=lambda http: http),
        "HttpString was signed in StringToSign's place": Recipe(digest=lambda http: http, text=lambda time, digest: digest),
    })  # fmt: skip


@hash_differs.changes("recipe")
def _(recipe: Recipe, clues: Clues) -> Values:
    yield from _values(recipe, {
        "HttpString's SHA-1 was in upper-case hex": Recipe(digest=lambda http: _sha("sha1", http).upper()),
        "HttpString's SHA-1 was in base64": Recipe(digest=lambda http: _base64(_sha("sha1", http))),
        "HttpString's SHA-1 was its 20 bytes, not hex": Recipe(digest=lambda http: bytes.fromhex(_sha("sha1", http).decode())),
    })  # fmt: skip


# --- The signature ----------------------------------------------------------------------------------------------------

RECIPES.cause(
    "signature-form",
    title="The signature is not 40 characters of lower-case hex",
    why="q-signature is compared as text. Upper-case hex and base64, which other services have, are other texts.",
    fix='hmac.new(key, text, "sha1").hexdigest()  # not b64encode(digest), not upper()',
)
RECIPES.cause(
    "signature-truncated",
    title="The signature was cut off",
    why="It has 40 characters. A database's column, a log's line, an SMS or a copy by hand cut the URL.",
    fix="assert len(q_signature) == 40  # where the URL is stored, and where it is read",
)
RECIPES.cause(
    "algorithm",
    title="q-sign-algorithm is not sha1",
    why="COS accepts only sha1, in lower case.",
    fix="q-sign-algorithm=sha1",
)
