"""Causes: the method and the path."""

from __future__ import annotations

import html
import itertools
from urllib.parse import quote_from_bytes, quote_plus

from cossign.explain.causes.cause import LATE, MAX_PLACES, Clues, Group, Values
from cossign.explain.steps import lower_hex, percent_decode, show

PATHS = Group("Method and path")
_METHODS = (b"get", b"put", b"post", b"head", b"delete", b"options", b"patch")

# --- The method -------------------------------------------------------------------------------------------------------

method_changed = PATHS.cause(
    "method-changed",
    title="Another method was signed",
    why="A URL signed for GET is not valid for HEAD or PUT. Download managers, link checkers and CDNs often ask by HEAD "
    "first. After the answers 301, 302 and 303, clients send GET where they sent POST or PUT. The method is signed in "
    "lower case: get, not GET.",
    fix='signer.presign(key, method="HEAD")',
)


@method_changed.changes("method")
def _(method: bytes, clues: Clues) -> Values:
    for signed_method in _METHODS:
        detail = f"{signed_method.upper().decode()} was signed, and {show(method.upper())} is sent"
        if signed_method in (b"post", b"put") and method in (b"get", b"head"):
            detail += ": a redirect may have turned the method into GET"
        yield signed_method, detail


@method_changed.changes("method")
def _(method: bytes, clues: Clues) -> Values:
    for signed_method in (method.upper(), method.capitalize()):
        yield signed_method, f"the method was signed as {show(signed_method)!r}, not in lower case"
    yield b"", "no method was signed"


# --- The path in another encoding -------------------------------------------------------------------------------------

plus_for_space = PATHS.cause(
    "plus-for-space",
    title="'+' and space were taken for each other",
    why="In a path '+' is a plus, and a space is written %20. Encoders for forms write '+' for a space.",
    fix='urllib.parse.quote(key, safe="/")  # not quote_plus',
)


@plus_for_space.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    yield path.replace(b" ", b"+"), "'+' was signed where the request has a space"
    yield path.replace(b"+", b" "), "a space was signed where the request has '+', which a path keeps"
    if b"+" in clues.raw_path:
        plain_path = percent_decode(clues.raw_path, plus=True)
        yield plain_path, f"{show(plain_path)!r} was signed, and the URL has its spaces as '+'"


path_encoded = PATHS.cause(
    "path-encoded",
    title="The path was percent-encoded before it was signed",
    why="The path is signed as it is, in UTF-8. Only the URL has it percent-encoded. Keys without special characters hide "
    "the mistake.",
    fix='http_string = f"{method}\\n/{key}\\n..."  # not quote(key)',
)


@path_encoded.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    encoded_path = quote_from_bytes(path, safe="/").encode()
    encodings = {
        encoded_path: "percent-encoded", lower_hex(encoded_path): "percent-encoded with lower-case hex",
        clues.raw_path: "as it stands in the URL, percent-encoded",
        quote_from_bytes(path, safe="/;,?:@&=+$!*'()#").encode(): "encoded as encodeURI does",
        quote_from_bytes(path, safe="/!*'()").encode(): "encoded as encodeURIComponent does",
        quote_from_bytes(path, safe="/!$&'()*+,;=:@").encode(): "encoded as RFC 3986 lets a path be",
        b"/" + quote_from_bytes(path[1:], safe="").encode(): "percent-encoded, slashes too",
        quote_plus(path, safe="/").encode(): "encoded like a form's field",
    }  # fmt: skip
    if clues.raw_path:
        for value, how in encodings.items():
            yield value, f"the path was signed {how}: {show(value)!r}"


@path_encoded.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    twice = quote_from_bytes(quote_from_bytes(path, safe="/").encode(), safe="/").encode()
    yield twice, "the path was signed percent-encoded twice"


url_encoded_again = PATHS.cause(
    "url-encoded-again",
    title="The URL was percent-encoded again after signing",
    why="A client, a template or a proxy encoded a URL that was encoded already: %20 became %2520, %3B became %253B. Some "
    "clients do so with every '%'.",
    fix="requests.get(url)  # as it is: no quote(url), no encodeURI(url)",
)


@url_encoded_again.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    once = percent_decode(path)
    twice = percent_decode(once)
    yield path.replace(b"%20", b" "), "the path's spaces were encoded again after signing"
    yield once, f"the URL's path was encoded again after signing: {show(once)!r} was signed"
    yield twice, f"the URL's path was encoded twice more after signing: {show(twice)!r} was signed"


