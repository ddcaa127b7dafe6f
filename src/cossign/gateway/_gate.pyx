# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""What every request of the gateway passes: who asks, for which key, whether a rule allows it, and the answer.

A request's path is decoded once, judged in that form, and that form is signed: no other spelling of a path is ever
looked at. Rules allow; what none allows is refused. All state that processes share is in `Board`.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, quote

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.unicode cimport PyUnicode_AsASCIIString, PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from cossign._native cimport PATH_CONTROL, PATH_FINE, PathFault, Text, escaped_byte, path_fault

from cossign._core import sign_one
from cossign._verify import Judge
from cossign.errors import BadSignature, CredentialsError, KeyNameError, SignatureExpired, SignatureNotYetValid
from cossign.gateway.reasons import CAUSES, CODES, REFUSALS, TABLE, mask_signature

# ASGI's types
Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


cdef extern from "counters.h" nogil:
    int64_t board_add(int64_t* at, int64_t more)
    int64_t board_get(int64_t* at)
    bint board_swap(int64_t* at, int64_t old, int64_t now)
    int64_t now_ns()
    int64_t tick_ns()


# --- What processes share

ctypedef int64_t* Counter

cdef struct Entry:
    int64_t state  # 0: free; 1: its name is being written; 2: there
    int64_t value
    uint8_t[112] name


cdef class Board:
    """Named 64-bit counters in memory that all worker processes share.

    Args:
        memory: a writable buffer, zeroed when it is new, such as an mmap of a file: 128 bytes a counter.
    """

    cdef uint8_t[::1] memory
    cdef Entry* entries
    cdef Py_ssize_t size

    def __init__(self, uint8_t[::1] memory not None):
        self.memory = memory
        self.size = memory.shape[0] // <Py_ssize_t>sizeof(Entry)
        if self.size == 0:
            raise ValueError("memory must have room for one counter at least: 128 bytes")
        self.entries = <Entry*>&memory[0]

    cdef int64_t* at(self, bytes name) except NULL:
        """The counter of a name, made at its first use. Processes that make it at once get the same."""
        cdef Py_ssize_t length = min(PyBytes_GET_SIZE(name), 111)
        cdef const uint8_t* text = <const uint8_t*>PyBytes_AS_STRING(name)
        cdef uint64_t hash_value = 14695981039346656037u  # FNV-1a
        cdef Py_ssize_t i
        cdef int patience
        cdef Entry* entry
        for i in range(length):
            hash_value = (hash_value ^ text[i]) * 1099511628211u
        for i in range(self.size):
            entry = &self.entries[(hash_value + <uint64_t>i) % <uint64_t>self.size]
            if board_get(&entry.state) == 0 and board_swap(&entry.state, 0, 1):
                memcpy(entry.name, text, <size_t>length)
                board_swap(&entry.state, 1, 2)
                return &entry.value
            patience = 1_000_000
            while board_get(&entry.state) == 1 and patience > 0:  # another process is writing the name, or died of it
                patience -= 1
            if memcmp(entry.name, text, <size_t>length) == 0 and entry.name[length] == 0:
                return &entry.value
        raise MemoryError(f"the gateway's shared memory has no room for more than {self.size} counters")

    def add(self, bytes name, int64_t more):
        """Add to a counter; its new value."""
        return board_add(self.at(name), more)

    def __iter__(self):
        """The counters' (name, value) pairs."""
        cdef Py_ssize_t i
        for i in range(self.size):
            if board_get(&self.entries[i].state) == 2:
                yield self.entries[i].name[:112].partition(b"\0")[0], board_get(&self.entries[i].value)


# --- Reasons

cdef enum Reason:
    OK, NO_CREDENTIALS, UNKNOWN_TOKEN, UNKNOWN_SCHEME, BAD_SIGNATURE, UNSIGNED, EXPIRED, NOT_YET_VALID,
    UNKNOWN_CERTIFICATE, AMBIGUOUS, BAD_PATH, BAD_ENCODING, CONTROL, BACKSLASH, EMPTY_SEGMENT, DOT_SEGMENT,
    TWICE_ENCODED, NO_KEY, BAD_KEY, BAD_QUERY, NO_ROUTE, METHOD,
    NOT_GRANTED, METHOD_NOT_GRANTED, PREFIX, PARAMETER, HEADER_NAME, TOO_LONG_VALID,  # what rules say: the nearer to a yes, the later
    ORIGIN, RATE, BUSY, UNTRUSTED, NO_ORIGINAL, UNAVAILABLE, BAD_BODY, TOO_LARGE, MEDIA_TYPE, STALLED, NO_ROOM, STOPPING, GONE, FAILED, REASONS

# `TABLE` has a line of each, in this order.
assert len(TABLE) == REASONS


# --- Paths

cdef Reason decode_path(const uint8_t* raw, size_t size, uint8_t* out, size_t* length) noexcept nogil:
    """A request's path, decoded once into `out`, which has room for `size` bytes; or why it is none."""
    cdef size_t i = 0
    cdef size_t n = 0
    cdef int byte
    if size == 0 or raw[0] != c"/":
        return BAD_PATH
    while i < size:
        out[n] = raw[i]
        if raw[i] == c"%":
            byte = escaped_byte(Text(raw + i, size - i))
            if byte < 0:
                return BAD_ENCODING
            out[n] = <uint8_t>byte
            i += 2
        elif raw[i] == c"#" or raw[i] == c"?" or raw[i] == c" ":
            return BAD_ENCODING
        i += 1
        n += 1
    length[0] = n
    return OK


cdef Reason judge_path(const uint8_t* path, size_t size, bint unusual) noexcept nogil:
    """Whether a path after its first slash means one key to everybody, also to programs that tidy paths up."""
    cdef PathFault fault = path_fault(path, size, unusual)
    # Reasons from CONTROL on have the order of PathFault.
    return OK if fault == PATH_FINE else <Reason>(<int>CONTROL + <int>fault - <int>PATH_CONTROL)


