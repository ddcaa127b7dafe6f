# cython: language_level=3, freethreading_compatible=True
"""The hot path: percent-encoding, canonicalisation, SignKey, and signing and judging whole batches.

A `Template` holds what a batch has in common. A row is one key's HttpString and output text, with a hole where the
signature goes. A tile of rows is laid out without the GIL, `hash_rows` fills the holes by one of the engines (sha1/, or
hashlib), and the rows become str. A single call is a batch of one.

Source of the algorithm: Tencent Cloud, COS, "Request Signature" (product 436, page 7778).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.number cimport PyIndex_Check
from cpython.unicode cimport PyUnicode_AsUTF8String, PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset

from hashlib import sha1
from hmac import compare_digest
from itertools import islice
from os import urandom

from cossign.errors import (
    KeyNameError,
    MalformedSignature,
    MissingParameter,
    ParameterError,
    SignatureExpired,
    SignatureMismatch,
    SignatureNotYetValid,
    UnknownSecretId,
)

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text) noexcept
    void* PyUnicode_DATA(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    ctypedef struct PyObject
    ctypedef object (*PyCFunction)(object self, PyObject* argument)
    ctypedef struct PyMethodDef:
        PyCFunction ml_meth
        int ml_flags
    ctypedef struct PyMethodDescrObject:
        PyMethodDef* d_method
    int METH_NOARGS
    int METH_O

cdef extern from "sha1/sha1.h" nogil:
    enum:
        SHA1_BLOCK
        SHA1_TILE
        SHA1_ENGINES
    ctypedef struct sha1_key:
        pass
    ctypedef struct sha1_row:
        const uint8_t* http
        size_t size
        uint8_t* hole
    ctypedef struct sha1_engine:
        const char* name
    size_t sha1_engines(sha1_engine* engines) noexcept
    void sha1_prepare(
        sha1_key* key, const uint8_t* hmac_key, size_t size, const uint8_t* head, size_t head_size
    ) noexcept
    void sha1_sign(const sha1_engine* engine, const sha1_key* key, const sha1_row* rows, size_t count) noexcept
    size_t sha1_blocks(size_t size) noexcept
    void sha1_pad(uint8_t* message, size_t size, size_t before) noexcept

cdef extern from "sha1/scan.h" nogil:
    enum:
        SCAN_SLACK
    uint8_t* put_text(uint8_t* out, const uint8_t* text, size_t size) noexcept
    uint8_t* put_exact(uint8_t* out, const uint8_t* text, size_t size) noexcept
    bint scan_safe(const uint8_t* data) noexcept
    bint scan_plain(uint8_t* key, size_t size) noexcept


# --- Percent-encoding -------------------------------------------------------------------------------------------------

cdef bytes UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ" b"abcdefghijklmnopqrstuvwxyz" b"0123456789" b"-_.~"
cdef const uint8_t* UPPER_HEX = b"0123456789ABCDEF"
cdef const uint8_t* LOWER_HEX = b"0123456789abcdef"


cdef struct Escape:
    uint8_t[3] text  # the byte itself, or %XX
    uint8_t size

# Per policy, what stands for each byte. A component is a name or a value; a path keeps its slashes, too.
cdef Escape[256] COMPONENT
cdef Escape[256] PATH


cdef void _keep(Escape* policy, bytes kept) noexcept:
    cdef int byte
    for byte in range(256):
        policy[byte].text[0] = c"%"
        policy[byte].text[1] = UPPER_HEX[byte >> 4]
        policy[byte].text[2] = UPPER_HEX[byte & 15]
        policy[byte].size = 3
    for byte in kept:
        policy[byte].text[0] = <uint8_t>byte
        policy[byte].size = 1


_keep(COMPONENT, UNRESERVED)
_keep(PATH, UNRESERVED + b"/")


cdef struct Text:
    const uint8_t* data
    size_t size


cdef inline uint8_t* put_encoded(uint8_t* out, Text text, const Escape* policy) noexcept nogil:
    """Writes at most 3 * text.size bytes, and SCAN_SLACK more without meaning; returns the end."""
    cdef size_t i = 0
    cdef size_t end
    cdef const Escape* escape
    while i < text.size:
        if policy == PATH and i + 16 <= text.size and scan_safe(text.data + i):
            memcpy(out, text.data + i, 16)
            out += 16
            i += 16
            continue
        end = min(i + 16, text.size)
        while i < end:
            escape = &policy[text.data[i]]
            memcpy(out, escape, 4)
            out += escape.size
            i += 1
    return out


cdef inline void put_hex(uint8_t* out, const uint8_t* digest) noexcept nogil:
    """The 20 bytes of a SHA-1 digest as 40 lower-case hex characters."""
    cdef int i
    for i in range(20):
        out[2 * i] = LOWER_HEX[digest[i] >> 4]
        out[2 * i + 1] = LOWER_HEX[digest[i] & 15]


cdef inline Text text_of(bytes data) noexcept:
    return Text(<const uint8_t*>PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data))


cdef bytes encoded(bytes data, const Escape* policy):
    cdef Text text = text_of(data)
    cdef uint8_t* buffer = <uint8_t*>PyMem_RawMalloc(3 * text.size + SCAN_SLACK)
    if buffer == NULL:
        raise MemoryError
    try:
        return PyBytes_FromStringAndSize(<char*>buffer, put_encoded(buffer, text, policy) - buffer)
    finally:
        PyMem_RawFree(buffer)


def encode_component(data: bytes, /) -> bytes:
    """Percent-encode a name or a value: all but ``A-Z a-z 0-9 - _ . ~`` become ``%XX``, upper-case.

    >>> encode_component(b"a b/c")
    b'a%20b%2Fc'
    """
    return encoded(data, COMPONENT)


def encode_path(data: bytes, /) -> bytes:
    """Percent-encode an object key for a URL's path: as a component, with ``/`` kept.

    >>> encode_path(b"a b/c")
    b'a%20b/c'
    """
    return encoded(data, PATH)


cdef inline int nibble(uint8_t digit) noexcept nogil:
    if c"0" <= digit <= c"9":
        return digit - c"0"
    if c"A" <= digit <= c"F":
        return digit - c"A" + 10
    if c"a" <= digit <= c"f":
        return digit - c"a" + 10
    return -1


cdef bytes decoded(bytes data, bint plus_is_space):
    """Percent-decode; what is no valid escape stays as it is. `plus_is_space` is for queries (HTML forms)."""
    if b"%" not in data and not (plus_is_space and b"+" in data):
        return data
    cdef Text text = text_of(data)
    cdef bytes result = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>text.size)
    cdef uint8_t* start = <uint8_t*>PyBytes_AS_STRING(result)
    cdef uint8_t* out = start
    cdef size_t i = 0
    cdef int high, low
    while i < text.size:
        out[0] = text.data[i]
        if text.data[i] == c"%" and i + 2 < text.size:
            high = nibble(text.data[i + 1])
            low = nibble(text.data[i + 2])
            if high >= 0 and low >= 0:
                out[0] = <uint8_t>(high << 4 | low)
                i += 2
        elif plus_is_space and text.data[i] == c"+":
            out[0] = c" "
        out += 1
        i += 1
    return result[:out - start]


# --- Canonicalisation -------------------------------------------------------------------------------------------------

cdef class Column:
    """Stands in a query for a value that differs by row: the `index`-th of the columns given to `sign_many`."""

    cdef readonly Py_ssize_t index

    def __init__(self, index: int):
        self.index = index


cdef str javascript_number(double value):
    """A float as ECMAScript's Number::toString prints it (ECMA-262, 6.1.6.1.20): 1.0 is "1", 1e21 is "1e+21"."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[0]}{'.' if count > 1 else ''}{digits[1:]}e{point - 1:+d}"