# --- Slashes and dots -------------------------------------------------------------------------------------------------

slashes_changed = PATHS.cause(
    "slashes-changed",
    title="The path has a slash more, or one less, than was signed",
    why="The path is '/' and the key. A key that begins with a slash gives '//', which SDKs drop and some servers merge. "
    "nginx (merge_slashes), CDNs and path libraries make '//' within a path one slash. Web servers redirect from 'a' to "
    "'a/'. For COS these are different keys.",
    fix='key = key.lstrip("/")\nmerge_slashes off;  # nginx',
)


@slashes_changed.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    yield b"/" + path, f"the key began with a slash, so {show(b'/' + path)!r} was signed"
    yield path[1:], f"the path was signed without its first slash: {show(path[1:])!r}"
    if path.startswith(b"//"):
        yield b"/" + path.lstrip(b"/"), "the request's path has slashes before the key that were not signed"


def _slash_places(path: bytes) -> list[int]:
    return [at for at, byte in enumerate(path) if byte == 0x2F and at > 0][:MAX_PLACES]


@slashes_changed.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    for at in _slash_places(path):
        doubled_path = path[:at] + b"/" + path[at:]
        yield doubled_path, f"two slashes in a row became one: {show(doubled_path)!r} was signed"
    if b"//" in path[1:]:
        merged_path = path[:1] + path[1:].replace(b"//", b"/")
        yield merged_path, f"one slash became two: {show(merged_path)!r} was signed"


@slashes_changed.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    yield path + b"/", "the path was signed with a slash at its end"
    yield path.rstrip(b"/") or b"/", "the path was signed without the slash at its end"


dot_segments = PATHS.cause(
    "dot-segments",
    title="Dot segments were removed",
    why="HTTP clients remove '/./' and '/../' from a path before they send it (RFC 3986, 5.2.4). Then another path "
    "arrives than was signed.",
    fix="key = posixpath.normpath(key)  # before signing",
)


@dot_segments.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    names = [part for part in [*path.split(b"/")[1:-1][:4], b"a", b"b", b"x"] if part]
    for segment in (b"/.", b"/..", *[b"/" + name + b"/.." for name in names]):
        for at in (0, *_slash_places(path), len(path)):
            value = path[:at] + segment + path[at:]
            yield value, f"the client removed {show(segment)!r}: {show(value)!r} was signed"
    if b"/." in path:
        tidy_path = _without_dots(path)
        yield tidy_path, f"the dot segments were removed before signing: {show(tidy_path)!r} was signed"


def _without_dots(path: bytes) -> bytes:
    """As clients tidy a path up (RFC 3986, 5.2.4)."""
    segments: list[bytes] = []
    parts = path.split(b"/")
    for at, part in enumerate(parts):
        is_last = at == len(parts) - 1
        if part == b"..":
            if len(segments) > 1:
                segments.pop()
            if is_last:
                segments.append(b"")
        elif part == b".":
            if is_last:
                segments.append(b"")
        else:
            segments.append(part)
    return b"/".join(segments) or b"/"


# --- The path in other letters ----------------------------------------------------------------------------------------

path_edited = PATHS.cause(
    "path-edited",
    title="The key was changed as text: case, blanks, backslashes or HTML",
    why="A key that is read from a file's line has the line's end with it. os.path.join writes backslashes on Windows, "
    "which are characters of the key to COS. A template escapes '&', '<' and quotes. Upper and lower case are different "
    "keys. It happened on one side only: where the key was signed, or where the URL was made.",
    fix="key = line.strip()\nkey = path.as_posix()  # pathlib, on Windows",
)


@path_edited.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    names = [(part, part[:1].upper() + part[1:]) for part in path.split(b"/")]
    variants = [b"/".join(each) for each in itertools.product(*names)] if len(names) <= 6 else []
    for value in (path.lower(), path.upper(), path.title(), *variants):
        yield value, f"the path was signed in another case: {show(value)!r}"


@path_edited.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    for blank, what in ((b"\n", "a line's end"), (b"\r\n", "CR and LF"), (b" ", "a space"), (b"\r", "CR")):
        yield path + blank, f"the key was signed with {what} after it"
        if path.endswith(blank):
            yield path.rstrip(b" \t\r\n"), f"the request's path ends with {what}, which was not signed"
    yield b"/ " + path[1:], "the key was signed with a space before it"
    for odd, what in (
        (b"\xc2\xa0", "no-break space"),
        (b"\xe3\x80\x80", "wide space"),
        (b"\xe2\x80\x8b", "zero-width space"),
        (b"\xef\xbb\xbf", "byte order mark"),
    ):
        for plain in (b" ", b""):
            yield path.replace(odd, plain), f"the request's path has a {what} that was not signed"
        yield path.replace(b" ", odd), f"the path was signed with a {what} for each space"