def judged_path(bytes raw not None, bint unusual=False):
    """A request's raw path as it is decoded and judged.

    Returns:
        (decoded, code): the code is "ok", or says why it is refused; decoded is empty then.

    >>> judged_path(b"/a%20b")
    (b'/a b', 'ok')
    >>> judged_path(b"/a/%2e%2E/b")
    (b'', 'dot_segment')
    """
    cdef size_t length = 0
    cdef bytes out = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(raw))
    cdef uint8_t* text = <uint8_t*>PyBytes_AS_STRING(out)
    cdef Reason reason = decode_path(
        <const uint8_t*>PyBytes_AS_STRING(raw), <size_t>PyBytes_GET_SIZE(raw), text, &length
    )
    if reason == OK:
        reason = judge_path(text + 1, length - 1, unusual)
    out = out[:<Py_ssize_t>length]
    if reason == OK:
        try:
            out.decode()
        except UnicodeDecodeError:
            reason = BAD_ENCODING
    return (out if reason == OK else b""), TABLE[reason][0]


# --- Policy

cdef inline bint begins(bytes text, bytes start) noexcept:
    return PyBytes_GET_SIZE(text) >= PyBytes_GET_SIZE(start) and memcmp(
        PyBytes_AS_STRING(text), PyBytes_AS_STRING(start), <size_t>PyBytes_GET_SIZE(start)
    ) == 0


cdef bint begins_with_one(bytes text, tuple starts) noexcept:
    for start in starts:
        if begins(text, <bytes>start):
            return True
    return False


@cython.final
cdef class Names:
    """Names that are allowed: each as it stands, or all that begin with what stands before a star."""

    cdef frozenset whole_names
    cdef tuple beginnings

    def __init__(self, names):
        self.whole_names = frozenset(name for name in names if not name.endswith("*"))
        self.beginnings = tuple(name.removesuffix("*") for name in names if name.endswith("*"))

    cdef bint has(self, str name) except -1:
        return name in self.whole_names or (len(self.beginnings) > 0 and name.startswith(self.beginnings))


@cython.final
cdef class Route:
    """Requests whose path begins alike, and the bucket that they lead to.

    Args:
        name: what it is called in rules, logs and metrics.
        path: what requests' paths begin with, decoded; what follows is the key's rest.
        prefix: what the key begins with.
        methods: the methods that it takes.
        params: the names of the parameters that it takes; a star at the end stands for any rest.
        signer: the Signer of its bucket.
        expires: seconds for which its signatures are valid.
        unusual: whether keys with two slashes in a row, a backslash, or what looks percent-encoded, are taken.
        is_public: whether caches may share the redirects of the anonymous caller.
        origin: the Host that is signed in place of the URL's, or "".
        cdn: a CdnSigner: redirects lead to its host, by its links; or None.
    """

    cdef readonly object signer
    cdef readonly dict headers  # that every signature has
    cdef readonly object cdn
    cdef readonly bint unusual
    cdef readonly str name
    cdef bytes path
    cdef bytes prefix
    cdef bytes host
    cdef long long expires
    cdef frozenset methods
    cdef Names params
    cdef bint is_public
    cdef long long window
    cdef dict templates
    cdef AnswerTemplate last  # the one that was used last
    cdef Counts counts

    def __init__(
        self, str name, bytes path, bytes prefix, methods, params, signer, long long expires, bint unusual,
        bint is_public, *, str origin="", cdn=None,
    ):
        self.name = name
        self.path = path
        self.prefix = prefix
        self.methods = frozenset(methods)
        self.params = Names(params)
        self.signer = signer
        self.host = (origin or signer.where().host).encode()
        self.headers = {"Host": origin} if origin else {}
        self.cdn = cdn
        self.expires = expires
        self.window = signer.round_to or 0
        self.unusual = unusual
        self.is_public = is_public
        self.templates = {}

    cdef AnswerTemplate find_template(self, Request request, int64_t now):
        """What a request's answer is made from; it is the same for all that differ by their key alone, for a second."""
        cdef AnswerTemplate template = self.last
        if template is not None and template.second == now and template.serves(request):
            return template
        cache_key = (
            request.kind, request.method, request.seconds, request.until, request.raw_query, request.caller.anonymous
        )
        template = <AnswerTemplate>self.templates.get(cache_key)
        if template is None or template.second != now:
            template = AnswerTemplate(self, request, now)
            if len(self.templates) >= 256:
                self.templates.clear()
            self.templates[cache_key] = template
        self.last = template
        return template


@cython.final
cdef class AnswerTemplate:
    """What all keys that are signed in one second alike have in common."""

    cdef int64_t second
    cdef Kind kind
    cdef str method
    cdef long long seconds
    cdef long long until
    cdef bytes raw_query
    cdef bint anonymous
    cdef object signed_template  # a URL's Template, or an Authorization's
    cdef object target   # the Template of what to ask COS for, without the signature
    cdef tuple cache     # the Cache-Control header
    cdef bytes token
    cdef int64_t cdn_time  # when the CDN's links are made, to end in time

    def __init__(self, Route route, Request request, int64_t now):
        signer = route.signer
        query = request.query or {}
        self.second = now
        self.kind = request.kind
        self.method = request.method
        self.seconds = request.seconds
        self.until = request.until
        self.raw_query = request.raw_query
        self.anonymous = request.caller.anonymous
        span = signer.times().key_time(request.seconds)
        start, end = span.start, span.end
        if request.until:
            end = max(min(end, request.until), start + 1)
        if route.cdn is not None and request.kind == REDIRECT:
            self.cdn_time = min(start, end - route.cdn.validity)
            if route.cdn.kind == "B":  # written in whole minutes
                self.cdn_time -= self.cdn_time % 60
            seconds_left = self.cdn_time + route.cdn.validity - now
            if seconds_left <= 0:
                raise SignatureExpired("the link would end before it is used")
        else:
            signing_request = signer.prepare(
                request.method, query=query, headers=route.headers, key_time=(start, end)
            )
            end_time = signing_request.credentials.expires_at
            if request.kind == SIGN:
                token = signing_request.credentials.token
                self.signed_template = signing_request.authorization("key")
                self.target = signer.target(query)
                self.token = b"" if token is None else token.encode()
                return
            self.signed_template = signing_request.url("key")
            seconds_left = signing_request.key_time.end - now
            if end_time is not None:
                seconds_left = min(seconds_left, int(end_time) - now)
        # Whoever follows a cached redirect finds at least half of the time that the URL was asked for.
        max_age = seconds_left - request.seconds // 2
        if request.method not in ("GET", "HEAD") or max_age <= 0:
            self.cache = NO_STORE
        else:
            scope = "public" if route.is_public and request.caller.anonymous else "private"
            self.cache = (b"cache-control", f"{scope}, max-age={max_age}".encode())

    cdef bint serves(self, Request request) except -1:
        """Whether it is a request's, but for the key."""
        return (
            self.kind == request.kind and self.seconds == request.seconds and self.until == request.until
            and self.anonymous == request.caller.anonymous and self.raw_query == request.raw_query
            and self.method == request.method
        )