cdef bytes value_bytes(object value):
    """A parameter's value as it is signed, before percent-encoding; TypeError or UnicodeEncodeError if it is none."""
    if isinstance(value, str):
        return PyUnicode_AsUTF8String(value)
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if PyIndex_Check(value):
        return b"%d" % value
    if isinstance(value, float):
        return javascript_number(value).encode()
    raise TypeError


cdef bytes checked_value(object value, str parameter, object index):
    """`value_bytes`, or a ParameterError that names `parameter` and, in a column, the row."""
    try:
        return value_bytes(value)
    except UnicodeEncodeError:
        raise ParameterError(parameter, "is not valid Unicode: it holds a lone surrogate", index) from None
    except TypeError:
        reason = f"must be a str, a number, a bool or None, not {type(value).__name__}"
        raise ParameterError(parameter, reason, index) from None


cdef bytes checked_name(object name, str parameter):
    if not isinstance(name, str):
        raise ParameterError(parameter, f"must have str names, not {type(name).__name__}")
    if not name:
        raise ParameterError(parameter, "must not have an empty name")
    return checked_value(name, f"{parameter}[{name!r}]", None)


cdef tuple first(tuple pair):
    return pair[0],


def canonical(mapping, str parameter):
    """Sort and encode parameters or headers as they are signed.

    Args:
        mapping: names to values; a value may be a `Column`. Equal names in two cases are both kept, in order.
        parameter: what to call the mapping in an error.

    Returns:
        ``(names, signed, cased)``: the list (UrlParamList or HeaderList) as bytes; the pieces of HttpParameters or
        HttpHeaders; and the same pieces with the names' case kept, as they stand in a URL. Pieces are bytes, and an
        int for each `Column`.
    """
    if not mapping:
        return b"", [], []
    cdef list entries = []
    for name, value in mapping.items():
        cased = encoded(checked_name(name, parameter), COMPONENT)
        if not isinstance(value, Column):
            value = encoded(checked_value(value, f"{parameter}[{name!r}]", None), COMPONENT)
        entries.append((cased.lower(), cased, value))
    if len(entries) > 1:
        entries.sort(key=first)
    return (
        b";".join([entry[0] for entry in entries]),
        pieces([(entry[0], entry[2]) for entry in entries]),
        pieces([(entry[1], entry[2]) for entry in entries]),
    )


cdef list pieces(list pairs):
    """``name=value`` pairs joined with ``&``, constant text in one piece as far as it goes."""
    cdef list result = []
    cdef list text = []
    for name, value in pairs:
        text.append(name + b"=")
        if isinstance(value, Column):
            result.append(b"&".join(text) if not result else b"&" + b"&".join(text))
            result.append((<Column>value).index)
            text = []
        else:
            text[-1] += value
    if text:
        result.append(b"&".join(text) if not result else b"&" + b"&".join(text))
    return result


def encoded_pairs(pairs, str parameter):
    """``name=value`` joined with ``&``, each part percent-encoded, in the order given: the query of a URL."""
    return b"&".join([
        encoded(checked_name(name, parameter), COMPONENT)
        + b"="
        + encoded(checked_value(value, f"{parameter}[{name!r}]", None), COMPONENT)
        for name, value in pairs
    ])


# --- hashlib's HMAC-SHA1 -------------------------------------------------------------------------------------------------

# The methods of hashlib's hash objects as the C functions that they are: no attribute is looked up in the loop.
cdef PyCFunction sha1_copy
cdef PyCFunction sha1_update
cdef PyCFunction sha1_digest


cdef object call_copy(object self, PyObject* argument):
    return self.copy()


cdef object call_update(object self, PyObject* argument):
    return self.update(<object>argument)


cdef object call_digest(object self, PyObject* argument):
    return self.digest()


cdef PyCFunction c_method(object kind, str name, int flags, PyCFunction otherwise):
    """A method's C function, or `otherwise` where this Python's hashlib passes arguments in another way."""
    method = getattr(kind, name)
    if type(method) is not type(str.lower):
        return otherwise
    definition = (<PyMethodDescrObject*>method).d_method
    return definition.ml_meth if definition.ml_flags == flags else otherwise


cdef object EMPTY_SHA1 = sha1()  # to copy: cheaper than to make one, with OpenSSL 3
sha1_copy = c_method(type(sha1()), "copy", METH_NOARGS, call_copy)
sha1_update = c_method(type(sha1()), "update", METH_O, call_update)
sha1_digest = c_method(type(sha1()), "digest", METH_NOARGS, call_digest)


cdef tuple hmac_states(const uint8_t* key, size_t size):
    """The SHA-1 states after HMAC's inner and outer pads (RFC 2104); the pads are wiped."""
    cdef bytearray pad = bytearray(64)
    cdef Py_ssize_t i
    if size > 64:
        digest = sha1(PyBytes_FromStringAndSize(<const char*>key, <Py_ssize_t>size)).digest()
        return hmac_states(<const uint8_t*>PyBytes_AS_STRING(digest), 20)
    memcpy(<char*>pad, key, size)
    for i in range(64):
        pad[i] ^= 0x36
    inner = sha1(pad)
    for i in range(64):
        pad[i] ^= 0x36 ^ 0x5C
    outer = sha1(pad)
    memset(<char*>pad, 0, 64)
    return inner, outer