@path_edited.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    yield path.replace(b"/", b"\\"), "the path was signed with backslashes"
    yield b"/" + path[1:].replace(b"/", b"\\"), "the key was signed with backslashes"
    yield path.replace(b"\\", b"/"), "the path was signed with slashes for its backslashes"


@path_edited.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    escaped_path = html.escape(show(path)).encode()
    yield escaped_path, f"the path was signed HTML-escaped: {show(escaped_path)!r}"
    unescaped_path = html.unescape(show(path)).encode()
    yield unescaped_path, "the request's path is HTML-escaped, and the signed one was not"


# --- More of a path, or less ------------------------------------------------------------------------------------------

bucket_in_path = PATHS.cause(
    "bucket-in-path",
    title="The bucket stands in the path",
    why="COS has the bucket in the host. Clients that use S3's path style put it before the key.",
    fix='# the host contains the bucket\nSigner(credentials, bucket="examplebucket-1250000000", region="ap-beijing")',
)


@bucket_in_path.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    for bucket in dict.fromkeys((clues.bucket, clues.bucket.rpartition("-")[0])):
        prefix = b"/" + bucket.encode()
        if bucket:
            yield prefix + path, f"the bucket was signed as the path's beginning: {show(prefix + path)!r}"
        if bucket and path.startswith(prefix + b"/"):
            yield path[len(prefix) :], "the request's path begins with the bucket, which was not signed"


path_missing = PATHS.cause(
    "path-missing",
    title="The path '/' was signed, without the key",
    why="getAuthorization without Key, or with an empty Pathname, signs a request for the bucket.",
    fix='COS.getAuthorization(SecretId=..., SecretKey=..., Key="picture.jpg")',
)


@path_missing.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    if path != b"/":
        yield b"/", "no Key was given to the signer: the path '/' was signed"
        yield b"", "no path was signed"


path_rewritten = PATHS.cause(
    "path-rewritten",
    title="The path was rewritten on the way",
    why="A proxy, a CDN or a rewrite rule added something to the path, or took a part of it away.",
    fix="# nginx sends the request's own path if the name has none\nproxy_pass http://cos_upstream;",
)


@path_rewritten.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    parts = path.split(b"/")
    for count in range(1, min(len(parts) - 1, 5)):
        prefix = show(b"/".join(parts[: 1 + count]))
        yield b"/" + b"/".join(parts[1 + count :]), f"{prefix!r} was put before the path that was signed"
    for page in (b"index.html", b"index.htm"):
        if path.endswith(b"/" + page):
            yield path[: -len(page)], f"{page.decode()} was added to the path that was signed"


@path_rewritten.changes("path", rank=LATE)
def _(path: bytes, clues: Clues) -> Values:
    yield b"/" + path[1:].rpartition(b"/")[2], "folders were put before the path that was signed"


url_as_path = PATHS.cause(
    "url-as-path",
    title="The URL or its query was signed as the path",
    why="The text that is signed has the path alone on its second line, and the parameters on its third.",
    fix="path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)",
)


@url_as_path.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    if clues.raw_query:
        yield path + b"?" + clues.raw_query, "the query was signed as a part of the path"


@url_as_path.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    for host in clues.hosts[:8]:
        for origin in (f"https://{host}", f"http://{host}", host):
            yield origin.encode() + path, "the whole URL was signed as the path"


url_cuts_key = PATHS.cause(
    "url-cuts-key",
    title="The key has '?' or '#', and the URL has it unencoded",
    why="Both end a path. What follows '#' is not even sent.",
    fix='urllib.parse.quote(key, safe="/")',
)


@url_cuts_key.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    if clues.raw_query:
        part = percent_decode(clues.raw_query.partition(b"&")[0])
        yield path + b"?" + part, "the key has a '?' that is not percent-encoded in the URL: the path ends there"
    for fragment in dict.fromkeys((clues.fragment, percent_decode(clues.fragment))):
        if fragment:
            detail = "the key has a '#' that is not percent-encoded in the URL: what follows is not sent"
            yield path + b"#" + fragment, detail