@cython.final
cdef class Rule:
    """What a caller may do: all that it names at once.

    Args:
        routes: names of routes, or None for all.
        prefixes: what keys begin with.
        methods: methods, or None for all that the route takes.
        params: names of parameters, or None for all that the route takes.
        longest: the longest time that a signature may hold, in seconds, or None.
        bulk: whether it allows many signatures at once.
        lists: whether it allows to list the keys of its prefixes.
        headers: names of the headers that an SDK may have signed, but for harmless ones.
    """

    cdef frozenset routes
    cdef tuple prefixes
    cdef frozenset methods
    cdef Names params
    cdef object longest
    cdef bint bulk
    cdef bint lists
    cdef Names headers

    def __init__(self, routes, prefixes, methods, params, longest, bint bulk, *, bint lists=False, headers=()):
        self.routes = None if routes is None else frozenset(routes)
        self.prefixes = tuple([<bytes?>prefix for prefix in prefixes])
        self.methods = None if methods is None else frozenset(methods)
        self.params = None if params is None else Names(params)
        self.longest = longest
        self.bulk = bulk
        self.lists = lists
        self.headers = Names(headers)

    cdef Reason judge_request(self, Request request) except? REASONS:
        """Whether it allows a request; of many signatures at once, but for their keys."""
        if (request.kind == PRESIGN and not self.bulk) or (request.lists and not self.lists):
            return NOT_GRANTED
        if self.routes is not None and request.route.name not in self.routes:
            return NOT_GRANTED
        if self.methods is not None and request.method not in self.methods:
            return METHOD_NOT_GRANTED
        if request.kind != PRESIGN and not begins_with_one(request.key_bytes, self.prefixes):
            return PREFIX
        if self.params is not None and request.query is not None:
            for name in request.query:
                if not self.params.has(name):
                    return PARAMETER
        if request.header_names is not None:
            for name in request.header_names:
                if not self.headers.has(name):
                    return HEADER_NAME
        if self.longest is not None and request.held_seconds > <long long>self.longest:
            return TOO_LONG_VALID
        return OK

    cdef long long most(self, Route route) except -1:
        """Seconds that a signature for a route may be asked for."""
        if self.longest is None:
            return route.expires
        return min(route.expires, <long long>self.longest - route.window)


@cython.final
cdef class Caller:
    """Somebody who may ask.

    Args:
        name: what logs and answers call it.
        rules: what it may do.
        rate: requests a second, or 0 for any number.
        burst: how many of them may come at once.
        board: where it is noted how many came.
        anonymous: whether requests without any identity are this caller's.
    """

    cdef readonly str name
    cdef bint anonymous
    cdef tuple rules
    cdef bytes header
    cdef int64_t interval  # nanoseconds
    cdef int64_t burst     # nanoseconds
    cdef int64_t* due_time  # when the next request would be in time if all came evenly (GCRA); shared

    def __init__(self, str name, rules, double rate, int64_t burst, Board board not None, bint anonymous):
        self.name = name
        self.anonymous = anonymous
        self.rules = tuple(rules)
        self.header = name.encode()
        self.interval = <int64_t>(1e9 / rate) if rate > 0 else 0
        self.burst = self.interval * burst
        self.due_time = board.at(b"due|" + self.header) if rate > 0 else NULL

    cdef int64_t wait(self) noexcept:
        """Take a request from the bucket; or the nanoseconds until one may come."""
        cdef int64_t now, due_time, next_due_time
        if self.due_time == NULL:
            return 0
        now = tick_ns()
        while True:
            due_time = board_get(self.due_time)
            next_due_time = (due_time if due_time > now else now) + self.interval
            if next_due_time - now > self.burst:
                return next_due_time - now - self.burst
            if board_swap(self.due_time, due_time, next_due_time):
                return 0


cdef enum Kind:
    REDIRECT, AUTHORIZE, SIGN, PRESIGN, SDK_AUTHORIZATION, SDK_CREDENTIALS, HEALTHZ, READYZ, METRICS, KINDS

# Times are counted in buckets of powers of two: the last one has all from 2 ** 24 microseconds on.
cdef enum:
    SLOWEST_BUCKET = 25

KIND_NAMES = (
    "redirect", "authorize", "sign", "presign", "sdk_authorization", "sdk_credentials", "healthz", "readyz", "metrics",
)


@cython.final
cdef class Counts:
    """Where the requests of a route, or of none, are counted."""

    cdef Board board
    cdef bytes route
    cdef int64_t[1] spare_counter  # when the board is full
    cdef Counter[KINDS * REASONS] requests
    cdef int64_t* signatures

    def __init__(self, Board board not None, str route):
        self.board = board
        self.route = route.encode()
        self.signatures = self.at(b"signed|" + self.route)

    cdef int64_t* at(self, bytes name) except NULL:
        try:
            return self.board.at(name)
        except MemoryError:
            return self.spare_counter

    cdef int add(self, Kind kind, Reason reason) except -1:
        cdef int place = <int>kind * <int>REASONS + <int>reason
        if self.requests[place] == NULL:
            self.requests[place] = self.at(
                f"requests|{KIND_NAMES[<int>kind]}|{self.route.decode()}|{TABLE[<int>reason][0]}".encode()
            )
        board_add(self.requests[place], 1)
        return 0