cdef bytes hmac_digest(object inner, object outer, bytes message):
    """HMAC-SHA1 of a message, from copies of the prepared states."""
    cdef object state = sha1_copy(inner, NULL)
    sha1_update(state, <PyObject*>message)
    cdef object digest = sha1_digest(state, NULL)
    state = sha1_copy(outer, NULL)
    sha1_update(state, <PyObject*>digest)
    return sha1_digest(state, NULL)


def hmac_sha1(key: bytes, message: bytes, /) -> bytes:
    """HMAC-SHA1 as the core computes it, for the published test vectors.

    >>> hmac_sha1(b"Jefe", b"what do ya want for nothing?").hex()
    'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'
    """
    inner, outer = hmac_states(<const uint8_t*>PyBytes_AS_STRING(key), <size_t>PyBytes_GET_SIZE(key))
    return hmac_digest(inner, outer, message)


cdef class SignKey:
    """SignKey = hex(HMAC-SHA1(SecretKey, KeyTime)), as prepared HMAC states; made by `Secret.sign_key`."""

    cdef readonly str key_time
    cdef uint8_t[40] hexadecimal
    cdef bytes head    # "sha1\n<KeyTime>\n", the constant head of StringToSign
    cdef sha1_key native
    cdef object inner  # hashlib's: has absorbed the head
    cdef object outer

    def __dealloc__(self):
        wipe(self.hexadecimal, sizeof(self.hexadecimal))
        wipe(<uint8_t*>&self.native, sizeof(self.native))

    def __reduce__(self):
        raise TypeError("a SignKey cannot be pickled: it signs like the SecretKey it was made of")

    cdef int for_hashlib(self) except -1:
        """Prepare hashlib's states, too."""
        if self.inner is None:
            self.inner, self.outer = hmac_states(self.hexadecimal, 40)
            self.inner.update(self.head)
        return 0


cdef void wipe(uint8_t* data, size_t size) noexcept:
    """Overwrite a secret; volatile, so that no compiler leaves it out."""
    cdef volatile uint8_t* wiped = data
    cdef size_t i
    for i in range(size):
        wiped[i] = 0


cdef class Secret:
    """A SecretKey or a token, wiped from memory when it dies; never shown, never pickled."""

    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef dict sign_keys  # the SignKeys of the last KeyTimes

    def __cinit__(self, data: bytes):
        self.size = PyBytes_GET_SIZE(data)
        self.data = <uint8_t*>PyMem_RawMalloc(<size_t>self.size + 1)
        if self.data == NULL:
            raise MemoryError
        memcpy(self.data, PyBytes_AS_STRING(data), <size_t>self.size)
        self.sign_keys = {}

    def __dealloc__(self):
        if self.data != NULL:
            wipe(self.data, <size_t>self.size)
            PyMem_RawFree(self.data)

    def reveal(self) -> str:
        """The secret itself."""
        return PyUnicode_DecodeUTF8(<const char*>self.data, self.size, NULL)

    def __repr__(self):
        return "<secret>"

    def __reduce__(self):
        raise TypeError("a secret cannot be pickled: a pickled secret is a leaked secret")

    cpdef SignKey sign_key(self, str key_time, str sign_time=None):
        """The SignKey for a KeyTime ("start;end"), remembered for the next call.

        `sign_time`, q-sign-time, is what StringToSign holds; every SDK makes it the same as KeyTime.
        """
        cdef object times = key_time if sign_time is None or sign_time == key_time else (key_time, sign_time)
        cdef SignKey key = self.sign_keys.get(times)
        cdef Text head
        if key is not None:
            return key
        key = SignKey()
        key.key_time = key_time
        inner, outer = hmac_states(self.data, <size_t>self.size)
        digest = hmac_digest(inner, outer, key_time.encode())
        put_hex(key.hexadecimal, <const uint8_t*>PyBytes_AS_STRING(digest))
        key.head = b"sha1\n%b\n" % (sign_time or key_time).encode()
        head = text_of(key.head)
        sha1_prepare(&key.native, key.hexadecimal, 40, head.data, head.size)
        if len(self.sign_keys) >= 64:
            self.sign_keys.clear()
        self.sign_keys[times] = key
        return key


# --- Engines -----------------------------------------------------------------------------------------------------------