# --- A request

@cython.final
@cython.freelist(8)
cdef class Request:
    """A request as it is judged."""

    cdef Kind kind
    cdef readonly Route route
    cdef readonly Caller caller
    cdef str method
    cdef readonly dict query        # but for the signature; None where there is none
    cdef tuple header_names         # the headers that an SDK asks to have signed, and that need a rule
    cdef bint lists                 # whether the key is the beginning of keys that are listed
    cdef bytes raw_query
    cdef bytes key_bytes
    cdef str key
    cdef bint has_signature         # whether the query has a signature
    cdef bytes authorization
    cdef bytes target               # the path and query that the proxy asks for
    cdef bytes original_method      # the method that the proxy asks for
    cdef bytes subject
    cdef bytes verification
    cdef bytes host
    cdef readonly long long held_seconds  # seconds for which a caller's own signature is valid
    cdef readonly long long until   # when it ends, or 0
    cdef readonly long long seconds # that the answer's signature shall hold
    cdef int64_t retry              # nanoseconds


cdef dict EMPTY_BODY = {"type": "http.response.body", "body": b""}
cdef tuple NO_LENGTH = (b"content-length", b"0")
cdef tuple NO_STORE = (b"cache-control", b"no-store")
cdef tuple CHALLENGE = (b"www-authenticate", b'Bearer realm="cossign"')

# The headers that are looked at; what a proxy says has names of its configuration.
cdef enum Header:
    AUTHORIZATION, TARGET, ORIGINAL_METHOD, SUBJECT, VERIFICATION, HOST, ORIGINAL_HOST

HEADERS = ("authorization", "target", "asked", "subject", "verified", "host", "original_host")
cdef int LONGEST_AUTHORIZATION = 512  # bytes of an Authorization that is remembered
cdef int LONGEST_QUERY = 8192
cdef int LONGEST_KEY = 850  # COS's limit, which signing knows; an authorization signs nothing
cdef int MOST_LINES = 100_000  # that wait to be written down
cdef object sha256 = hashlib.sha256


cdef bint is_signatures(str lower) except -1:
    return lower.startswith("q-") or lower == "sign" or lower == "x-cos-security-token"


cdef class RequestJudge:
    """Judges a request: its caller, its key, and whether a rule allows it. `Gate` describes the parameters."""

    cdef tuple routes
    cdef dict headers
    cdef int64_t lengths  # of headers' names: a bit each
    cdef dict by_token
    cdef dict by_certificate
    cdef dict secrets
    cdef dict by_secret_id
    cdef Caller anonymous
    cdef frozenset hosts
    cdef object trusts
    cdef dict trust_by_address
    cdef dict known_callers  # headers that were found good before
    cdef object engine

    def __init__(self, routes, headers, *, by_token, by_certificate, by_secret_id, Caller anonymous, hosts, trusts, engine):
        self.routes = tuple(sorted(routes, key=lambda route: len((<Route>route).path), reverse=True))
        self.headers = {name: HEADERS.index(which) for name, which in headers.items()}
        for name in self.headers:
            self.lengths |= <int64_t>1 << min(63, len(name))
        self.by_token = dict(by_token)
        self.by_certificate = dict(by_certificate)
        self.secrets = {name: known for name, (_, known) in by_secret_id.items()}
        self.by_secret_id = {name: caller for name, (caller, _) in by_secret_id.items()}
        self.anonymous = anonymous
        self.hosts = frozenset(hosts)
        self.trusts = trusts
        self.trust_by_address = {}
        self.known_callers = {}
        self.engine = engine

    cdef bint trusts_client(self, dict scope) except -1:
        """Whether a request comes from a trusted proxy."""
        client = scope.get("client")
        address = "" if client is None else client[0] or ""
        is_trusted = self.trust_by_address.get(address)
        if is_trusted is None:
            if len(self.trust_by_address) >= 4096:
                self.trust_by_address.clear()
            is_trusted = self.trust_by_address[address] = bool(self.trusts(address))
        return is_trusted

    cdef Reason read_headers(self, Request request, dict scope) except? REASONS:
        cdef bytes name
        cdef int which
        cdef int64_t seen_mask = 0
        for pair in scope["headers"]:
            name = <bytes?>pair[0]
            if not self.lengths >> min(63, PyBytes_GET_SIZE(name)) & 1:
                continue
            header_index = self.headers.get(name)
            if header_index is None:
                continue
            which = <int>header_index
            if seen_mask >> which & 1:
                return AMBIGUOUS
            seen_mask |= <int64_t>1 << which
            if which == AUTHORIZATION:
                request.authorization = <bytes?>pair[1]
            elif which == TARGET:
                request.target = <bytes?>pair[1]
            elif which == ORIGINAL_METHOD:
                request.original_method = <bytes?>pair[1]
            elif which == SUBJECT:
                request.subject = <bytes?>pair[1]
            elif which == VERIFICATION:
                request.verification = <bytes?>pair[1]
            elif which == HOST and request.host is None:
                request.host = <bytes?>pair[1]
            elif which == ORIGINAL_HOST and self.trusts_client(scope):
                request.host = <bytes?>pair[1]
        return OK

    cdef Reason read_query(self, Request request, bytes raw) except? REASONS:
        cdef dict query = {}
        cdef set lowers = set()
        cdef str name, value, lower
        if PyBytes_GET_SIZE(raw) > LONGEST_QUERY or b"#" in raw:
            return BAD_QUERY
        try:
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError:
            return BAD_QUERY
        for name, value in pairs:
            lower = name.lower()
            if lower in lowers:
                return AMBIGUOUS
            lowers.add(lower)
            if not name or not name.isprintable() or has_control(value):
                return BAD_QUERY
            if is_signatures(lower):
                request.has_signature = True
            else:
                query[name] = value
        if query:
            request.query = query
        request.raw_query = raw
        return OK

    cdef Reason identify(self, Request request, dict scope, bytes target) except? REASONS:
        cdef bytes auth_header = request.authorization
        cdef object caller
        if auth_header is not None:
            if request.has_signature:
                return AMBIGUOUS
            caller = self.known_callers.get(auth_header)
            if caller is None:
                if auth_header[:7].lower() != b"bearer ":
                    return self.judge(request, scope, target) if b"q-signature=" in auth_header else UNKNOWN_SCHEME
                caller = self.by_token.get(sha256(auth_header[7:]).digest())  # one more blank makes it another token
                if caller is None:
                    return UNKNOWN_TOKEN
                if len(auth_header) <= LONGEST_AUTHORIZATION:
                    if len(self.known_callers) >= 1024:
                        self.known_callers.clear()
                    self.known_callers[auth_header] = caller
        elif request.has_signature:
            return self.judge(request, scope, target)
        elif request.subject and self.trusts_client(scope):
            if request.verification != b"SUCCESS":
                return UNKNOWN_CERTIFICATE
            caller = self.by_certificate.get(request.subject)
            if caller is None:
                return UNKNOWN_CERTIFICATE
        else:
            caller = self.anonymous
            if caller is None:
                return NO_CREDENTIALS
        request.caller = <Caller>caller
        return OK

    cdef Reason judge(self, Request request, dict scope, bytes target) except? REASONS:
        """A caller who signed the request as if it were for COS."""
        cdef list pairs = []
        cdef int64_t now = now_ns() // 1_000_000_000
        if request.host is None:
            return UNSIGNED
        if self.hosts and request.host.lower() not in self.hosts:
            return BAD_SIGNATURE
        for name, value in scope["headers"]:
            if name != b"host":
                pairs.append((name.decode("latin-1"), value.decode("utf-8", "replace")))
        pairs.append(("host", request.host.decode("utf-8", "replace")))
        try:
            verified_request = Judge(request.method, pairs, self.secrets, self.engine).verify(target.decode("ascii"), now)
        except SignatureExpired:
            return EXPIRED
        except SignatureNotYetValid:
            return NOT_YET_VALID
        except (BadSignature, UnicodeDecodeError):
            return BAD_SIGNATURE
        if "host" not in verified_request.header_list:
            return UNSIGNED
        for name in verified_request.unsigned_params:
            if name.lower() != "x-cos-security-token":
                return UNSIGNED
        start, end = verified_request.key_time
        request.held_seconds = end - start
        request.until = end
        request.caller = self.by_secret_id[verified_request.secret_id]
        return OK

    cdef Reason find(self, Request request, bytes raw_path, str root) except? REASONS:
        """The route and the key of a path."""
        cdef bytes path = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(raw_path))
        cdef uint8_t* text = <uint8_t*>PyBytes_AS_STRING(path)
        cdef size_t length = 0
        cdef Route route
        cdef Reason reason = decode_path(
            <const uint8_t*>PyBytes_AS_STRING(raw_path), <size_t>PyBytes_GET_SIZE(raw_path), text, &length
        )
        if reason != OK:
            return reason
        if <Py_ssize_t>length != PyBytes_GET_SIZE(path):
            path = path[:<Py_ssize_t>length]
        if root:
            path = path.removeprefix(root.encode())
            if not path.startswith(b"/"):
                return NO_ROUTE
        for route in self.routes:
            if begins(path, route.path):
                break
        else:
            reason = judge_path(<const uint8_t*>PyBytes_AS_STRING(path) + 1, <size_t>PyBytes_GET_SIZE(path) - 1, True)
            return NO_ROUTE if reason == OK else reason
        reason = judge_path(
            <const uint8_t*>PyBytes_AS_STRING(path) + 1, <size_t>PyBytes_GET_SIZE(path) - 1, route.unusual
        )
        if reason != OK:
            return reason
        request.route = route
        if PyBytes_GET_SIZE(path) == PyBytes_GET_SIZE(route.path):
            return NO_KEY
        if route.prefix:
            request.key_bytes = route.prefix + path[PyBytes_GET_SIZE(route.path):]
        else:
            request.key_bytes = path[PyBytes_GET_SIZE(route.path):]
        if PyBytes_GET_SIZE(request.key_bytes) > LONGEST_KEY:
            return BAD_KEY
        try:
            request.key = PyUnicode_DecodeUTF8(
                PyBytes_AS_STRING(request.key_bytes), PyBytes_GET_SIZE(request.key_bytes), NULL
            )
        except UnicodeDecodeError:
            return BAD_ENCODING
        return OK

    cdef Reason check_rules(self, Request request) except? REASONS:
        """Whether the route and one of the caller's rules allow a request, and for how long a signature may hold."""
        cdef Rule rule
        cdef Reason reason
        cdef Reason nearest = NOT_GRANTED
        cdef Route route = request.route
        if request.method not in route.methods:
            return METHOD
        if request.query is not None:
            for name in request.query:
                if not route.params.has(name):
                    return PARAMETER
        for rule in request.caller.rules:
            reason = rule.judge_request(request)
            if reason == OK:
                request.seconds = rule.most(route)
                return OK
            nearest = max(nearest, reason)
        return nearest

    cdef Reason judge_request(self, Request request, dict scope) except? REASONS:
        """Everything that is asked of a request, in order: who asks, not too often, for which key, by which rule."""
        cdef Reason reason
        cdef bytes raw_path, raw_query, target
        cdef str root
        request.method = scope["method"]
        reason = self.read_headers(request, scope)
        if request.kind == AUTHORIZE or request.kind == SIGN:
            if not self.trusts_client(scope):
                return UNTRUSTED
            if reason != OK:
                return reason
            if not request.target or not request.original_method:
                return NO_ORIGINAL
            target = request.target
            raw_path, _, raw_query = target.partition(b"?")
            request.method = request.original_method.decode("latin-1")
            root = None
        else:
            if reason != OK:
                return reason
            root = scope.get("root_path")
            raw_query = scope["query_string"]
            scope_path = scope.get("raw_path")
            raw_path = quote(scope["path"]).encode() if scope_path is None else scope_path
            target = raw_path + b"?" + raw_query if raw_query else raw_path
        if raw_query:
            reason = self.read_query(request, raw_query)
            if reason != OK:
                return reason
        reason = self.identify(request, scope, target)
        if reason != OK:
            return reason
        request.retry = request.caller.wait()
        if request.retry > 0:
            return RATE
        if request.kind >= PRESIGN:  # what is signed stands in the body
            return OK
        reason = self.find(request, raw_path, root)
        if reason != OK:
            return reason
        return self.check_rules(request)