cdef class Engine:
    """What turns HttpStrings into signatures: native code, or "hashlib"."""

    cdef readonly str name
    cdef sha1_engine native
    cdef bint is_native
    cdef int proven  # 1: gives hashlib's bytes; -1: does not; 0: not asked yet

    cdef bint works(self) except -1:
        """Whether it gives hashlib's bytes; tried once, at the first use."""
        if not self.proven:
            self.proven = 1 if not self.is_native or agrees(self) else -1
            if self.proven < 0:
                import warnings

                warnings.warn(
                    f"cossign's engine {self.name!r} is switched off: on this machine it disagrees with hashlib. "
                    "Please report this, with the machine's CPU",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return self.proven > 0


cdef bint agrees(Engine engine) except -1:
    """Sign the same HttpStrings natively and by hashlib: as many and as long as lead through every path of the lanes."""
    cdef Engine hashlib = ENGINES[-1]
    cdef SignKey key = Secret(urandom(36)).sign_key("1557989753;1557996953")
    cdef list http_strings = [urandom(110 if number < 16 else 11 * number) for number in range(31)]
    return signatures(engine, key, http_strings) == signatures(hashlib, key, http_strings)


cdef tuple probed():
    """The engines of this CPU, fastest first; "hashlib" is always last and always there."""
    cdef sha1_engine[SHA1_ENGINES] natives
    cdef Engine engine
    cdef list found = []
    cdef size_t i
    for i in range(sha1_engines(natives)):
        engine = Engine()
        engine.name = natives[i].name.decode()
        engine.native = natives[i]
        engine.is_native = True
        found.append(engine)
    engine = Engine()
    engine.name = "hashlib"
    return (*found, engine)


cdef tuple ENGINES = probed()


def engines():
    """The engines that this machine has, fastest first; "hashlib" is always last and always there."""
    cdef Engine engine
    return tuple([engine.name for engine in ENGINES if engine.works()])


def engine(str name not None):
    """The engine of that name, or the fastest for "auto"; ValueError if this machine has none such."""
    cdef Engine each
    for each in ENGINES:
        if name in ("auto", each.name) and each.works():
            return each
    raise ValueError(name)


cpdef list signatures(Engine engine, SignKey key, list http_strings):
    """The signature of each HttpString (bytes), as bytes."""
    cdef Py_ssize_t count = len(http_strings)
    cdef sha1_row* rows = <sha1_row*>PyMem_RawMalloc(<size_t>(count + 1) * sizeof(sha1_row))
    cdef uint8_t* http = NULL
    cdef size_t size = SHA1_BLOCK
    cdef Py_ssize_t i
    cdef Text text
    cdef bytes signed = PyBytes_FromStringAndSize(NULL, 40 * count)
    try:
        for i in range(count):
            text = text_of(http_strings[i])
            size += sha1_blocks(text.size) * SHA1_BLOCK
        http = <uint8_t*>PyMem_RawMalloc(size)
        if rows == NULL or http == NULL:
            raise MemoryError
        size = 0
        for i in range(count):
            text = text_of(http_strings[i])
            memcpy(http + size, text.data, text.size)
            sha1_pad(http + size, text.size, 0)
            rows[i].http = http + size
            rows[i].size = text.size
            rows[i].hole = <uint8_t*>PyBytes_AS_STRING(signed) + 40 * i
            size += sha1_blocks(text.size) * SHA1_BLOCK
        hash_rows(engine, key, rows, count)
    finally:
        PyMem_RawFree(rows)
        PyMem_RawFree(http)
    return [signed[40 * i:40 * i + 40] for i in range(count)]


# --- Rows and tiles ---------------------------------------------------------------------------------------------------

# Why a row cannot be signed; NULL_ROW is no error.
cdef enum Fault:
    FINE
    NULL_ROW
    NOT_A_STR
    SURROGATE
    MISSING
    EMPTY
    TOO_LONG
    LEADING
    CONTROL
    DOT_SEGMENT
    BAD_VALUE

cdef dict REASONS = {
    SURROGATE: "is not valid UTF-8: it holds a lone surrogate",
    EMPTY: "is empty: an empty key signs for the whole bucket; if you mean that, use strict=False",
    TOO_LONG: "is longer than the 850 bytes of UTF-8 that COS allows",
    LEADING: "begins with '/' or '\\': COS names no object so; drop it, or use strict=False if you mean it",
    CONTROL: "holds one of the control bytes 18-1B hex (CAN, EM, SUB, ESC), which COS forbids",
    DOT_SEGMENT: "has a '.' or '..' segment, which HTTP clients remove before they send: the URL would reach another path",
}

# What a Template does with a key; DROP_SLASH and KEEP_SLASH are the documented calls' ways with a leading slash.
_DROP_SLASH, _KEEP_SLASH, _REQUIRED, _STRICT, _NO_NULL = 1, 2, 4, 8, 16
cdef enum:
    DROP_SLASH = 1  # one leading slash of the key is dropped
    KEEP_SLASH = 2  # no slash is put before a key that begins with one
    REQUIRED = 4    # an empty key is a missing parameter
    STRICT = 8      # COS's naming rules are checked
    NO_NULL = 16    # None is a missing parameter

# Pieces of a Template that differ by row; from 0 on they are the columns.
KEY = -1
SIGNATURE = -2
cdef enum:
    KEY_PIECE = -1
    SIGNATURE_PIECE = -2
    TEXT_PIECE = -3

cdef enum:
    TILE = 128    # rows laid out and hashed at a time: they stay in the first caches (SHA1_TILE)
    BLOCK = 512   # rows that a bulk call takes between two looks at Python objects and signals


cdef struct Piece:
    Py_ssize_t kind
    Text text


cdef struct Row:
    Fault fault
    uint8_t* text       # the URL or the Authorization
    size_t size


cdef inline Fault key_fault(Text key) noexcept nogil:
    """COS's naming rules ("Object Overview", product 436, page 13324), and the dot segments of RFC 3986, 5.2.4."""
    cdef size_t i
    cdef size_t segment = 0
    if key.size == 0:
        return EMPTY
    if key.size > 850:
        return TOO_LONG
    if key.data[0] == c"/" or key.data[0] == c"\\":
        return LEADING
    for i in range(key.size + 1):
        if i == key.size or key.data[i] == c"/":
            if i - segment == 1 and key.data[segment] == c".":
                return DOT_SEGMENT
            if i - segment == 2 and key.data[segment] == c"." and key.data[segment + 1] == c".":
                return DOT_SEGMENT
            segment = i + 1
        elif 0x18 <= key.data[i] <= 0x1B:
            return CONTROL
    return FINE


cdef class Template:
    """What a batch has in common: the constant text around keys, columns and signature.

    Args:
        http: HttpString's pieces: bytes, KEY (raw), or a column's number; empty if nothing is signed.
        text: the output's pieces: bytes, KEY (encoded), SIGNATURE, or a column's number.
        sign_key: the batch's SignKey; None if nothing is signed.
        rules: DROP_SLASH, KEEP_SLASH, REQUIRED, STRICT, or-ed.
        parameter: what the keys are called in an error ("Key", "keys").
    """

    cdef uint8_t* constants   # all constant text, SCAN_SLACK bytes readable behind it
    cdef Piece* pieces
    cdef Py_ssize_t http_count
    cdef Py_ssize_t count
    cdef size_t http_size     # of the constant text
    cdef size_t text_size
    cdef int rules
    cdef bint ascii
    cdef bint signs
    cdef bint signs_key       # the key stands in HttpString
    cdef Py_ssize_t columns
    cdef Engine engine
    cdef readonly SignKey sign_key
    cdef readonly str parameter

    def __cinit__(self, list http, list text, SignKey sign_key, int rules, str parameter, Engine engine not None):
        cdef Py_ssize_t i
        cdef Piece* piece
        cdef size_t place = 0
        http = merged(http)
        text = merged(text)
        self.sign_key = sign_key
        self.engine = engine
        self.rules = rules
        self.parameter = parameter
        self.ascii = True
        self.http_count = len(http)
        self.count = len(http) + len(text)
        http = http + text
        for value in http:
            if isinstance(value, bytes):
                place += <size_t>PyBytes_GET_SIZE(value)
        self.pieces = <Piece*>PyMem_RawMalloc(<size_t>(self.count + 1) * sizeof(Piece))
        self.constants = <uint8_t*>PyMem_RawMalloc(place + SCAN_SLACK)
        if self.pieces == NULL or self.constants == NULL:
            raise MemoryError
        memset(self.constants + place, 0, SCAN_SLACK)
        place = 0
        for i in range(self.count):
            value = http[i]
            piece = &self.pieces[i]
            piece.text = Text(NULL, 0)
            if isinstance(value, bytes):
                piece.kind = TEXT_PIECE
                piece.text = text_of(value)
                memcpy(self.constants + place, piece.text.data, piece.text.size)
                piece.text.data = self.constants + place
                place += piece.text.size
                if i < self.http_count:
                    self.http_size += piece.text.size
                else:
                    self.text_size += piece.text.size
                    self.ascii &= value.isascii()
            else:
                piece.kind = value
                self.columns = max(self.columns, piece.kind + 1)
                if piece.kind == SIGNATURE_PIECE:
                    self.text_size += 40
                    self.signs = True
                elif piece.kind == KEY_PIECE and i < self.http_count:
                    self.signs_key = True
        if self.signs and sign_key is None:
            raise ValueError("a template with a signature needs a SignKey")

    def __dealloc__(self):
        PyMem_RawFree(self.pieces)
        PyMem_RawFree(self.constants)

    def __reduce__(self):
        raise TypeError("a Template cannot be pickled: it signs like the SecretKey it was made of")

    cdef size_t http_bound(self, Text key, const Text* values) noexcept nogil:
        """The most bytes that `lay_out` can write for a row's HttpString, slack included."""
        cdef size_t size = self.http_size + key.size + 3 * SHA1_BLOCK + SCAN_SLACK
        cdef Py_ssize_t i
        if self.columns:
            for i in range(self.http_count):
                if self.pieces[i].kind >= 0:
                    size += 3 * values[self.pieces[i].kind].size
        return size

    cdef size_t text_bound(self, Text key, const Text* values) noexcept nogil:
        """The most bytes of a row's output text, without SCAN_SLACK."""
        cdef size_t size = self.text_size + 3 * key.size + 1
        cdef Py_ssize_t i
        if self.columns:
            for i in range(self.http_count, self.count):
                if self.pieces[i].kind >= 0:
                    size += 3 * values[self.pieces[i].kind].size
        return size

    cdef uint8_t* lay_out(
        self, Row* row, sha1_row* signed, Text key, const Text* values, uint8_t* http, uint8_t* out
    ) noexcept nogil:
        """Write a row's padded HttpString at `http` and its output text, the signature left open, at `out`.

        Returns:
            The end of the output text. `row.fault` says whether there is one.
        """
        cdef Py_ssize_t i
        cdef const Piece* piece
        cdef uint8_t* raw = NULL  # the key in our own memory, where it may be read in whole vectors
        cdef bint plain = False   # the key needs no escape
        cdef bint slash
        if key.size == 0 and self.rules & REQUIRED:
            row.fault = MISSING
            return out
        if self.rules & DROP_SLASH and key.size and key.data[0] == c"/":
            key = Text(key.data + 1, key.size - 1)
        slash = not (self.rules & KEEP_SLASH and key.size and key.data[0] == c"/")
        signed.http = http
        signed.hole = NULL
        for i in range(self.http_count + (not self.signs_key)):
            piece = &self.pieces[i]
            if i == self.http_count or piece.kind == KEY_PIECE:
                http[0] = c"/"
                raw = http + slash
                http = put_exact(raw, key.data, key.size)
                plain = slash and scan_plain(raw, key.size)
                if self.rules & STRICT and (not plain or key.size - 1 >= 850 or raw[0] == c"/"):
                    row.fault = key_fault(key)
                    if row.fault != FINE:
                        return out
            elif piece.kind == TEXT_PIECE:
                http = put_text(http, piece.text.data, piece.text.size)
            else:
                http = put_encoded(http, values[piece.kind], COMPONENT)
            if i + 1 == self.http_count:
                signed.size = <size_t>(http - signed.http)
                sha1_pad(<uint8_t*>signed.http, signed.size, 0)
                http += 2 * SHA1_BLOCK
        row.text = out
        for i in range(self.http_count, self.count):
            piece = &self.pieces[i]
            if piece.kind == TEXT_PIECE:
                out = put_text(out, piece.text.data, piece.text.size)
            elif piece.kind == KEY_PIECE:
                out[0] = c"/"
                out += slash
                out = put_text(out, raw, key.size) if plain else put_encoded(out, Text(raw, key.size), PATH)
            elif piece.kind == SIGNATURE_PIECE:
                signed.hole = out
                out += 40
            else:
                out = put_encoded(out, values[piece.kind], COMPONENT)
        row.size = <size_t>(out - row.text)
        return out

    cdef object finished(self, const Row* row):
        """A row's output text as a str."""
        if not self.ascii:
            return PyUnicode_DecodeUTF8(<const char*>row.text, <Py_ssize_t>row.size, NULL)
        result = PyUnicode_New(<Py_ssize_t>row.size, 127)
        memcpy(PyUnicode_DATA(result), row.text, row.size)
        return result


cdef list merged(list pieces):
    """Pieces with neighbours of constant text as one."""
    cdef list result = []
    for piece in pieces:
        if result and isinstance(piece, bytes) and isinstance(result[-1], bytes):
            result[-1] += piece
        else:
            result.append(piece)
    return result


cdef int hash_rows(Engine engine, SignKey key, const sha1_row* rows, Py_ssize_t count) except -1 nogil:
    """Fill each row's hole with its signature: the one step in which engines differ.

    Signature = hex(HMAC-SHA1(SignKey, "sha1\n" KeyTime "\n" hex(SHA1(HttpString)) "\n"))
    """
    if engine.is_native:
        sha1_sign(&engine.native, &key.native, rows, <size_t>count)
    else:
        with gil:
            hash_by_hashlib(key, rows, count)
    return 0


cdef int hash_by_hashlib(SignKey key, const sha1_row* rows, Py_ssize_t count) except -1:
    cdef Py_ssize_t i
    cdef bytes digest
    cdef bytes tail = PyBytes_FromStringAndSize(NULL, 41)  # ours alone, so that each row may write it anew
    cdef uint8_t* text = <uint8_t*>PyBytes_AS_STRING(tail)
    cdef bytes http = b""  # likewise, for as long as HttpStrings have the same length
    text[40] = c"\n"
    key.for_hashlib()
    for i in range(count):
        if PyBytes_GET_SIZE(http) != <Py_ssize_t>rows[i].size:
            http = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>rows[i].size)
        memcpy(PyBytes_AS_STRING(http), rows[i].http, rows[i].size)
        state = sha1_copy(EMPTY_SHA1, NULL)
        sha1_update(state, <PyObject*>http)
        digest = sha1_digest(state, NULL)
        put_hex(text, <const uint8_t*>PyBytes_AS_STRING(digest))
        digest = hmac_digest(key.inner, key.outer, tail)
        put_hex(rows[i].hole, <const uint8_t*>PyBytes_AS_STRING(digest))
    return 0


cdef class Workspace:
    """The memory of a bulk call, used again for each of its blocks."""

    cdef Text[BLOCK] keys
    cdef Row[BLOCK] rows
    cdef sha1_row[TILE] signed
    cdef Text* values  # BLOCK rows of as many columns as the template has
    cdef uint8_t* http
    cdef size_t http_size
    cdef uint8_t* text
    cdef size_t text_size

    def __cinit__(self, Py_ssize_t columns):
        self.values = <Text*>PyMem_RawMalloc(<size_t>(columns * BLOCK + 1) * sizeof(Text))
        if self.values == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_RawFree(self.values)
        PyMem_RawFree(self.http)
        PyMem_RawFree(self.text)


cdef int hold(uint8_t** buffer, size_t* size, size_t needed) except -1 nogil:
    """Make a buffer hold so many bytes; what it held is lost."""
    if needed > size[0]:
        PyMem_RawFree(buffer[0])
        size[0] = 0
        buffer[0] = <uint8_t*>PyMem_RawMalloc(needed + needed // 4)
        if buffer[0] == NULL:
            with gil:
                raise MemoryError
        size[0] = needed + needed // 4
    return 0


cdef uint8_t* sign_rows(
    Template template, Workspace work, Py_ssize_t count, uint8_t* out
) except NULL nogil:
    """Lay out and sign the rows of `work` that have no fault, a tile at a time.

    `out` has room for the rows' bounds and SCAN_SLACK. Returns the end of the text.
    """
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t last, i, signed
    cdef size_t bound
    cdef const Text* values
    cdef uint8_t* http
    while first < count:
        last = min(first + TILE, count)
        bound = 0
        for i in range(first, last):
            bound += template.http_bound(work.keys[i], &work.values[i * template.columns])
        hold(&work.http, &work.http_size, bound)
        http = work.http
        signed = 0
        for i in range(first, last):
            if work.rows[i].fault != FINE:
                continue
            values = &work.values[i * template.columns]
            out = template.lay_out(&work.rows[i], &work.signed[signed], work.keys[i], values, http, out)
            if work.rows[i].fault == FINE and template.signs:
                http += sha1_blocks(work.signed[signed].size) * SHA1_BLOCK
                signed += 1
        if signed:
            hash_rows(template.engine, template.sign_key, work.signed, signed)
        first = last
    return out


cdef object key_error(Template template, Fault fault, object key, object index):
    """The error for a key that cannot be signed."""
    if fault == MISSING:
        return MissingParameter(template.parameter, "the object's name, such as 'picture.jpg'", index)
    if fault == NOT_A_STR:
        return KeyNameError(template.parameter, f"must be a str, not {type(key).__name__}", index)
    return KeyNameError(template.parameter, REASONS[fault], index)


cdef inline Fault key_text(object key, Text* text, list alive) except *:
    """A key's UTF-8, without a copy where it is ASCII; otherwise the copy is kept in `alive`."""
    if key is None:
        return NULL_ROW
    if not isinstance(key, str):
        return NOT_A_STR
    if PyUnicode_IS_COMPACT_ASCII(key):
        text[0] = Text(<const uint8_t*>PyUnicode_DATA(key), <size_t>PyUnicode_GET_LENGTH(key))
        return FINE
    try:
        data = PyUnicode_AsUTF8String(key)
    except UnicodeEncodeError:
        return SURROGATE
    alive.append(data)
    text[0] = text_of(data)
    return FINE


def sign_one(Template template not None, key):
    """Sign one key.

    Returns:
        The URL or the Authorization that the template describes.

    Raises:
        KeyNameError: `key` is no object's name.
    """
    cdef Row row
    cdef sha1_row signed
    cdef Text text = Text(NULL, 0)
    cdef list alive = []
    cdef uint8_t* buffer
    cdef uint8_t[3072] small
    cdef size_t http, bound
    row.fault = key_text(key, &text, alive)
    if row.fault == NULL_ROW:
        row.fault = NOT_A_STR
    if row.fault != FINE:
        raise key_error(template, row.fault, key, None)
    http = template.http_bound(text, NULL)
    bound = http + template.text_bound(text, NULL) + SCAN_SLACK
    buffer = small
    if bound > sizeof(small):
        buffer = <uint8_t*>PyMem_RawMalloc(bound)
        if buffer == NULL:
            raise MemoryError
    try:
        template.lay_out(&row, &signed, text, NULL, buffer, buffer + http)
        if row.fault != FINE:
            raise key_error(template, row.fault, key, None)
        if template.signs:
            hash_rows(template.engine, template.sign_key, &signed, 1)
        return template.finished(&row)
    finally:
        if buffer != small:
            PyMem_RawFree(buffer)


def sign_many(Template template not None, keys, tuple columns, tuple names, list errors, int threads=1):
    """Sign many keys, at the template's one instant.

    Args:
        template: what the batch has in common.
        keys: an iterable of str; None gives None.
        columns: for each of the template's columns a sequence as long as `keys`.
        names: what to call each column in an error.
        errors: None to raise at the first bad row; a list to append ``(index, reason)`` to instead, the row being None.
        threads: how many threads share the work.

    Returns:
        The list of URLs or Authorizations, in order.

    Raises:
        KeyNameError: a key is no object's name; `index` says which.
        ParameterError: a column's value has no text.
    """
    cdef list result = []
    cdef list block
    cdef Workspace work
    cdef Py_ssize_t start = 0
    if len(columns) < template.columns:
        raise ValueError("the template has more columns than were given")
    if threads > 1:
        return sign_in_threads(template, keys if isinstance(keys, list) else list(keys), columns, names, errors, threads)
    work = Workspace(template.columns)
    iterator = iter(keys)
    while True:
        block = list(islice(iterator, BLOCK))
        if not block:
            return result
        sign_block(template, work, block, start, columns, names, errors, result)
        start += len(block)
        PyErr_CheckSignals()


cdef int sign_block(
    Template template, Workspace work, list block, Py_ssize_t start, tuple columns, tuple names, list errors,
    list result,
) except -1:
    """Append the texts of at most BLOCK keys, of which the first is row `start`."""
    cdef Py_ssize_t count = len(block)
    cdef Py_ssize_t i
    cdef Py_ssize_t width = template.columns
    cdef Row* row
    cdef list alive = []
    cdef size_t bound = SCAN_SLACK
    for i in range(count):
        row = &work.rows[i]
        work.keys[i] = Text(NULL, 0)
        row.fault = key_text(block[i], &work.keys[i], alive)
        if row.fault == NULL_ROW and template.rules & NO_NULL:
            row.fault = MISSING
        if width:
            memset(&work.values[i * width], 0, <size_t>width * sizeof(Text))
            if row.fault == FINE:
                row.fault = column_texts(columns, names, start + i, &work.values[i * width], width, alive, errors)
        bound += template.text_bound(work.keys[i], &work.values[i * width])
    hold(&work.text, &work.text_size, bound)
    with nogil:
        sign_rows(template, work, count, work.text)
    for i in range(count):
        row = &work.rows[i]
        if row.fault == FINE:
            result.append(template.finished(row))
            continue
        result.append(None)
        if row.fault not in (NULL_ROW, BAD_VALUE):
            error = key_error(template, row.fault, block[i], start + i)
            if errors is None:
                raise error
            errors.append((start + i, error.reason))
    return 0


cdef enum:
    SHARE = 8 * BLOCK  # rows that a thread takes at a time


def _sign_share(Template template, list keys, Py_ssize_t start, tuple columns, tuple names, bint keep_errors):
    cdef list result = []
    cdef list errors = [] if keep_errors else None
    cdef Workspace work = Workspace(template.columns)
    cdef Py_ssize_t i
    for i in range(start, min(start + SHARE, len(keys)), BLOCK):
        sign_block(template, work, keys[i:i + BLOCK], i, columns, names, errors, result)
    return result, errors


cdef list sign_in_threads(Template template, list keys, tuple columns, tuple names, list errors, int threads):
    from concurrent.futures import ThreadPoolExecutor

    cdef list result = []
    with ThreadPoolExecutor(threads, "cossign") as pool:
        shares = [
            pool.submit(_sign_share, template, keys, start, columns, names, errors is not None)
            for start in range(0, len(keys), SHARE)
        ]
        try:
            for share in shares:
                signed, found = share.result()
                result += signed
                if found:
                    errors += found
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return result


cdef Fault column_texts(
    tuple columns, tuple names, Py_ssize_t index, Text* values, Py_ssize_t width, list alive, list errors
) except *:
    """A row's values of the first `width` columns, as text."""
    cdef Py_ssize_t i
    for i in range(width):
        try:
            data = checked_value(columns[i][index], names[i], index)
        except ParameterError as error:
            if errors is None:
                raise
            errors.append((index, f"{error.parameter} {error.reason}"))
            return BAD_VALUE
        alive.append(data)
        values[i] = text_of(data)
    return FINE


# --- Judging ----------------------------------------------------------------------------------------------------------

cdef class Verified:
    """What a right signature says: who signed what, and for how long.

    Attributes:
        secret_id: q-ak.
        method: upper-case.
        key: the object's key: the path without its first slash, decoded.
        key_time: ``(start, end)``, Unix seconds: the time in which both q-sign-time and q-key-time hold.
        header_list: the signed headers' names, encoded and lower-case as they are signed.
        url_param_list: the signed parameters' names, likewise.
        unsigned_params: the names of the URL's parameters that the signature does not cover, decoded. Anybody may
            have added those.
        http_string: the HttpString.
        string_to_sign: the StringToSign.
    """

    cdef readonly str secret_id
    cdef readonly str method
    cdef readonly str key
    cdef readonly tuple key_time
    cdef readonly tuple header_list
    cdef readonly tuple url_param_list
    cdef readonly tuple unsigned_params
    cdef bytes http
    cdef bytes sign_time

    @property
    def http_string(self):
        return shown(self.http)

    @property
    def string_to_sign(self):
        return string_to_sign(self.http, self.sign_time)

    def __repr__(self):
        return f"Verified(secret_id={self.secret_id!r}, method={self.method!r}, key={self.key!r}, key_time={self.key_time!r})"


cdef str shown(bytes data):
    """Bytes of a request as text; what is not UTF-8 as an escape."""
    return data.decode("utf-8", "backslashreplace")


cdef str string_to_sign(bytes http, bytes sign_time):
    return f"sha1\n{shown(sign_time)}\n{sha1(http).hexdigest()}\n"


cdef dict Q_NAMES = {
    name.encode(): name
    for name in (
        "q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list", "q-url-param-list", "q-signature",
    )
}


cdef tuple split_pair(bytes text):
    name, _, value = text.partition(b"=")
    return name, value


cdef dict authorization_fields(list pairs):
    """The seven q- fields out of (lower-case name, value) pairs; MalformedSignature if one is missing or doubled."""
    cdef dict fields = {}
    for name, value in pairs:
        field = Q_NAMES.get(name)
        if field is None:
            continue
        if field in fields:
            raise MalformedSignature(f"{field} is there twice")
        fields[field] = value
    for field in Q_NAMES.values():
        if field not in fields:
            raise MalformedSignature(f"{field} is missing")
    if fields["q-sign-algorithm"] != b"sha1":
        raise MalformedSignature("q-sign-algorithm must be sha1")
    return fields


cdef tuple times(bytes value, str field):
    """A KeyTime as (start, end)."""
    start, _, end = value.partition(b";")
    if not (start.isdigit() and end.isdigit() and len(start) <= 15 and len(end) <= 15):
        raise MalformedSignature(f"{field} must be '<start>;<end>' in Unix seconds")
    if int(start) > int(end):
        raise MalformedSignature(f"{field} ends before it begins")
    return int(start), int(end)


cdef tuple chosen(bytes names, dict have, str what):
    """What a list signs: (its names sorted, HttpParameters or HttpHeaders).

    `have` maps encoded lower-case names to the encoded values in their order. A name stands in the list as it is
    signed (encoded) or decoded once more, as the SDKs' synchronous URLs leave it.
    """
    cdef list entries = []
    cdef dict counts = {}
    for name in names.lower().split(b";"):
        if not name:
            continue
        if name not in have:
            again = encoded(name, COMPONENT).lower()
            if again not in have:
                raise SignatureMismatch(f"the {what} {shown(name)!r} is signed, but not in the request")
            name = again
        counts[name] = counts.get(name, 0) + 1
    for name in sorted(counts):
        values = have[name]
        if len(values) != counts[name]:
            raise SignatureMismatch(
                f"the {what} {shown(name)!r} is signed {counts[name]} times, but {len(values)} times in the request"
            )
        entries += [(name, value) for value in values]
    return tuple([shown(entry[0]) for entry in entries]), b"&".join([entry[0] + b"=" + entry[1] for entry in entries])


cdef void gather(dict have, bytes name, bytes value):
    """Add a decoded name and value to what `chosen` chooses from."""
    have.setdefault(encoded(name, COMPONENT).lower(), []).append(encoded(value, COMPONENT))


def judge(str url, str method, list headers, dict secrets, long long now, Engine engine not None):
    """Recompute the signature of a presigned URL or of a request and compare.

    Args:
        url: an absolute http(s) URL, or a request target that begins with "/".
        method: the request's method.
        headers: (name, value) pairs of str: the request's headers. An Authorization is judged if the URL has none.
        secrets: SecretId to ``(Secret of the SecretKey, Secret of the token or None)``.
        now: Unix seconds.
        engine: what recomputes it.

    Returns:
        A Verified.

    Raises:
        BadSignature: one of its kinds.
    """
    cdef dict params = {}
    cdef dict have_headers = {}
    cdef list pairs = []
    cdef list names = []
    cdef Verified verified
    try:
        data = PyUnicode_AsUTF8String(url)
    except UnicodeEncodeError:
        raise MalformedSignature("the URL is not valid Unicode: it holds a lone surrogate") from None
    target, _, _ = data.partition(b"#")
    target, _, query = target.partition(b"?")
    if target.startswith(b"/"):
        host, path = b"", target
    else:
        scheme, separator, rest = target.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            raise MalformedSignature("the URL must begin with https://, http:// or /")
        host, _, path = rest.partition(b"/")
        path = b"/" + path
    for part in query.split(b"&"):
        if part:
            name, value = split_pair(part)
            name = decoded(name, True)
            pairs.append((name.lower(), decoded(value, True)))
            names.append(name)
    token = None
    authorization = None
    for name, value in headers:
        name = PyUnicode_AsUTF8String(name)
        value = PyUnicode_AsUTF8String(value)
        lower = name.lower()
        if lower == b"host":
            host = b""
        elif lower == b"authorization":
            authorization = value
        elif lower == b"x-cos-security-token":
            token = value
        gather(have_headers, name, value)
    if host:
        have_headers[b"host"] = [encoded(host, COMPONENT)]

    cdef dict found = dict(pairs)
    if b"q-signature" in found:
        fields = authorization_fields(pairs)
    elif b"sign" in found:
        fields = authorization_fields([split_pair(part) for part in found[b"sign"].split(b"&")])
        pairs = [pair for pair in pairs if pair[0] != b"sign"]
        names = [name for name in names if name.lower() != b"sign"]
    elif authorization is not None:
        fields = authorization_fields([split_pair(part) for part in authorization.split(b"&")])
    else:
        raise MalformedSignature("there is no signature: neither q-signature nor sign in the URL, nor an Authorization")
    for (lower, value), name in zip(pairs, names):
        if lower not in Q_NAMES:
            gather(params, name, value)
            if lower == b"x-cos-security-token":
                token = value

    secret_id = shown(fields["q-ak"])
    sign_time = times(fields["q-sign-time"], "q-sign-time")
    key_time = times(fields["q-key-time"], "q-key-time")
    span = max(sign_time[0], key_time[0]), min(sign_time[1], key_time[1])
    path = decoded(path, False)
    http = None
    try:
        if secret_id not in secrets:
            raise UnknownSecretId(f"no credentials for the SecretId {secret_id!r}")
        secret, known_token = secrets[secret_id]
        param_list, http_parameters = chosen(fields["q-url-param-list"], params, "parameter")
        header_list, http_headers = chosen(fields["q-header-list"], have_headers, "header")
        http = b"\n".join((method.lower().encode(), path, http_parameters, http_headers, b""))
        sign_key = (<Secret?>secret).sign_key(shown(fields["q-key-time"]), shown(fields["q-sign-time"]))
        if not compare_digest(signatures(engine, sign_key, [http])[0], fields["q-signature"]):
            raise SignatureMismatch(
                "the signature is not that of this request: another method, path, parameter, header or SecretKey signed it"
            )
        if known_token is not None and not compare_digest(known_token.reveal().encode(), token or b""):
            raise SignatureMismatch("x-cos-security-token is not the token of these credentials")
        if now < span[0]:
            raise SignatureNotYetValid(f"the signature holds from {span[0]} on, and it is {now} now (Unix seconds)")
        if now > span[1]:
            raise SignatureExpired(f"the signature held until {span[1]}, and it is {now} now (Unix seconds)")
    except (SignatureMismatch, SignatureNotYetValid, SignatureExpired, UnknownSecretId) as error:
        error.key_time = span
        if http is not None:
            error.http_string = shown(http)
            error.string_to_sign = string_to_sign(http, fields["q-sign-time"])
        raise
    verified = Verified()
    verified.secret_id = secret_id
    verified.method = method.upper()
    verified.key = shown(path[1:])
    verified.key_time = span
    verified.header_list = header_list
    verified.url_param_list = param_list
    signed = set(param_list)
    verified.unsigned_params = tuple([
        shown(name)
        for name in names
        if name.lower() not in Q_NAMES and shown(encoded(name, COMPONENT).lower()) not in signed
    ])
    verified.http = http
    verified.sign_time = fields["q-sign-time"]
    return verified