@cython.final
cdef class Gate(RequestJudge):
    """A gateway's policy, made ready.

    Args:
        routes: Route objects.
        endpoints: path -> its kind's name: "authorize", "sign", "presign", "healthz", "readyz", "metrics".
        headers: a header's name -> which it is: "authorization"; "target" and "asked", the target and the method of the
            request that a proxy asks for; "subject" and "verified", of a certificate; "host"; "original_host".
        by_token: SHA-256 digest of a bearer token -> Caller.
        by_certificate: the subject that the proxy tells -> Caller.
        by_secret_id: SecretId -> (Caller, what a Judge verifies with).
        anonymous: the Caller of requests without credentials, or None.
        hosts: the hosts that callers may sign requests for, or an empty set for any.
        trusts: a function: whether a client's address, or "" for a Unix socket, is a proxy's that is trusted.
        nginx: whether a sub-request's answer must be 401 or 403 for any reason, and signatures are sent in the gateway's
            own headers instead of those that go to COS.
        board: where requests are counted.
        log: a function: the line that is written down of a request, by its scope and fields; None for none.
        lines: where lines wait to be written. A Gate that takes the place of another has the same list: requests of that
            one may still end.
        help: the URL of the catalogue's page, for a Link in refusals; None if callers are not told.
        engine: what recomputes signatures.
    """

    cdef readonly list lines
    cdef Board board
    cdef dict by_name
    cdef dict endpoints
    cdef bint nginx
    cdef object log
    cdef dict entries  # of each reason that the catalogue explains: where
    cdef dict links    # of these the headers for callers, if they are told
    cdef Counts counts
    cdef Counter[KINDS * (SLOWEST_BUCKET + 2)] times

    def __init__(
        self, *, routes, endpoints, headers, by_token, by_certificate, by_secret_id, Caller anonymous, hosts, trusts,
        bint nginx, Board board not None, log, list lines not None, engine, help=None,
    ):
        cdef Route route
        super().__init__(
            routes, headers, by_token=by_token, by_certificate=by_certificate, by_secret_id=by_secret_id,
            anonymous=anonymous, hosts=hosts, trusts=trusts, engine=engine,
        )
        self.by_name = {}
        for route in self.routes:
            self.by_name[route.name] = route
            route.counts = Counts(board, route.name)
        self.endpoints = {path: KIND_NAMES.index(name) for path, name in endpoints.items()}
        self.nginx = nginx
        self.board = board
        self.log = log
        self.entries = {
            <int>CODES[code]: f"{help or 'signature-does-not-match'}{'#' if cause else ''}{cause}"
            for code, cause in CAUSES.items()
        }
        self.links = {} if help is None else {
            reason: (b"link", f'<{entry}>; rel="help"'.encode()) for reason, entry in self.entries.items()
        }
        self.lines = lines
        self.counts = Counts(board, "")

    # --- Answers

    def answer(self, dict scope not None):
        """The answer to a redirect's, an authorization's or a signing's request.

        Returns:
            (start, body): ASGI's two events; or None if the path is that of another endpoint.
        """
        cdef int64_t start_time = tick_ns()
        cdef Request request
        cdef Reason reason
        cdef object kind_index = self.endpoints.get(scope["path"] if not scope.get("root_path") else own_path(scope))
        cdef int kind = REDIRECT if kind_index is None else <int>kind_index
        if kind >= PRESIGN:
            return None
        request = Request.__new__(Request)
        request.kind = <Kind>kind
        reason = self.judge_request(request, scope)
        events = None
        if reason == OK:
            try:
                events = self.grant(request)
            except KeyNameError:
                reason = BAD_KEY
            except CredentialsError:
                reason = UNAVAILABLE
            except SignatureExpired:
                reason = EXPIRED
        if reason != OK:
            events = self.refuse(request, reason)
        self.note(request, scope, reason, tick_ns() - start_time, events[0]["status"])
        return events

    cdef tuple grant(self, Request request):
        cdef Route route = request.route
        cdef AnswerTemplate template
        cdef list headers
        cdef int64_t now
        if request.kind == AUTHORIZE:
            headers = [
                (b"x-cossign-caller", request.caller.header), (b"x-cossign-route", route.counts.route), NO_STORE,
            ]
            return {"type": "http.response.start", "status": 204, "headers": headers}, EMPTY_BODY
        now = now_ns() // 1_000_000_000
        template = route.find_template(request, now)
        if template.signed_template is None:
            link = route.cdn.sign(request.key, timestamp=template.cdn_time, rand="0", query=request.query)
            signed_value = PyUnicode_AsASCIIString(link)
        else:
            signed_value = PyUnicode_AsASCIIString(sign_one(template.signed_template, request.key))
        board_add(route.counts.signatures, 1)
        if request.kind == REDIRECT:
            headers = [(b"location", signed_value), template.cache, NO_LENGTH]
            status = 302 if request.method == "GET" or request.method == "HEAD" else 307
            return {"type": "http.response.start", "status": status, "headers": headers}, EMPTY_BODY
        headers = [
            (b"x-cossign-authorization" if self.nginx else b"authorization", signed_value),
            (b"x-cossign-target", PyUnicode_AsASCIIString(sign_one(template.target, request.key))),
            (b"x-cossign-host", route.host),
            (b"x-cossign-caller", request.caller.header),
            NO_STORE,
        ]
        if template.token:
            headers.append((b"x-cossign-token" if self.nginx else b"x-cos-security-token", template.token))
        return {"type": "http.response.start", "status": 204, "headers": headers}, EMPTY_BODY

    cdef tuple refuse(self, Request request, Reason reason):
        cdef list headers
        body, fixed_headers = REFUSALS[<int>reason]
        status = TABLE[<int>reason][1]
        headers = list(fixed_headers)
        if self.nginx and (request.kind == AUTHORIZE or request.kind == SIGN) and status not in (401, 503):
            status = 403
        if status == 401:
            headers.append(CHALLENGE)
        if <int>reason in self.links:
            headers.append(self.links[<int>reason])
        if reason == METHOD:
            methods = ("POST",) if request.route is None else sorted(request.route.methods)  # without one: of the endpoint
            headers.append((b"allow", ", ".join(methods).encode()))
        elif reason == RATE or reason == BUSY:
            headers.append((b"retry-after", b"%d" % (request.retry // 1_000_000_000 + 1)))
        return {"type": "http.response.start", "status": status, "headers": headers}, {
            "type": "http.response.body", "body": body
        }

    cdef int note(
        self, Request request, dict scope, Reason reason, int64_t elapsed_ns, int status, int64_t signature_count=-1
    ) except -1:
        """Count a request, and write it down."""
        cdef Counts counts = self.counts if request.route is None else request.route.counts
        counts.add(request.kind, reason)
        self.time(request.kind, elapsed_ns)
        if self.log is not None and len(self.lines) < MOST_LINES:
            line = {
                "time": now_ns() // 1_000_000 / 1e3,
                "endpoint": KIND_NAMES[<int>request.kind],
                "client": None,
                "caller": None if request.caller is None else request.caller.name,
                "method": request.method if request.kind in (AUTHORIZE, SIGN) else scope["method"],
                "route": None if request.route is None else request.route.name,
                "key": None if request.key is None else mask_signature(request.key),
                "path": mask_signature(scope["path"]) if request.key is None else None,
                "status": status,
                "reason": TABLE[<int>reason][0],
                "microseconds": elapsed_ns // 1000,
            }
            if <int>reason in self.entries:
                line["explained"] = self.entries[<int>reason]
            if signature_count >= 0:
                line["signed"] = signature_count
            if request.kind in (PRESIGN, SDK_AUTHORIZATION) and reason == OK:
                line["signs"] = request.method
            self.lines.append(self.log(scope, line))
        elif self.log is not None:
            self.board.add(b"unlogged", 1)
        return 0

    cdef int time(self, Kind kind, int64_t elapsed_ns) except -1:
        cdef int bucket = 0
        cdef int64_t micros = elapsed_ns // 1000
        cdef int64_t** times = &self.times[<int>kind * (SLOWEST_BUCKET + 2)]
        if times[0] == NULL:
            for bucket in range(SLOWEST_BUCKET + 2):
                times[bucket] = self.counts.at(f"time|{KIND_NAMES[<int>kind]}|{bucket}".encode())
            bucket = 0
        while micros > 0 and bucket < SLOWEST_BUCKET:
            micros >>= 1
            bucket += 1
        board_add(times[bucket], 1)
        board_add(times[SLOWEST_BUCKET + 1], elapsed_ns)
        return 0

    # --- Of endpoints that are answered in Python

    def kind(self, dict scope not None):
        """The name of the endpoint that a request is for."""
        return KIND_NAMES[<int>self.endpoints.get(own_path(scope), REDIRECT)]

    def admit(self, dict scope not None):
        """Who asks for what stands in a request's body.

        Returns:
            (request, code): the code is "ok", or why it is refused.
        """
        cdef Request request = Request.__new__(Request)
        request.kind = <Kind><int>self.endpoints[own_path(scope)]
        cdef Reason reason = self.judge_request(request, scope)
        return request, TABLE[<int>reason][0]

    def permit(self, Request request not None, str route, str method not None, dict query, seconds):
        """What of a route's keys a caller may sign at once.

        Args:
            request: as `admit` gave it.
            route: the route's name, or None if there is but one.
            method: the method that is signed.
            query: the parameters that are signed, or None.
            seconds: how long the signatures shall hold, or None for as long as they may.

        Returns:
            (code, prefixes): the code is "ok", or why it is refused; keys must begin with one of the prefixes. If the
            code is "expires", `request.seconds` is how long the signatures may hold.
        """
        cdef Rule rule
        cdef Reason reason
        cdef list prefixes = []
        cdef bytes route_prefix
        if route is None and len(self.routes) == 1:
            route = (<Route>self.routes[0]).name
        request.route = self.by_name.get(route)
        if request.route is None:
            return "no_route", ()
        route_prefix = request.route.prefix
        request.method = method
        request.query = query
        reason = self.check_rules(request)
        if reason != OK:
            return TABLE[<int>reason][0], ()
        if seconds is not None:
            request.seconds = seconds
        for rule in request.caller.rules:
            if rule.judge_request(request) == OK and request.seconds <= rule.most(request.route):
                for prefix in rule.prefixes:
                    if prefix.startswith(route_prefix):
                        prefixes.append(prefix)
                    elif route_prefix.startswith(prefix):
                        prefixes.append(route_prefix)
        if not prefixes and seconds is not None:
            request.seconds = self.longest_seconds(request)
            return "expires", ()
        return ("ok" if prefixes else "prefix"), tuple(prefixes)

    cdef long long longest_seconds(self, Request request) except -1:
        """How long a signature may be asked for that the rules allow."""
        cdef Rule rule
        cdef long long longest = 0
        for rule in request.caller.rules:
            if rule.judge_request(request) == OK:
                longest = max(longest, rule.most(request.route))
        return longest

    def permit_request(
        self, Request request not None, *, str route not None, str method not None, bytes key not None, dict query,
        header_names, bint lists, seconds,
    ):
        """Whether a caller may have one request signed that an SDK is going to send.

        Args:
            request: as `admit` gave it.
            route: the route's name.
            method: the request's method.
            key: its key; where keys are listed, what they begin with.
            query: its parameters, or None.
            header_names: the names of the headers that are signed and need a rule, in lower case.
            lists: whether keys are listed.
            seconds: how long the signature shall be valid, or None for as long as it may.

        Returns:
            The code: "ok", or why it is refused; `request.seconds` is then how long the signature is valid, or the
            most that is allowed if the code is "expires".
        """
        cdef Reason reason
        cdef long long longest
        request.route = self.by_name[route]
        request.method = method
        request.key_bytes = key
        request.query = query
        request.header_names = tuple(header_names)
        request.lists = lists
        reason = judge_path(
            <const uint8_t*>PyBytes_AS_STRING(key), <size_t>PyBytes_GET_SIZE(key), request.route.unusual
        )
        if reason == OK and not begins(key, request.route.prefix):
            reason = PREFIX
        if reason == OK and PyBytes_GET_SIZE(key) > LONGEST_KEY:
            reason = BAD_KEY
        if reason == OK:
            request.key = key.decode()
            reason = self.check_rules(request)
        if reason == OK and seconds is not None:
            longest = self.longest_seconds(request)
            if seconds > longest:
                reason = TOO_LONG_VALID
            request.seconds = min(seconds, longest)
        return TABLE[<int>reason][0]

    def count(
        self, Request request not None, dict scope not None, str code not None, int64_t elapsed_ns,
        int64_t signature_count,
    ):
        """Count a request that was answered in Python, and write it down."""
        cdef Reason reason = <Reason><int>CODES[code]
        if request.route is not None and signature_count > 0:
            board_add(request.route.counts.signatures, signature_count)
        self.note(request, scope, reason, elapsed_ns, 200 if reason == OK else TABLE[<int>reason][1], signature_count)

    def refusal(self, Request request not None, str code not None, str more=""):
        """The answer that refuses a request, as ASGI's two events; `more` follows the meaning of the code."""
        start, body = self.refuse(request, <Reason><int>CODES[code])
        if more:
            text = json.dumps({"error": code, "message": f"{TABLE[CODES[code]][2]}: {more}"}).encode() + b"\n"
            body = {"type": "http.response.body", "body": text}
            start["headers"] = [
                (name, b"%d" % len(text) if name == b"content-length" else value) for name, value in start["headers"]
            ]
        return start, body


cdef bint has_control(str text) except -1:
    cdef Py_UCS4 letter
    for letter in text:
        if letter < 0x20 or 0x7F <= letter < 0xA0 or letter == 0xFFFD:
            return True
    return False


def own_path(dict scope not None):
    """A request's path without what the application is mounted under."""
    return scope["path"].removeprefix(scope.get("root_path") or "")


# --- Many keys

@cython.final
cdef class KeyFilter:
    """Which of many keys may be signed.

    Args:
        prefixes: what keys begin with: one of them.
        unusual: as in Route.

    >>> KeyFilter((b"a/",), False).filter_lines(b"a/1\\nb/2\\na/../b/2\\n", 100)
    (b'a/1\\n\\n\\n', {1: 'prefix', 2: 'dot_segment'}, 3)
    """

    cdef tuple prefixes
    cdef Py_ssize_t count
    cdef const char** texts
    cdef Py_ssize_t* sizes
    cdef bint unusual

    def __cinit__(self, tuple prefixes not None, bint unusual):
        cdef Py_ssize_t i
        self.prefixes = prefixes
        self.unusual = unusual
        self.count = len(prefixes)
        self.texts = <const char**>PyMem_RawMalloc(<size_t>(self.count + 1) * sizeof(char*))
        self.sizes = <Py_ssize_t*>PyMem_RawMalloc(<size_t>(self.count + 1) * sizeof(Py_ssize_t))
        if self.texts == NULL or self.sizes == NULL:
            raise MemoryError
        for i in range(self.count):
            self.texts[i] = PyBytes_AS_STRING(<bytes?>prefixes[i])
            self.sizes[i] = PyBytes_GET_SIZE(<bytes>prefixes[i])

    def __dealloc__(self):
        PyMem_RawFree(self.texts)
        PyMem_RawFree(self.sizes)

    cdef Reason judge_key(self, const uint8_t* key, size_t size) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.count):
            if size >= <size_t>self.sizes[i] and memcmp(key, self.texts[i], <size_t>self.sizes[i]) == 0:
                return judge_path(key, size, self.unusual)
        return PREFIX

    def filter_lines(self, bytes lines not None, Py_ssize_t most):
        """Lines of text, without what stands in those that may not be signed.

        Args:
            lines: the lines; the last one need not end.
            most: how many of those that may not be signed are told.

        Returns:
            (lines, refused, rows): refused has such lines' numbers, from 0, and why; rows is how many lines there are.
        """
        cdef bytes out = lines
        cdef const uint8_t* start = <const uint8_t*>PyBytes_AS_STRING(lines)
        cdef const uint8_t* end = start + PyBytes_GET_SIZE(lines)
        cdef const uint8_t* place = start
        cdef const uint8_t* stop
        cdef size_t size
        cdef Py_ssize_t row = 0
        cdef Reason reason
        cdef list pieces = None
        cdef const uint8_t* piece_start = start
        refused_rows = {}
        while place < end:
            reason = OK
            with nogil:
                while place < end:
                    stop = <const uint8_t*>memchr(place, c"\n", <size_t>(end - place))
                    if stop == NULL:
                        stop = end
                    size = <size_t>(stop - place)
                    if size > 0 and stop < end and place[size - 1] == c"\r":
                        size -= 1
                    if size > 0:
                        reason = self.judge_key(place, size)
                        if reason != OK:
                            break
                    place = stop + 1
                    row += 1
            if reason != OK:
                if pieces is None:
                    pieces = []
                pieces.append(piece_start[:place - piece_start])
                piece_start = stop
                if len(refused_rows) < most:
                    refused_rows[row] = TABLE[<int>reason][0]
                place = stop + 1
                row += 1
        if pieces is not None:
            pieces.append(piece_start[:end - piece_start])
            out = b"".join(pieces)
        return out, refused_rows, row
