# cython: language_level=3
"""The hot path: percent-encoding, canonicalisation, SignKey, and signing and judging whole batches.

A `Template` holds what a batch has in common. A row is one key's HttpString and output text, with a hole where the
signature goes. A tile of rows is laid out without the GIL, `hash_rows` fills the holes by one of the engines (sha1/, or
hashlib), and the rows become str. A single call is a batch of one.

Source of the algorithm: Tencent Cloud, COS, "Request Signature" (product 436, page 7778).
"""

cimport cython
from cossign._arrow cimport ArrowArray, ArrowArrayStream, ArrowSchema, pages_forget, pages_free, pages_new
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.number cimport PyIndex_Check
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_AsUTF8String, PyUnicode_DecodeUTF8
from libc.errno cimport EINVAL
from libc.stdlib cimport free, malloc
from libc.stdint cimport INT32_MAX, INT64_MAX, int8_t, int16_t, int32_t, int64_t, uint8_t, uint64_t, uintptr_t
from libc.string cimport memchr, memcmp, memcpy, memset, strlen

import os
from _thread import allocate_lock, start_new_thread
from hashlib import sha1
from hmac import compare_digest
from itertools import islice

from cossign.errors import (
    BadSignature,
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
    ctypedef int (*PendingCall)(void* argument) except -1
    int Py_AddPendingCall(PendingCall function, void* argument) noexcept
    int METH_NOARGS
    int METH_O
    # Python's portable locks, which need not its global one
    ctypedef void* PyThread_type_lock
    int WAIT_LOCK
    PyThread_type_lock PyThread_allocate_lock() noexcept nogil
    void PyThread_free_lock(PyThread_type_lock lock) noexcept nogil
    int PyThread_acquire_lock(PyThread_type_lock lock, int wait) noexcept nogil
    int PyThread_acquire_lock_timed(PyThread_type_lock lock, long long microseconds, int interruptible) noexcept nogil
    void PyThread_release_lock(PyThread_type_lock lock) noexcept nogil

cdef extern from *:
    """
    #ifndef COSSIGN_COMMIT
    #define COSSIGN_COMMIT "unknown"
    #endif
    #if defined(__clang__)
    #define COSSIGN_COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
    #define COSSIGN_COMPILER "GCC " __VERSION__
    #elif defined(_MSC_VER)
    #define COSSIGN_TEXT_OF(number) #number
    #define COSSIGN_TEXT(number) COSSIGN_TEXT_OF(number)
    #define COSSIGN_COMPILER "MSVC " COSSIGN_TEXT(_MSC_FULL_VER)
    #else
    #define COSSIGN_COMPILER "an unknown compiler"
    #endif
    """
    const char* COSSIGN_COMMIT
    const char* COSSIGN_COMPILER

cdef extern from *:
    """
    #ifdef __GNUC__
    #define cossign_load(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
    #define cossign_store(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
    #else /* Windows, which has no forks: what they are for never changes there */
    #define cossign_load(place) (*(place))
    #define cossign_store(place, value) (*(place) = (value))
    #endif
    """
    uint64_t cossign_load(uint64_t* place) noexcept nogil
    void cossign_store(uint64_t* place, uint64_t value) noexcept nogil

cdef extern from "sha1/sha1.h" nogil:
    enum:
        SHA1_BLOCK
        SHA1_ENGINES
        SHA1_FRAME_SLACK
        SHA1_HEX
        SHA1_KEY_MAX
    ctypedef struct sha1_key:
        pass
    ctypedef struct sha1_row:
        const uint8_t* http
        size_t size
        uint8_t* hole
    ctypedef struct Text "sha1_text":
        const uint8_t* data
        size_t size
    ctypedef struct sha1_frame:
        Text[2] http
        Text[3] text
        int escapes
    ctypedef struct sha1_space:
        uint8_t* http
        uint8_t* out
        const uint8_t* end
    ctypedef size_t sha1_layer(
        const sha1_frame* frame, const Text* keys, size_t count, sha1_space* space, sha1_row* rows, Text* texts
    ) noexcept
    ctypedef struct sha1_engine:
        const char* name
        sha1_layer* lay
    size_t sha1_engines(sha1_engine* engines) noexcept
    int sha1_prepare(
        sha1_key* key, const uint8_t* hmac_key, size_t size, const uint8_t* head, size_t head_size
    ) noexcept
    void sha1_sign(const sha1_engine* engine, const sha1_key* key, const sha1_row* rows, size_t count) noexcept
    size_t sha1_blocks(size_t size) noexcept
    void sha1_pad(uint8_t* message, size_t size, size_t before) noexcept

cdef extern from "sha1/scan.h" nogil:
    enum:
        SCAN_SLACK
    uint8_t* put_exact(uint8_t* out, const uint8_t* text, size_t size) noexcept
    uint8_t* put_text(uint8_t* out, const uint8_t* text, size_t size) noexcept
    bint scan_safe(const uint8_t* data, bint path) noexcept
    void scan_soon(const void* data, size_t size) noexcept
    bint scan_odd(const uint8_t* key, size_t size) noexcept
    bint put_key(uint8_t* out, const uint8_t* key, size_t size) noexcept
    bint scan_utf8(const uint8_t* data, size_t size) noexcept


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


cdef inline uint8_t* put_encoded(uint8_t* out, Text text, const Escape* policy) noexcept nogil:
    """Writes at most 3 * text.size bytes, and SCAN_SLACK more without meaning; returns the end."""
    cdef size_t i = 0
    cdef size_t end
    cdef const Escape* escape
    while i < text.size:
        if i + 16 <= text.size and scan_safe(text.data + i, policy == PATH):
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
    cdef size_t i
    for i in range(text.size):
        if policy[text.data[i]].size != 1:
            break
    else:
        return data
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


cdef uint8_t* put_decoded(uint8_t* out, Text text, bint plus_is_space) noexcept nogil:
    """Text without its percent-encoding; what is no valid escape stays as it is. Returns the end."""
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
    return out


cdef bytes decoded(bytes data, bint plus_is_space):
    """Percent-decode. `plus_is_space` is for queries (HTML forms)."""
    if b"%" not in data and not (plus_is_space and b"+" in data):
        return data
    cdef bytes result = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(data))
    cdef uint8_t* start = <uint8_t*>PyBytes_AS_STRING(result)
    return result[:put_decoded(start, text_of(data), plus_is_space) - start]


def decode_column(data, offsets, /) -> tuple[bytes, bytes]:
    """Percent-decode a column of texts, given and returned as Arrow's binary arrays hold them.

    Args:
        data: a buffer: the texts, one behind the other.
        offsets: a buffer of 32-bit integers: where each text begins in `data`, and where the last one ends.

    Returns:
        The decoded texts, and their offsets from 0.

    Source: Apache Arrow Columnar Format 1.5, "Variable-size Binary Layout".

    >>> import array
    >>> text, offsets = decode_column(b"a%2Fb%", array.array("i", [0, 5, 6]))
    >>> text, list(memoryview(offsets).cast("i"))
    (b'a/b%', [0, 3, 4])
    """
    cdef Py_buffer texts, places
    PyObject_GetBuffer(data, &texts, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(offsets, &places, PyBUF_SIMPLE)
        try:
            return decoded_column(
                <const uint8_t*>texts.buf, texts.len, <const int32_t*>places.buf, places.len // 4 - 1
            )
        finally:
            PyBuffer_Release(&places)
    finally:
        PyBuffer_Release(&texts)


cdef tuple decoded_column(const uint8_t* data, Py_ssize_t size, const int32_t* offsets, Py_ssize_t rows):
    cdef Py_ssize_t i
    cdef Text text
    if rows < 0 or offsets[0] < 0 or offsets[rows] < offsets[0] or offsets[rows] > size:
        raise ValueError("the offsets lie outside of the data")
    cdef bytes result = PyBytes_FromStringAndSize(NULL, offsets[rows] - offsets[0])
    cdef bytes places = PyBytes_FromStringAndSize(NULL, 4 * (rows + 1))
    cdef uint8_t* start = <uint8_t*>PyBytes_AS_STRING(result)
    cdef uint8_t* out = start
    cdef int32_t* place = <int32_t*>PyBytes_AS_STRING(places)
    cdef bint ascend = True
    place[0] = 0
    with nogil:
        for i in range(rows):
            if offsets[i] > offsets[i + 1] or offsets[i + 1] > offsets[rows]:
                ascend = False
                break
            text.data = data + offsets[i]
            text.size = <size_t>(offsets[i + 1] - offsets[i])
            out = put_decoded(out, text, False)
            place[i + 1] = <int32_t>(out - start)
    if not ascend:
        raise ValueError("the offsets do not ascend")
    return result[:out - start], places


# --- Canonicalisation -------------------------------------------------------------------------------------------------

cdef class Column:
    """Stands in a query for a value that differs by row: the `index`-th of the columns given to `sign_many`."""

    cdef readonly Py_ssize_t index

    def __init__(self, index: int):
        if not 0 <= index < MOST_COLUMNS:
            raise ValueError(f"a query has no column {index}")
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


# --- hashlib's HMAC-SHA1 ----------------------------------------------------------------------------------------------

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
        copy = PyBytes_FromStringAndSize(<const char*>key, <Py_ssize_t>size)
        digest = sha1(copy).digest()
        wipe(<uint8_t*>PyBytes_AS_STRING(copy), size)  # nobody else has it
        states = hmac_states(<const uint8_t*>PyBytes_AS_STRING(digest), 20)
        wipe(<uint8_t*>PyBytes_AS_STRING(digest), 20)
        return states
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
            inner, self.outer = hmac_states(self.hexadecimal, 40)
            inner.update(self.head)
            self.inner = inner  # last: another thread may look
        return 0

    def sign(self, message: bytes, /) -> str:
        """hex(HMAC-SHA1(SignKey, message)): the Signature of a message that is no HttpString's StringToSign."""
        inner, outer = hmac_states(self.hexadecimal, 40)
        return hmac_digest(inner, outer, message).hex()


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

    def __cinit__(self, text: str):
        cdef const char* data = PyUnicode_AsUTF8AndSize(text, &self.size)  # ASCII: its own memory, no copy
        self.data = <uint8_t*>PyMem_RawMalloc(<size_t>self.size + 1)
        if self.data == NULL:
            raise MemoryError
        memcpy(self.data, data, <size_t>self.size)
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
        wipe(<uint8_t*>PyBytes_AS_STRING(digest), 20)  # nobody else has it
        key.head = b"sha1\n%b\n" % (sign_time or key_time).encode()
        head = text_of(key.head)
        if sha1_prepare(&key.native, key.hexadecimal, 40, head.data, head.size):
            raise ParameterError("key_time", 'must be "start;end": two times of at most 15 digits')
        if len(self.sign_keys) >= 64:
            self.sign_keys.clear()
        self.sign_keys[times] = key
        return key


# --- Engines ----------------------------------------------------------------------------------------------------------

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
    """Sign the same HttpStrings natively and by hashlib: as many and as long as lead through every path of the lanes.

    Then the same URLs, of plain and of escaped keys: the engine lays the rows out, too.
    """
    cdef Engine hashlib = ENGINES[-1]
    cdef SignKey key = Secret(os.urandom(18).hex()).sign_key("1557989753;1557996953")
    cdef list http_strings = [os.urandom(110 if number < 16 else 11 * number) for number in range(31)]
    cdef list keys = [
        os.urandom(2 * number + 1).hex() + ("", "", " ", "\u4e2d/.x", "\xe9+%")[number % 5] + "a" * (number % 7)
        for number in range(80)
    ]
    cdef list found = []
    if signatures(engine, key, http_strings) != signatures(hashlib, key, http_strings):
        return False
    for each in (engine, hashlib):
        template = Template(
            [b"get\n", KEY, b"\n\nhost=example.com\n"],
            [b"https://example.com", KEY, b"?q-signature=", SIGNATURE], key, _STRICT, "keys", each,
        )
        found.append(sign_many(template, keys, (), (), None))
    return found[0] == found[1]


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


def built():
    """The compiler that built this core, and the commit that it was built from."""
    return COSSIGN_COMPILER.decode(), COSSIGN_COMMIT.decode()


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
    if engine is None or key is None or http_strings is None:
        raise TypeError("signatures() takes an Engine, a SignKey and a list of bytes")
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
    NOT_UTF8
    MISSING
    EMPTY
    TOO_LONG
    LEADING
    CONTROL
    DOT_SEGMENT
    BAD_VALUE
    BAD_TEMPLATE

cdef dict REASONS = {
    SURROGATE: "is not valid UTF-8: it holds a lone surrogate",
    NOT_UTF8: "is not valid UTF-8",
    EMPTY: "is empty: an empty key signs for the whole bucket; if you mean that, use `strict=False`",
    TOO_LONG: "is longer than the 850 bytes of UTF-8 that COS allows",
    LEADING: "begins with '/' or '\\': no object of COS has such a name: drop it, or use `strict=False` if you mean it",
    CONTROL: "holds one of the control bytes 18-1B hex (CAN, EM, SUB, ESC), which COS forbids",
    DOT_SEGMENT: "has a '.' or '..' segment, which HTTP clients remove before they send: the URL would reach another path",
}

# What a Template does with a key; DROP_SLASH and KEEP_SLASH are the documented calls' ways with a leading slash.
_DROP_SLASH, _KEEP_SLASH, _REQUIRED, _STRICT, _NO_NULL, _UTF8 = 1, 2, 4, 8, 16, 32
cdef enum:
    DROP_SLASH = 1  # one leading slash of the key is dropped
    KEEP_SLASH = 2  # no slash is put before a key that begins with one
    REQUIRED = 4    # an empty key is a missing parameter
    STRICT = 8      # COS's naming rules are checked
    NO_NULL = 16    # None is a missing parameter
    UTF8 = 32       # keys come as bytes, whose UTF-8 is checked

# Pieces of a Template that differ by row; from 0 on they are the columns.
KEY = -1
SIGNATURE = -2
cdef enum:
    KEY_PIECE = -1
    SIGNATURE_PIECE = -2
    TEXT_PIECE = -3

cdef enum:
    TILE = 256    # rows laid out and hashed at a time: they stay in the second cache (SHA1_TILE)
    DIGITS = 24   # bytes that an integer's text may take
    BLOCK = 512   # rows that a bulk call takes between two looks at Python objects and signals
    SHARE = 8192  # rows that a thread takes at a time
    MOST_COLUMNS = 1024    # of a query
    MOST_TEMPLATES = 1024  # that a pass keeps, where they differ by row
    PATIENCE = 20_000  # microseconds that a thread waits for more work before it ends


cdef struct Piece:
    Py_ssize_t kind
    Text text


cdef inline Fault key_fault(Text key) noexcept nogil:
    """COS's naming rules ("Object Overview", product 436, page 13324), and the dot segments of RFC 3986, 5.2.4."""
    cdef size_t i
    cdef size_t segment = 0
    if key.size == 0:
        return EMPTY
    if key.size > SHA1_KEY_MAX:
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


@cython.final
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
    cdef sha1_layer* lay      # of the usual row; NULL if the pieces are no frame, or the engine has none
    cdef sha1_frame frame
    cdef bytes frame_text
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
                least = KEY_PIECE if i < self.http_count else SIGNATURE_PIECE
                if not least <= piece.kind < MOST_COLUMNS:
                    raise ValueError(f"a template has no piece {piece.kind} here")
                self.columns = max(self.columns, piece.kind + 1)
                if piece.kind == SIGNATURE_PIECE:
                    self.text_size += 40
                    self.signs = True
                elif piece.kind == KEY_PIECE and i < self.http_count:
                    self.signs_key = True
        if self.signs and sign_key is None:
            raise ValueError("a template with a signature needs a SignKey")
        kinds = [None if isinstance(value, bytes) else value for value in http]
        if kinds[:3] == [None, KEY, None] and kinds[3:] in ([None, KEY, None, SIGNATURE], [None, KEY, None, SIGNATURE, None]):
            self.lay = engine.native.lay
            last = http[7] if self.count > 7 else b""
            self.frame.escapes = True
            self.frame_text = put_frame(&self.frame, [http[0] + b"/", http[2], http[3] + b"/", http[5], last])

    def __dealloc__(self):
        PyMem_RawFree(self.pieces)
        PyMem_RawFree(self.constants)

    def __reduce__(self):
        raise TypeError("a Template cannot be pickled: it signs like the SecretKey it was made of")

    cdef inline size_t http_bound(self, Text key, const Text* values) noexcept nogil:
        """The most bytes that `lay_out` can write for a row's HttpString, slack included."""
        cdef size_t size = self.http_size + key.size + 3 * SHA1_BLOCK + 2 * SCAN_SLACK
        return size + self.values_bound(values, 0, self.http_count) if self.columns else size

    cdef inline size_t text_bound(self, Text key, const Text* values) noexcept nogil:
        """The most bytes of a row's output text, without SCAN_SLACK."""
        cdef size_t size = self.text_size + 3 * key.size + 1
        return size + self.values_bound(values, self.http_count, self.count) if self.columns else size

    cdef size_t values_bound(self, const Text* values, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
        """The most bytes of the encoded values among these pieces."""
        cdef size_t size = 0
        cdef Py_ssize_t i
        for i in range(first, last):
            if self.pieces[i].kind >= 0:
                size += 3 * values[self.pieces[i].kind].size
        return size

    cdef Fault lay_out(
        self, sha1_space* space, sha1_row* signed, Text* text, Text key, const Text* values
    ) noexcept nogil:
        """Write a row's padded HttpString and its output text, the signature left open, at the places in `space`, which
        move on if there is no fault."""
        cdef uint8_t* http = space.http
        cdef uint8_t* out = space.out
        cdef const Piece* piece = self.pieces
        cdef const Piece* end = piece + self.http_count
        cdef int rules = self.rules
        cdef bint signs_key = self.signs_key
        cdef uint8_t* raw = http + 1  # the key in our own memory, where it may be read in whole vectors
        cdef bint plain = False       # the key needs no escape
        cdef bint slash
        cdef Fault fault
        if key.size == 0 and rules & REQUIRED:
            return MISSING
        if rules & DROP_SLASH and key.size and key.data[0] == c"/":
            key = Text(key.data + 1, key.size - 1)
        slash = not (rules & KEEP_SLASH and key.size and key.data[0] == c"/")
        signed.http = http
        signed.hole = NULL
        while piece < end or not signs_key:
            if not signs_key or piece.kind == KEY_PIECE:
                http[0] = c"/"
                raw = http + slash
                plain = put_key(raw, key.data, key.size) and slash
                if not plain and rules & UTF8 and not scan_utf8(key.data, key.size):
                    return NOT_UTF8
                if rules & STRICT and (
                    key.size - 1 >= SHA1_KEY_MAX or raw[0] == c"/" or raw[0] == c"\\" or (not plain and scan_odd(raw, key.size))
                ):
                    fault = key_fault(key)
                    if fault != FINE:
                        return fault
                http = raw + key.size
                if not signs_key:  # it stands before HttpString
                    signs_key = True
                    http += SCAN_SLACK
                    signed.http = http
                    continue
            elif piece.kind == TEXT_PIECE:
                http = put_text(http, piece.text.data, piece.text.size)
            else:
                http = put_encoded(http, values[piece.kind], COMPONENT)
            piece += 1
        signed.size = <size_t>(http - signed.http)
        sha1_pad(<uint8_t*>signed.http, signed.size, 0)
        text.data = out
        end = self.pieces + self.count
        while piece < end:
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
            piece += 1
        text.size = <size_t>(out - text.data)
        space.out = out
        if self.signs:
            space.http = <uint8_t*>signed.http + sha1_blocks(signed.size) * SHA1_BLOCK
        return FINE

    cdef object finished(self, Text text):
        """A row's output text as a str."""
        if not self.ascii:
            return PyUnicode_DecodeUTF8(<const char*>text.data, <Py_ssize_t>text.size, NULL)
        result = PyUnicode_New(<Py_ssize_t>text.size, 127)
        memcpy(PyUnicode_DATA(result), text.data, text.size)
        return result


cdef bytes put_frame(sha1_frame* frame, list texts):
    """Set the five texts around the key; returns what keeps them: 0x80 and zeros stand behind each."""
    cdef Text* parts[5]
    cdef uint8_t* place
    cdef int i
    cdef bytes kept = bytes(sum([len(text) + SHA1_FRAME_SLACK + SHA1_BLOCK for text in texts]) + SHA1_BLOCK)
    parts[:] = [&frame.http[0], &frame.http[1], &frame.text[0], &frame.text[1], &frame.text[2]]
    place = <uint8_t*>PyBytes_AS_STRING(kept)
    for i in range(5):
        place = aligned(place)
        parts[i][0] = Text(place, <size_t>PyBytes_GET_SIZE(texts[i]))
        memcpy(place, PyBytes_AS_STRING(texts[i]), parts[i].size)
        place += parts[i].size
        place[0] = 0x80
        place += SHA1_FRAME_SLACK + 1
    return kept


cdef inline uint8_t* aligned(uint8_t* place) noexcept nogil:
    """The next place where a block of SHA-1 lies in one line of the caches: at most SHA1_BLOCK - 1 further."""
    return place + (-<uintptr_t>place & (SHA1_BLOCK - 1))


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
    cdef Fault[BLOCK] faults
    cdef Text[BLOCK] texts # of the rows without a fault
    cdef sha1_row[TILE] signed
    cdef Py_ssize_t width # columns
    cdef Text* values     # BLOCK rows of them; the template's come first
    cdef uint8_t* digits  # the texts of integers, for the keys and for each column
    cdef uint8_t* http
    cdef size_t http_size
    cdef uint8_t* text
    cdef size_t text_size

    def __cinit__(self, Py_ssize_t columns):
        if not 0 <= columns <= MOST_COLUMNS:
            raise ValueError(f"a batch has at most {MOST_COLUMNS} columns")
        self.width = columns
        self.values = <Text*>PyMem_RawMalloc(<size_t>(columns * BLOCK + 1) * sizeof(Text))
        self.digits = <uint8_t*>PyMem_RawMalloc(<size_t>((columns + 1) * BLOCK * DIGITS))
        if self.values == NULL or self.digits == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_RawFree(self.values)
        PyMem_RawFree(self.digits)
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


cdef Py_ssize_t sign_rows(
    Template template, Workspace work, Py_ssize_t done, Py_ssize_t count, uint8_t** place, const uint8_t* end
) except -1 nogil:
    """Lay out and sign the rows done ... count - 1 of `work` that have no fault, a tile at a time.

    `place` moves on from text to text, until `end` is too near for a row.

    Returns:
        The first row that is not done.
    """
    cdef sha1_space space
    cdef Py_ssize_t last, clear, usual, signed, i
    cdef size_t bound
    cdef const Text* values
    space.out = place[0]
    space.end = end
    while done < count:
        last = min(done + TILE, count)
        bound = SHA1_BLOCK  # as `aligned` moves the first row
        if template.columns:
            for i in range(done, last):
                bound += template.http_bound(work.keys[i], &work.values[i * work.width])
        else:
            for i in range(done, last):
                bound += work.keys[i].size
            bound += <size_t>(last - done) * template.http_bound(Text(NULL, 0), NULL)
        hold(&work.http, &work.http_size, bound)
        space.http = aligned(work.http)
        signed = 0
        clear = done  # where the next row with a fault is
        while done < last:
            if done == clear and work.faults[done] != FINE:
                done += 1
                clear = done
                continue
            while clear < last and work.faults[clear] == FINE:
                clear += 1
            if template.lay != NULL:
                usual = <Py_ssize_t>template.lay(
                    &template.frame, &work.keys[done], <size_t>(clear - done), &space, &work.signed[signed],
                    &work.texts[done],
                )
                done += usual
                signed += usual
            if done < clear:
                values = &work.values[done * work.width]
                if <size_t>(end - space.out) < template.text_bound(work.keys[done], values) + SCAN_SLACK:
                    count = done
                    break
                work.faults[done] = template.lay_out(
                    &space, &work.signed[signed], &work.texts[done], work.keys[done], values
                )
                signed += work.faults[done] == FINE and template.signs
                done += 1
        if signed:
            hash_rows(template.engine, template.sign_key, work.signed, signed)
    place[0] = space.out
    return done


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
    cdef Fault fault
    cdef sha1_row signed
    cdef sha1_space space
    cdef Text key_bytes = Text(NULL, 0)
    cdef Text text
    cdef list alive = []
    cdef uint8_t* buffer
    cdef uint8_t[3072] small
    cdef size_t http, bound
    if template.columns:
        raise ParameterError("query", "has a column of values: one call takes one value for each name")
    fault = key_text(key, &key_bytes, alive)
    if fault == NULL_ROW:
        fault = NOT_A_STR
    if fault != FINE:
        raise key_error(template, fault, key, None)
    http = template.http_bound(key_bytes, NULL) + SHA1_BLOCK
    bound = http + template.text_bound(key_bytes, NULL) + SCAN_SLACK
    buffer = small
    if bound > sizeof(small):
        buffer = <uint8_t*>PyMem_RawMalloc(bound)
        if buffer == NULL:
            raise MemoryError
    try:
        space.http = buffer
        space.out = buffer + http
        space.end = buffer + bound
        if template.lay == NULL or not template.lay(&template.frame, &key_bytes, 1, &space, &signed, &text):
            fault = template.lay_out(&space, &signed, &text, key_bytes, NULL)
        if fault != FINE:
            raise key_error(template, fault, key, None)
        if template.signs:
            hash_rows(template.engine, template.sign_key, &signed, 1)
        return template.finished(text)
    finally:
        if buffer != small:
            PyMem_RawFree(buffer)


def sign_many(
    Template template not None, keys, tuple columns not None, tuple names not None, list errors, int threads=1
):
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
    cdef Fault fault
    cdef list alive = []
    cdef size_t bound = SCAN_SLACK
    cdef uint8_t* out
    for i in range(count):
        work.keys[i] = Text(NULL, 0)
        fault = key_text(block[i], &work.keys[i], alive)
        if fault == NULL_ROW and template.rules & NO_NULL:
            fault = MISSING
        if width:
            memset(&work.values[i * width], 0, <size_t>width * sizeof(Text))
            if fault == FINE:
                fault = column_texts(columns, names, start + i, &work.values[i * width], width, alive, errors)
        work.faults[i] = fault
        bound += template.text_bound(work.keys[i], &work.values[i * width])
    hold(&work.text, &work.text_size, bound)
    out = work.text
    with nogil:
        sign_rows(template, work, 0, count, &out, work.text + work.text_size)
    for i in range(count):
        fault = work.faults[i]
        if fault == FINE:
            result.append(template.finished(work.texts[i]))
            continue
        result.append(None)
        if fault not in (NULL_ROW, BAD_VALUE):
            error = key_error(template, fault, block[i], start + i)
            if errors is None:
                raise error
            errors.append((start + i, error.reason))
    return 0


def _sign_share(
    Template template not None, list keys not None, Py_ssize_t start, tuple columns not None, tuple names not None,
    bint keep_errors,
):
    cdef list result = []
    cdef list errors = [] if keep_errors else None
    cdef Workspace work = Workspace(template.columns)
    cdef Py_ssize_t i
    for i in range(start, min(start + SHARE, len(keys)), BLOCK):
        sign_block(template, work, keys[i:i + BLOCK], i, columns, names, errors, result)
    return result, errors


cdef class Crew:
    """Threads that share some calls of a function.

    An interrupt may come at any point of Python code in the main thread, and what is written in Python of threading and
    concurrent.futures may then keep a lock for ever. Here the main thread waits for a plain lock, in C. The counts need
    no lock of their own: they change under Python's global one, with no call in between.
    """

    cdef object function
    cdef list arguments
    cdef list results
    cdef dict failures      # by the call's number
    cdef Py_ssize_t begun
    cdef Py_ssize_t at_work
    cdef bint ended         # nothing more is begun
    cdef object done        # held until nobody is at work

    def __init__(self, function, list arguments not None):
        self.function = function
        self.arguments = arguments
        self.results = [None] * len(arguments)
        self.failures = {}
        self.done = allocate_lock()
        self.done.acquire()
        self.at_work = 1  # whoever starts the others counts as one of them, until they are started

    def work(self):
        """Make calls until all are begun, or one has failed."""
        cdef Py_ssize_t i = 0
        while not self.ended and self.begun < len(self.arguments):
            i = self.begun
            self.begun += 1
            try:
                self.results[i] = self.function(*self.arguments[i])
            except BaseException as error:
                self.failures[i] = error
                self.ended = True
        self.leave()

    cdef int leave(self) except -1:
        self.at_work -= 1
        if self.at_work == 0:
            self.done.release()
        return 0


cdef list in_threads(function, list arguments, int threads):
    """The results of a function for each tuple of arguments, in order; what is not begun when one fails never is."""
    cdef Crew crew = Crew(function, arguments)
    cdef int i
    for i in range(min(threads, len(arguments))):
        crew.at_work += 1
        try:
            start_new_thread(crew.work, ())
        except RuntimeError:  # no more threads to be had
            crew.at_work -= 1
            break
    if crew.at_work == 1:
        crew.work()
    else:
        crew.leave()
    try:
        while not crew.done.acquire(timeout=0.2):  # a signal from before it waits would not wake it
            PyErr_CheckSignals()
    except BaseException:
        crew.ended = True
        crew.done.acquire()
        raise
    if crew.failures:
        raise crew.failures[min(crew.failures)]
    return crew.results


cdef list sign_in_threads(Template template, list keys, tuple columns, tuple names, list errors, int threads):
    cdef list result = []
    shares = [(template, keys, start, columns, names, errors is not None) for start in range(0, len(keys), SHARE)]
    for signed, found in in_threads(_sign_share, shares, threads):
        result += signed
        if found:
            errors += found
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


# --- Arrow in ---------------------------------------------------------------------------------------------------------

# The layouts of a column of text (https://arrow.apache.org/docs/format/Columnar.html).
cdef enum Layout:
    OFFSETS_32
    OFFSETS_64
    VIEWS
    INTEGERS
    DICTIONARY
    RUN_ENDS
    ONE_COLUMN  # a struct, such as a table with one column
    NULLS

cdef enum:
    DEEPEST = 8  # nodes below a column's own

cdef struct Node:
    Layout layout
    int width       # of an integer, an index or a run's end, in bytes
    bint unsigned_
    Node* child     # a dictionary's values, a run's values, a struct's column

cdef void free_node(Node* node) noexcept:
    if node != NULL:
        free_node(node.child)
        PyMem_RawFree(node)


cdef Node* new_node(const ArrowSchema* schema, str parameter, int depth=0) except NULL:
    """What a schema says of a column; ParameterError if that is no column of text."""
    cdef const ArrowSchema* child = NULL
    cdef Node* node
    cdef bytes format = schema.format if schema.format != NULL else b""
    cdef Layout layout = OFFSETS_32
    cdef int width = 0
    if depth > DEEPEST:
        raise ParameterError(parameter, "is a column within columns within columns: give the column of strings itself")
    if schema.dictionary != NULL:
        layout = DICTIONARY
        child = schema.dictionary
    elif format in (b"u", b"z"):
        layout = OFFSETS_32
    elif format in (b"U", b"Z"):
        layout = OFFSETS_64
    elif format in (b"vu", b"vz"):
        layout = VIEWS
    elif format == b"n":
        layout = NULLS
    elif format == b"+r" and schema.n_children == 2 and schema.children != NULL:
        layout = RUN_ENDS
        child = schema.children[1]
        if schema.children[0] == NULL or schema.children[0].format == NULL:
            raise ParameterError(parameter, "is a malformed Arrow schema: run ends without a type")
        format = schema.children[0].format
    elif format == b"+s" and schema.n_children == 1 and schema.children != NULL:
        layout = ONE_COLUMN
        child = schema.children[0]
    elif format in INTEGER_WIDTHS:
        layout = INTEGERS
    else:
        kind = "a struct or table of several columns: select one" if format == b"+s" else f"the Arrow type {shown(format)!r}"
        raise ParameterError(parameter, f"must be a column of strings, not {kind}")
    if layout in (DICTIONARY, RUN_ENDS, INTEGERS):
        if format not in INTEGER_WIDTHS:
            raise ParameterError(parameter, f"is a malformed Arrow schema: {shown(format)!r} is no integer")
        width = INTEGER_WIDTHS[format]
    if layout in (DICTIONARY, RUN_ENDS, ONE_COLUMN) and child == NULL:
        raise ParameterError(parameter, "is a malformed Arrow schema: a child is missing")
    node = <Node*>PyMem_RawMalloc(sizeof(Node))
    if node == NULL:
        raise MemoryError
    node.layout = layout
    node.width = width
    node.unsigned_ = format.isupper()
    node.child = NULL
    if child != NULL:
        try:
            node.child = new_node(child, parameter, depth + 1)
        except BaseException:
            PyMem_RawFree(node)
            raise
    return node


cdef dict INTEGER_WIDTHS = {b"c": 1, b"C": 1, b"s": 2, b"S": 2, b"i": 4, b"I": 4, b"l": 8, b"L": 8}


cdef const uint8_t* NOTHING = b""


cdef inline bint null_at(const ArrowArray* array, int64_t index) noexcept nogil:
    cdef const uint8_t* valid = <const uint8_t*>array.buffers[0]
    return array.null_count != 0 and valid != NULL and not valid[index >> 3] >> (index & 7) & 1


cdef inline int64_t integer_at(const void* buffer, int width, int64_t index) noexcept nogil:
    if width == 1:
        return (<const int8_t*>buffer)[index]
    if width == 2:
        return (<const int16_t*>buffer)[index]
    if width == 4:
        return (<const int32_t*>buffer)[index]
    return (<const int64_t*>buffer)[index]


cdef inline int64_t index_at(const void* buffer, const Node* node, int64_t index) noexcept nogil:
    """A dictionary's index; -1 for what cannot be one."""
    cdef int64_t value = integer_at(buffer, node.width, index)
    if node.unsigned_ and node.width < 8:
        value &= (<int64_t>1 << 8 * node.width) - 1
    return value


cdef size_t put_integer(uint8_t* out, int64_t value, const Node* node) noexcept nogil:
    cdef uint8_t[DIGITS] digits
    cdef uint64_t rest = <uint64_t>value
    cdef size_t count = 0
    cdef size_t size = 0
    if node.unsigned_:
        if node.width < 8:
            rest &= (<uint64_t>1 << 8 * node.width) - 1
    elif value < 0:
        rest = 0 - rest
        out[0] = c"-"
        size = 1
    while True:
        digits[count] = <uint8_t>(c"0" + rest % 10)
        rest //= 10
        count += 1
        if rest == 0:
            break
    while count:
        count -= 1
        out[size] = digits[count]
        size += 1
    return size


cdef const char* column_fault(const Node* node, const ArrowArray* array) noexcept nogil:
    """Why an array does not fit its schema, as far as that can be seen without its rows; NULL if it fits."""
    cdef int64_t buffers = 1
    cdef int64_t i
    if array.length < 0 or array.offset < 0 or array.length > INT64_MAX - array.offset:
        return "its length or offset is negative or too large"
    if node.layout in (RUN_ENDS, NULLS):
        buffers = 0
    elif node.layout in (INTEGERS, DICTIONARY):
        buffers = 2
    elif node.layout in (OFFSETS_32, OFFSETS_64, VIEWS):
        buffers = 3
    if array.n_buffers < buffers or (node.layout != VIEWS and array.n_buffers > buffers and buffers):
        return "it has another number of buffers than its type"
    if buffers and array.buffers == NULL:
        return "its buffers are missing"
    if array.length and buffers > 1 and array.buffers[1] == NULL:
        return "a buffer is missing"
    if node.layout == VIEWS and array.length and array.n_buffers > 3:
        if array.buffers[array.n_buffers - 1] == NULL:
            return "the sizes of its data buffers are missing"
    if node.layout == DICTIONARY:
        if array.dictionary == NULL:
            return "its dictionary is missing"
        return column_fault(node.child, array.dictionary)
    if node.layout == RUN_ENDS:
        if array.n_children != 2 or array.children == NULL or array.children[0] == NULL or array.children[1] == NULL:
            return "its run ends or values are missing"
        if array.children[0].n_buffers != 2 or array.children[0].buffers == NULL or array.children[0].offset < 0:
            return "its run ends are malformed"
        if array.children[0].length and array.children[0].buffers[1] == NULL:
            return "a buffer is missing"
        if array.children[0].length < 0 or array.children[0].length > array.children[1].length:
            return "it has more run ends than values"
        if array.length and not array.children[0].length:
            return "its run ends are missing"
        return column_fault(node.child, array.children[1])
    if node.layout == ONE_COLUMN:
        if array.n_children != 1 or array.children == NULL or array.children[0] == NULL:
            return "its column is missing"
        if array.children[0].length < array.offset + array.length:
            return "its column is shorter than itself"
        return column_fault(node.child, array.children[0])
    return NULL


cdef const char* read_texts(
    const Node* node, const ArrowArray* array, int64_t first, int64_t count, Text* texts, Py_ssize_t stride,
    uint8_t* digits,
) noexcept nogil:
    """The texts of rows first ... first + count - 1; a null's data is NULL.

    `column_fault` has passed the array. `digits` has DIGITS bytes a row for integers.

    Returns:
        Why the array is malformed, or NULL.
    """
    cdef int64_t i, start, end, signs, index, run, low, high, middle
    cdef const uint8_t* data
    cdef const int32_t* offsets
    cdef const int32_t* view
    cdef Text* text
    cdef const ArrowArray* inner
    cdef const char* fault
    if first < 0 or count > array.length - first:
        return "it is shorter than what refers to it"
    if node.layout == ONE_COLUMN:
        fault = read_texts(node.child, array.children[0], array.offset + first, count, texts, stride, digits)
        if fault == NULL:
            for i in range(count):
                if null_at(array, array.offset + first + i):
                    texts[i * stride] = Text(NULL, 0)
        return fault
    first += array.offset
    if node.layout == RUN_ENDS:
        inner = array.children[0]
        low = 0
        high = inner.length
        while low < high:  # the first run that ends behind `first`
            middle = (low + high) // 2
            if integer_at(inner.buffers[1], node.width, inner.offset + middle) > first:
                high = middle
            else:
                low = middle + 1
        run = low
        i = 0
        while i < count:
            if run >= inner.length:
                return "its runs end before it does"
            end = integer_at(inner.buffers[1], node.width, inner.offset + run)
            if end <= first + i:
                return "its run ends do not grow"
            fault = read_texts(node.child, array.children[1], run, 1, &texts[i * stride], stride, digits + DIGITS * i)
            if fault != NULL:
                return fault
            start = i
            while i < count and first + i < end:
                texts[i * stride] = texts[start * stride]
                i += 1
            run += 1
        return NULL
    if node.layout == OFFSETS_32 and array.buffers[2] != NULL and (array.null_count == 0 or array.buffers[0] == NULL):
        offsets = <const int32_t*>array.buffers[1] + first
        data = <const uint8_t*>array.buffers[2]
        signs = end = offsets[0]
        for i in range(count):  # the usual column: one test for all rows
            start = end
            end = offsets[i + 1]
            signs |= end | (end - start)
            texts[i * stride] = Text(data + start, <size_t>(end - start))
        if signs < 0:
            return "its offsets go back"
        return NULL
    for i in range(count):
        index = first + i
        text = &texts[i * stride]
        text[0] = Text(NULL, 0)
        if node.layout == NULLS or null_at(array, index):
            continue
        if node.layout == OFFSETS_32 or node.layout == OFFSETS_64:
            if node.layout == OFFSETS_32:
                start = (<const int32_t*>array.buffers[1])[index]
                end = (<const int32_t*>array.buffers[1])[index + 1]
            else:
                start = (<const int64_t*>array.buffers[1])[index]
                end = (<const int64_t*>array.buffers[1])[index + 1]
            data = <const uint8_t*>array.buffers[2]
            if start < 0 or end < start:
                return "its offsets go back"
            if end > start and data == NULL:
                return "a buffer is missing"
            text.data = data + start
            if end == start:
                text.data = NOTHING  # of an array whose texts are all empty, the buffer may be missing
            text.size = <size_t>(end - start)
        elif node.layout == VIEWS:
            view = <const int32_t*>array.buffers[1] + 4 * index
            if view[0] < 0:
                return "a view's length is negative"
            if view[0] <= 12:
                text[0] = Text(<const uint8_t*>(view + 1), <size_t>view[0])
                continue
            run = view[2]
            start = view[3]
            if run < 0 or run >= array.n_buffers - 3 or array.buffers[2 + run] == NULL:
                return "a view is in a buffer that is not there"
            end = (<const int64_t*>array.buffers[array.n_buffers - 1])[run]
            if start < 0 or start + view[0] > end:
                return "a view is outside its buffer"
            text[0] = Text(<const uint8_t*>array.buffers[2 + run] + start, <size_t>view[0])
        elif node.layout == INTEGERS:
            text.size = put_integer(digits + DIGITS * i, integer_at(array.buffers[1], node.width, index), node)
            text.data = digits + DIGITS * i
        else:
            index = index_at(array.buffers[1], node, index)
            fault = read_texts(node.child, array.dictionary, index, 1, text, stride, digits + DIGITS * i)
            if fault != NULL:
                return fault
    return NULL


cdef class ArrowChunk:
    """An array that was given to us, released when the last job that reads it is done."""

    cdef ArrowArray array

    def __dealloc__(self):
        if self.array.release != NULL:
            self.array.release(&self.array)


cdef class ArrowColumn:
    """A column of text, chunk by chunk: whatever has ``__arrow_c_stream__`` or ``__arrow_c_array__``."""

    cdef ArrowArrayStream stream
    cdef ArrowChunk chunk
    cdef int64_t position  # of the next row, in the chunk
    cdef int64_t row       # the same in the column
    cdef Node* node
    cdef str parameter
    cdef object source     # keeps what we were given alive
    cdef bint ended
    cdef bint string_view  # its type is Arrow's string view

    def __cinit__(self, source, str parameter not None):
        cdef ArrowSchema schema
        cdef ArrowSchema* schema_given
        cdef ArrowArrayStream* stream_given
        cdef ArrowArray* array_given
        self.parameter = parameter
        self.source = source
        if hasattr(source, "__arrow_c_stream__"):
            capsule = source.__arrow_c_stream__()
            stream_given = <ArrowArrayStream*>PyCapsule_GetPointer(capsule, "arrow_array_stream")
            if stream_given.release == NULL:
                raise ParameterError(parameter, "is an Arrow stream that was consumed before")
            self.stream = stream_given[0]
            stream_given.release = NULL
            memset(&schema, 0, sizeof(schema))
            with nogil:
                status = self.stream.get_schema(&self.stream, &schema)
            if status:
                raise ParameterError(parameter, self.stream_error())
            try:
                self.node = new_node(&schema, parameter)
                self.string_view = schema.format == b"vu"
            finally:
                if schema.release != NULL:
                    schema.release(&schema)
        elif hasattr(source, "__arrow_c_array__"):
            schema_capsule, capsule = source.__arrow_c_array__()
            schema_given = <ArrowSchema*>PyCapsule_GetPointer(schema_capsule, "arrow_schema")
            array_given = <ArrowArray*>PyCapsule_GetPointer(capsule, "arrow_array")
            self.node = new_node(schema_given, parameter)
            self.string_view = schema_given.format == b"vu"
            self.take(array_given)
            self.ended = True
        else:
            raise ParameterError(
                parameter, f"must speak the Arrow PyCapsule interface, which {type(source).__name__} does not: "
                "give a pyarrow, polars, DuckDB or pandas column"
            )

    def __dealloc__(self):
        free_node(self.node)
        if self.stream.release != NULL:
            self.stream.release(&self.stream)

    cdef int check_text(self) except -1:
        """Refuse integers, which a parameter's value may be, and a key not."""
        cdef const Node* node = self.node
        while node.child != NULL:
            node = node.child
        if node.layout == INTEGERS:
            raise ParameterError(self.parameter, "must be a column of strings, not of integers")
        return 0

    cdef str stream_error(self):
        cdef const char* message = NULL
        if self.stream.get_last_error != NULL:
            message = self.stream.get_last_error(&self.stream)
        return "cannot be read: " + (shown(message) if message != NULL else "its Arrow stream failed without saying why")

    cdef int take(self, ArrowArray* given) except -1:
        cdef const char* fault
        cdef ArrowChunk chunk = ArrowChunk()
        chunk.array = given[0]
        given.release = NULL
        fault = column_fault(self.node, &chunk.array)
        if fault != NULL:
            raise ParameterError(self.parameter, f"is a malformed Arrow array: {shown(fault)}", self.row)
        self.chunk = chunk
        self.position = 0
        return 0

    cdef int64_t left(self) except -1:
        """Rows left in the chunk, after taking the next one where need be; 0 at the end."""
        cdef ArrowArray array
        while self.chunk is None or self.position == self.chunk.array.length:
            self.chunk = None
            if self.ended:
                return 0
            memset(&array, 0, sizeof(array))
            with nogil:
                status = self.stream.get_next(&self.stream, &array)
            if status:
                raise ParameterError(self.parameter, self.stream_error())
            if array.release == NULL:
                self.ended = True
                return 0
            self.take(&array)
        return self.chunk.array.length - self.position


# What a chunk of Lines keeps until it is released.
cdef struct LineBlock:
    PyObject* data
    int32_t* views
    int64_t size
    const void* buffers[4]


cdef class Lines:
    """Lines of text as an Arrow stream of binary views: a chunk for each block.

    Args:
        blocks: an iterable of bytes: whole lines, which end with "\\n" or "\\r\\n"; the last one of a block need not.

    Attributes:
        rows: how many lines were given so far.
        failure: the exception that ended `blocks`.
    """

    cdef object blocks
    cdef readonly int64_t rows
    cdef readonly object failure

    def __init__(self, blocks):
        self.blocks = iter(blocks)

    def __arrow_c_stream__(self, requested_schema=None):
        return stream_capsule(self, ArrowArrayStream(lines_schema, lines_next, lines_last_error, stream_release, NULL))


def records_end(bytes block not None, /) -> int:
    """How many bytes of a block of CSV are whole rows, whose quoted fields may hold line ends.

    Source: RFC 4180. As in Python's csv and in pyarrow, a quote that does not begin a field is a character of it.

    >>> records_end(b'a,1\\n"b\\n')
    4
    """
    cdef const uint8_t* start = <const uint8_t*>PyBytes_AS_STRING(block)
    cdef const uint8_t* place = start
    cdef const uint8_t* end = start + PyBytes_GET_SIZE(block)
    cdef const uint8_t* whole = start
    cdef bint at_field = True
    with nogil:
        while place < end:
            if place[0] == c'"' and at_field:
                while True:  # to the quote that is not doubled
                    place = <const uint8_t*>memchr(place + 1, c'"', <size_t>(end - place - 1))
                    if place == NULL or place + 1 == end or place[1] != c'"':
                        break
                    place += 1
                if place == NULL:
                    break
            elif place[0] == c"\n" or (place[0] == c"\r" and place + 1 < end and place[1] != c"\n"):
                whole = place + 1
                at_field = True
            else:
                at_field = place[0] == c","
            place += 1
    return whole - start


cdef int interrupt(void* unused) except -1:
    """Raise KeyboardInterrupt again, after a consumer has hidden it; Python calls this in the main thread."""
    raise KeyboardInterrupt


cdef int lines_schema(ArrowArrayStream* stream, ArrowSchema* schema) noexcept nogil:
    export_schema(schema, "vz")
    return 0


cdef int lines_next(ArrowArrayStream* stream, ArrowArray* array) noexcept with gil:
    cdef Lines lines = <Lines>stream.private_data
    memset(array, 0, sizeof(ArrowArray))
    if lines.failure is not None:
        return EINVAL
    try:
        block = next(lines.blocks, None)
        if block is not None:
            export_lines(block, array)
            lines.rows += array.length
    except BaseException as error:
        lines.failure = error
        if isinstance(error, KeyboardInterrupt):
            Py_AddPendingCall(interrupt, NULL)
        return EINVAL
    return 0


cdef const char* lines_last_error(ArrowArrayStream* stream) noexcept nogil:
    return "the lines cannot be read"


cdef int export_lines(bytes data, ArrowArray* array) except -1:
    """The lines of a block where they are."""
    cdef const uint8_t* start = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef const uint8_t* place = start
    cdef const uint8_t* end = start + PyBytes_GET_SIZE(data)
    cdef const uint8_t* found
    cdef int32_t* view
    cdef size_t room = <size_t>(end - start) // 24 + 2
    cdef size_t size
    cdef int64_t rows = 0
    cdef LineBlock* block
    if end - start > INT32_MAX:
        raise ValueError("a block of lines is larger than 2 GiB")
    block = <LineBlock*>PyMem_RawMalloc(sizeof(LineBlock))
    if block == NULL:
        raise MemoryError
    block.views = <int32_t*>PyMem_RawMalloc(16 * room)
    while block.views != NULL and place < end:
        if <size_t>rows == room:
            room *= 2
            view = <int32_t*>PyMem_RawRealloc(block.views, 16 * room)
            if view == NULL:
                PyMem_RawFree(block.views)
            block.views = view
            if view == NULL:
                break
        found = <const uint8_t*>memchr(place, c"\n", <size_t>(end - place))
        if found == NULL:
            found = end
        size = <size_t>(found - place)
        if size and found[-1] == c"\r":
            size -= 1
        view = block.views + 4 * rows
        view[0] = <int32_t>size
        if size <= 12:
            memset(view + 1, 0, 12)
            memcpy(view + 1, place, size)
        else:
            memcpy(view + 1, place, 4)
            view[2] = 0
            view[3] = <int32_t>(place - start)
        rows += 1
        place = found + 1
    if block.views == NULL:
        PyMem_RawFree(block)
        raise MemoryError
    block.size = end - start
    block.data = <PyObject*>data
    Py_INCREF(data)
    block.buffers = [NULL, block.views, start, &block.size]
    array.length = rows
    array.n_buffers = 4
    array.buffers = block.buffers
    array.private_data = block
    array.release = release_lines
    return 0


cdef void release_lines(ArrowArray* array) noexcept with gil:
    cdef LineBlock* block = <LineBlock*>array.private_data
    Py_DECREF(<object>block.data)
    PyMem_RawFree(block.views)
    PyMem_RawFree(block)
    array.release = NULL


# --- Arrow out --------------------------------------------------------------------------------------------------------

cdef enum:
    SLOT = 1 << 19         # bytes of a result chunk, unless a Memory has others: it stays in the second cache
    LEAST_SLOT = 1 << 12
    MOST_SLOT = 1 << 30    # offsets are of 32 bits
    ROW = 128              # a chunk has at most a row for so many of its bytes
    KEPT_SLOTS = 24        # with so many in a reader's hands, it keeps them, and waste counts
    SLAB = 1 << 21         # bytes of the first block of slots: a huge page; each further one is twice as large, up to
    LARGEST_SLAB = 1 << 22

cdef struct Slab:
    Slab* next
    uint8_t* pages
    size_t size
    size_t used   # slots handed out so far

# A result's memory, the offsets or views and the data behind this head. A slot in nobody's hands waits in its pool.
cdef struct Slot:
    Slot* next
    Pool* pool
    const void* buffers[4]
    size_t size       # of everything
    size_t others     # slots that were in somebody's hands when this one was handed out
    bint single       # its own memory, not a slab's
    bint views        # string views, four numbers a row, instead of offsets
    uint8_t* valid
    int32_t* offsets
    uint8_t* data
    int64_t most       # rows
    int64_t rows
    int64_t nulls
    size_t data_size
    int64_t view_size  # the same, where Arrow finds it

cdef struct Pool:
    PyThread_type_lock lock
    Slab* slabs
    Slot* waiting      # last in, first out: the one that is still in the caches
    size_t out         # slots in somebody's hands
    size_t idle        # slots that wait
    size_t most_idle   # slots; the next ones keep no memory
    size_t slot        # bytes of one
    bint closed        # its Memory is gone: the last slot that comes back frees all
    uint64_t forks     # as they were when it was made, or revived
    bint stays         # it is never freed


# After a fork, a pool's lock may be held by a thread that the new process lacks, and its lists may be half changed. We
# cannot hold all locks over a fork, because os.fork releases Python's global lock on its way.
cdef uint64_t forks = 0  # that lie between the process that imported this and this one
cdef PyThread_type_lock reviving = new_lock()


def _after_fork():
    global forks, reviving
    reviving = new_lock()
    forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


cdef void lock_pool(Pool* pool) noexcept nogil:
    """Do not take Python's global lock while you hold this one: its holder may wait for this one.

    Do not call Python's allocators either: tracemalloc makes them take the global lock.
    """
    if cossign_load(&pool.forks) != forks:
        revive(pool)
    PyThread_acquire_lock(pool.lock, WAIT_LOCK)


cdef void revive(Pool* pool) noexcept nogil:
    """Empty a pool that came over by a fork. It is never freed, as we cannot know what its memory is used for."""
    cdef PyThread_type_lock fresh = PyThread_allocate_lock()
    PyThread_acquire_lock(reviving, WAIT_LOCK)
    if pool.forks != forks:
        pool.lock = fresh if fresh != NULL else reviving
        fresh = NULL
        pool.slabs = NULL
        pool.waiting = NULL
        pool.idle = 0
        pool.stays = True
        cossign_store(&pool.forks, forks)
    PyThread_release_lock(reviving)
    if fresh != NULL:
        PyThread_free_lock(fresh)


cdef PyThread_type_lock new_lock() except NULL:
    cdef PyThread_type_lock lock = PyThread_allocate_lock()
    if lock == NULL:
        raise MemoryError
    return lock


cdef class Memory:
    """The pool of a `SignedColumn`'s chunks; one for several, if they are read one behind the other.

    Args:
        idle: of what nobody reads, so many bytes stay in memory.
        chunk: bytes of a chunk; more than the default where what reads pays for each.
    """

    cdef Pool* pool

    def __cinit__(self, size_t idle=1 << 24, size_t chunk=SLOT):
        if not LEAST_SLOT <= chunk <= MOST_SLOT:
            raise ValueError(f"a chunk has {LEAST_SLOT} to {MOST_SLOT} bytes")
        self.pool = new_pool()
        self.pool.most_idle = idle // chunk
        self.pool.slot = chunk

    def __dealloc__(self):
        if self.pool != NULL:
            close_pool(self.pool)


cdef Pool* new_pool() except NULL:
    cdef Pool* pool = <Pool*>malloc(sizeof(Pool))
    if pool == NULL:
        raise MemoryError
    memset(pool, 0, sizeof(Pool))
    pool.lock = PyThread_allocate_lock()
    if pool.lock == NULL:
        free(pool)
        raise MemoryError
    pool.forks = forks
    return pool


cdef void free_pool(Pool* pool) noexcept nogil:
    cdef Slab* slab
    while pool.slabs != NULL:
        slab = pool.slabs
        pool.slabs = slab.next
        pages_free(slab.pages, slab.size)
        free(slab)
    PyThread_free_lock(pool.lock)
    free(pool)


cdef void close_pool(Pool* pool) noexcept nogil:
    """The Memory is gone; what its consumers hold stays."""
    cdef bint last
    lock_pool(pool)
    pool.closed = True
    last = pool.out == 0 and not pool.stays
    PyThread_release_lock(pool.lock)
    if last:
        free_pool(pool)


cdef inline size_t places_size(size_t rows, bint views) noexcept nogil:
    """Bytes of so many rows' offsets or views, and some more, as they are written in one go."""
    return (rows + 16) * (16 if views else 4)


cdef Slot* new_slot(Pool* pool, size_t single, size_t rows, bint views) noexcept nogil:
    """A slot; or one with its own memory, `single` bytes for `rows` rows' data; NULL without memory."""
    cdef Slot* slot = NULL
    cdef Slab* slab
    cdef size_t size = pool.slot
    cdef size_t head = (sizeof(Slot) + 63) & ~<size_t>63
    cdef size_t valid_size = (rows + 511) // 512 * 64
    rows = (rows + 63) & ~<size_t>63
    if single:
        size = head + valid_size + places_size(rows, views) + single
        slot = <Slot*>malloc(size)
        if slot == NULL:
            return NULL
        lock_pool(pool)
    else:
        lock_pool(pool)
        slab = pool.slabs
        if pool.waiting != NULL:
            slot = pool.waiting
            pool.waiting = slot.next
            pool.idle -= 1
        else:
            if slab == NULL or slab.used + size > slab.size:
                slab = <Slab*>malloc(sizeof(Slab))
                if slab != NULL:
                    slab.size = SLAB if pool.slabs == NULL else min(2 * pool.slabs.size, <size_t>LARGEST_SLAB)
                    slab.size = max(slab.size, size)
                    slab.pages = <uint8_t*>pages_new(slab.size)
                    if slab.pages == NULL:
                        free(slab)
                        slab = NULL
                if slab == NULL:
                    PyThread_release_lock(pool.lock)
                    return NULL
                slab.used = 0
                slab.next = pool.slabs
                pool.slabs = slab
            slot = <Slot*>(slab.pages + slab.used)
            slab.used += size
    slot.others = pool.out
    pool.out += 1
    PyThread_release_lock(pool.lock)
    slot.pool = pool
    slot.size = size
    slot.single = single != 0
    slot.views = views
    slot.valid = <uint8_t*>slot + head
    slot.offsets = <int32_t*>(slot.valid + valid_size)
    slot.data = <uint8_t*>slot.offsets + places_size(rows, views)
    slot.most = <int64_t>rows
    slot.rows = 0
    slot.nulls = 0
    slot.data_size = 0
    slot.offsets[0] = 0
    return slot


cdef void drop_slot(Slot* slot) noexcept nogil:
    """Give a slot back; any thread may, with or without Python's lock."""
    cdef Pool* pool = slot.pool
    cdef bint last
    if slot.single:
        free(slot)
        slot = NULL
    lock_pool(pool)
    pool.out -= 1
    if slot != NULL:
        if pool.idle >= pool.most_idle:
            pages_forget(slot, pool.slot)
        slot.next = pool.waiting
        pool.waiting = slot
        pool.idle += 1
    last = pool.closed and pool.out == 0 and not pool.stays
    PyThread_release_lock(pool.lock)
    if last:
        free_pool(pool)


cdef void release_array(ArrowArray* array) noexcept nogil:
    drop_slot(<Slot*>array.private_data)
    array.release = NULL


cdef void export_slot(Slot* slot, ArrowArray* array) noexcept nogil:
    memset(array, 0, sizeof(ArrowArray))
    slot.buffers[0] = slot.valid if slot.nulls else NULL
    slot.buffers[1] = slot.offsets
    slot.buffers[2] = slot.data
    slot.buffers[3] = &slot.view_size
    slot.view_size = <int64_t>slot.data_size
    array.length = slot.rows
    array.null_count = slot.nulls
    array.n_buffers = 4 if slot.views else 3
    array.buffers = slot.buffers
    array.private_data = slot
    array.release = release_array


cdef void release_schema(ArrowSchema* schema) noexcept nogil:
    schema.release = NULL


cdef void export_schema(ArrowSchema* schema, const char* format) noexcept nogil:
    memset(schema, 0, sizeof(ArrowSchema))
    schema.format = format
    schema.name = ""
    schema.flags = 2  # nullable
    schema.release = release_schema


cdef void put_rows(Slot* slot, const Fault* faults, const Text* texts, Py_ssize_t count) noexcept nogil:
    """Add rows that were laid out at the slot's end, and nulls where there are faults."""
    cdef int32_t* offsets = slot.offsets + slot.rows + 1
    cdef int32_t* view = slot.offsets + 4 * slot.rows
    cdef bint views = slot.views
    cdef size_t size = slot.data_size
    cdef Py_ssize_t i
    for i in range(count):
        if faults == NULL or faults[i] == FINE:
            if views:  # a URL is never short enough to stand in its view
                view[4 * i] = <int32_t>texts[i].size
                memcpy(view + 4 * i + 1, texts[i].data, 4)
                view[4 * i + 2] = 0
                view[4 * i + 3] = <int32_t>size
            size += texts[i].size
        else:
            if views:
                memset(view + 4 * i, 0, 16)
            if not slot.nulls:
                memset(slot.valid, 0xFF, <size_t>(<uint8_t*>slot.offsets - slot.valid))
            slot.valid[(slot.rows + i) >> 3] &= <uint8_t>~(1 << ((slot.rows + i) & 7))
            slot.nulls += 1
        if not views:
            offsets[i] = <int32_t>size
    slot.data_size = size
    slot.rows += count


cdef Slot* compact(Slot* slot) noexcept nogil:
    """A slot that is far from full, in memory of its own size, where many are kept; otherwise the slot itself."""
    cdef Slot* small
    cdef size_t unused = <size_t>(<uint8_t*>slot + slot.size - slot.data) - slot.data_size
    if slot.single or slot.others < KEPT_SLOTS or unused <= slot.size // 16:
        return slot
    small = new_slot(slot.pool, slot.data_size + 1, <size_t>slot.rows, slot.views)
    if small == NULL:
        return slot
    memcpy(small.valid, slot.valid, <size_t>(slot.rows + 7) // 8)
    memcpy(small.offsets, slot.offsets, places_size(<size_t>slot.rows, slot.views))
    memcpy(small.data, slot.data, slot.data_size)
    small.rows = slot.rows
    small.nulls = slot.nulls
    small.data_size = slot.data_size
    drop_slot(slot)
    return small


# A column's rows from `position` on.
cdef struct Slice:
    const Node* node
    const ArrowArray* array
    int64_t position


# What becomes of rows that are signed together: threads work on it without Python's lock.
cdef struct Task:
    PyObject* share   # which it belongs to
    Slice* slices     # one of every column
    int64_t row       # the next one, in the whole
    int64_t left      # rows
    Slot* signed      # in order; theirs are Slot.next
    Slot* last
    Slot* open        # the one that is being filled
    bint views        # instead of offsets
    bint done
    Task* next        # of those that no thread has begun


cdef class Share:
    """Rows of every column that are signed together: one chunk of each, from a row on."""

    cdef list columns     # they and their chunks are kept alive
    cdef list chunks
    cdef list errors      # the bad rows, if they are kept
    cdef object failure   # the exception that ended it
    cdef Task task

    def __cinit__(self, list columns not None, int64_t rows, bint views):
        cdef Py_ssize_t i
        cdef ArrowColumn column
        self.columns = columns
        self.chunks = [(<ArrowColumn?>column).chunk for column in columns]
        self.errors = []
        self.task.share = <PyObject*>self
        self.task.left = rows
        self.task.views = views
        self.task.slices = <Slice*>PyMem_RawMalloc(<size_t>len(columns) * sizeof(Slice))
        if self.task.slices == NULL:
            raise MemoryError
        for i in range(len(columns)):
            column = columns[i]
            self.task.slices[i] = Slice(column.node, &column.chunk.array, column.position)

    def __dealloc__(self):
        while self.task.signed != NULL:
            drop_slot(taken_slot(&self.task))
        if self.task.open != NULL:
            drop_slot(self.task.open)
        PyMem_RawFree(self.task.slices)


cdef Slot* taken_slot(Task* task) noexcept nogil:
    """The first of what is signed."""
    cdef Slot* slot = task.signed
    task.signed = slot.next
    return slot


cdef class SignedColumn:
    """The URLs of `Signer.presign_arrow`, chunk by chunk as they are asked for.

    Speaks the Arrow PyCapsule interface: hand it to pyarrow (``pa.chunked_array(urls)``,
    ``pa.RecordBatchReader``...), polars, DuckDB, pandas or nanoarrow. A column that can be read again can be signed
    again; a stream can be taken once.

    Attributes:
        errors: with ``on_error="null"``, ``(index, reason)`` for each bad row read so far.
    """

    cdef Template template
    cdef object keys
    cdef tuple sources
    cdef tuple names
    cdef object varied     # makes the template of a row out of the texts of the columns behind the template's own
    cdef dict templates    # the last ones that were made, or why there is none
    cdef int threads
    cdef Memory memory
    cdef object first  # a stream that was opened to check its type
    cdef readonly list errors
    cdef bint keep_errors
    cdef bint varies
    cdef bint as_keys  # string views for keys that are
    cdef bint views    # the result is, instead of strings

    def __init__(
        self, Template template not None, keys, tuple sources not None, tuple names not None, varied, bint keep_errors,
        int threads, Memory memory=None, bint as_keys=False,
    ):
        if not template.columns <= len(sources) == len(names) <= MOST_COLUMNS:
            raise ValueError("the template has other columns than were given")
        self.memory = memory
        self.template = template
        self.varied = varied
        self.varies = varied is not None
        self.templates = {}
        self.keys = keys
        self.sources = sources
        self.names = names
        self.threads = threads
        self.keep_errors = keep_errors
        self.as_keys = as_keys
        self.first = self.opened()

    cdef object template_of(self, Workspace work, Py_ssize_t i):
        """A row's template, or the ParameterError that says why there is none."""
        cdef Text* value
        cdef list texts = []
        for column in range(self.template.columns, work.width):
            value = &work.values[i * work.width + column]
            texts.append(None if value.data == NULL else value.data[:value.size].decode())
        made = tuple(texts)
        found = self.templates.get(made)
        if found is None:
            try:
                found = self.varied(*texts)
            except ParameterError as error:
                found = error
            if len(self.templates) >= MOST_TEMPLATES:
                self.templates.clear()
            self.templates[made] = found
        return found

    def opened(self):
        cdef ArrowColumn keys = ArrowColumn(self.keys, self.template.parameter)
        keys.check_text()
        self.errors = []
        self.views = self.as_keys and keys.string_view
        return SigningStream(
            self, [keys, *[ArrowColumn(source, name) for source, name in zip(self.sources, self.names)]]
        )

    def __iter__(self):
        """The chunks, each with ``__arrow_c_array__``."""
        cdef ArrowArray array
        cdef ReadyChunk ready
        state, self.first = self.first, None
        if state is None:
            state = self.opened()
        while True:
            memset(&array, 0, sizeof(array))
            (<SigningStream>state).next_chunk(&array)
            if array.release == NULL:
                return
            ready = ReadyChunk()
            ready.slot = <Slot*>array.private_data
            yield ready
            ready = None

    def __arrow_c_schema__(self):
        return schema_capsule(self.views)

    def __arrow_c_stream__(self, requested_schema=None):
        state, self.first = self.first, None
        if state is None:
            state = self.opened()
        return stream_capsule(
            state, ArrowArrayStream(stream_schema, stream_next, stream_last_error, stream_release, NULL)
        )


cdef object stream_capsule(object state, ArrowArrayStream methods):
    """A stream whose methods find `state` in it."""
    cdef ArrowArrayStream* stream = <ArrowArrayStream*>PyMem_RawMalloc(sizeof(ArrowArrayStream))
    if stream == NULL:
        raise MemoryError
    stream[0] = methods
    stream.private_data = <void*>state
    Py_INCREF(state)
    return PyCapsule_New(stream, "arrow_array_stream", free_stream_capsule)


cdef object schema_capsule(bint views):
    cdef ArrowSchema* schema = <ArrowSchema*>PyMem_RawMalloc(sizeof(ArrowSchema))
    if schema == NULL:
        raise MemoryError
    export_schema(schema, "vu" if views else "u")
    return PyCapsule_New(schema, "arrow_schema", free_schema_capsule)


cdef void free_array_capsule(object capsule) noexcept:
    cdef ArrowArray* array = <ArrowArray*>PyCapsule_GetPointer(capsule, "arrow_array")
    if array.release != NULL:
        array.release(array)
    PyMem_RawFree(array)


cdef void free_schema_capsule(object capsule) noexcept:
    PyMem_RawFree(PyCapsule_GetPointer(capsule, "arrow_schema"))


cdef void free_stream_capsule(object capsule) noexcept:
    cdef ArrowArrayStream* stream = <ArrowArrayStream*>PyCapsule_GetPointer(capsule, "arrow_array_stream")
    if stream.release != NULL:
        stream.release(stream)
    PyMem_RawFree(stream)


cdef int stream_schema(ArrowArrayStream* stream, ArrowSchema* schema) noexcept with gil:
    export_schema(schema, "vu" if (<SigningStream>stream.private_data).whole.views else "u")
    return 0


cdef int stream_next(ArrowArrayStream* stream, ArrowArray* array) noexcept with gil:
    cdef SigningStream state = <SigningStream>stream.private_data
    memset(array, 0, sizeof(ArrowArray))
    if state.message is not None:  # it failed before, and what follows is not the end
        return EINVAL
    try:
        PyErr_CheckSignals()
        state.next_chunk(array)
    except BaseException as error:
        state.message = (str(error) or type(error).__name__).encode("utf-8", "backslashreplace")
        if isinstance(error, KeyboardInterrupt):
            Py_AddPendingCall(interrupt, NULL)  # the consumer raises an exception of its own, which a program may catch
        return EINVAL
    return 0


cdef const char* stream_last_error(ArrowArrayStream* stream) noexcept with gil:
    cdef SigningStream state = <SigningStream>stream.private_data
    return NULL if state.message is None else PyBytes_AS_STRING(state.message)


cdef void stream_release(ArrowArrayStream* stream) noexcept with gil:
    state = <object>stream.private_data
    stream.private_data = NULL
    stream.release = NULL
    Py_DECREF(state)


cdef class SigningStream:
    """One pass over the columns."""

    cdef SignedColumn whole
    cdef list columns
    cdef Memory memory
    cdef Share share      # what the only thread signs
    cdef Workspace work   # of whoever reads
    cdef bytes message
    cdef bint ended
    # several threads: they and whoever reads take tasks in turn
    cdef object ahead              # a deque of Shares, in order
    cdef int64_t most              # rows of the next one: they should just fit into one slot
    cdef PyThread_type_lock lock   # of all below
    cdef PyThread_type_lock bell   # threads without a task wait for it
    cdef PyThread_type_lock news   # whoever reads waits for it, until a task is done
    cdef Task* first               # of those that no thread has begun
    cdef Task* last
    cdef int at_work               # threads besides whoever reads
    cdef int asleep
    cdef uint64_t forks            # when they were begun
    cdef bint rung
    cdef bint reader_waits

    def __cinit__(self, SignedColumn whole not None, list columns not None):
        if not columns:
            raise ValueError("give a column of keys")
        self.whole = whole
        self.columns = columns
        self.memory = Memory() if whole.memory is None else whole.memory
        self.most = <int64_t>(self.memory.pool.slot // ROW // 4)

    def __dealloc__(self):
        if self.lock != NULL:
            PyThread_free_lock(self.lock)
        if self.bell != NULL:
            PyThread_free_lock(self.bell)
        if self.news != NULL:
            PyThread_free_lock(self.news)

    cdef Share next_share(self, int64_t most):
        """The next rows, at most so many; None at the end."""
        cdef Share share
        cdef ArrowColumn column
        cdef int64_t left = most
        cdef list ends = []
        for column in self.columns:
            here = column.left()
            left = min(left, here)
            ends.append(here == 0)
        if left == 0:
            if not all(ends):
                short = self.columns[ends.index(True)]
                raise ParameterError(
                    (<ArrowColumn>short).parameter,
                    f"ends after {(<ArrowColumn>short).row} rows: the columns must be as long as the keys",
                )
            return None
        share = Share(self.columns, left, self.whole.views)
        share.task.row = (<ArrowColumn>self.columns[0]).row
        for column in self.columns:
            column.position += left
            column.row += left
        return share

    cdef int next_chunk(self, ArrowArray* array) except -1:
        """The next result; `array.release` stays NULL at the end."""
        cdef SignedColumn whole
        cdef Template template
        cdef Share share
        cdef Workspace work
        if self.work is None:
            self.work = Workspace(len(self.columns) - 1)
        if self.whole.threads > 1:
            return self.next_of_threads(array)
        if self.share is None or self.share.task.left == 0:
            self.share = None if self.ended else self.next_share(INT64_MAX)
            if self.share is None:
                self.ended = True
                return 0
        whole = self.whole
        template = whole.template
        share = self.share
        work = self.work
        with nogil:
            sign_slot(whole, template, self.memory.pool, &share.task, work)
        self.hand_out(share, array)
        return 0

    cdef int hand_out(self, Share share, ArrowArray* array) except -1:
        """The first of what is signed of a share, and all of its bad rows."""
        self.whole.errors.extend(share.errors)
        share.errors.clear()
        export_slot(taken_slot(&share.task), array)
        return 0

    cdef int next_of_threads(self, ArrowArray* array) except -1:
        """The same: whoever asks is one of the threads, and signs what no other has begun rather than wait."""
        cdef Share share
        cdef Task* task
        if self.ahead is None:
            from collections import deque

            self.ahead = deque()
            self.forks = forks
            self.lock = new_lock()
            self.bell = new_lock()
            self.news = new_lock()
            PyThread_acquire_lock(self.bell, WAIT_LOCK)
            PyThread_acquire_lock(self.news, WAIT_LOCK)
        if self.forks != forks:
            raise RuntimeError("the URLs were begun by threads of another process: sign them anew after a fork")
        while not self.ended and len(self.ahead) <= 2 * self.whole.threads:
            share = self.next_share(self.most)
            if share is None:
                self.ended = True
                break
            self.ahead.append(share)
            self.offer(&share.task)
        if not self.ahead:
            return 0
        share = self.ahead[0]
        while not self.is_done(&share.task):
            with nogil:
                task = self.next_task(False)
            if task != NULL:
                sign_task(self, task, self.work)
            else:
                with nogil:
                    self.wait_for(&share.task)
        if share.failure is not None:
            self.give_up()
            raise share.failure
        if share.task.signed == share.task.last and not share.task.last.single:
            self.most = fitting_rows(share.task.last)
        self.hand_out(share, array)
        if share.task.signed == NULL:
            self.ahead.popleft()
        return 0

    cdef int offer(self, Task* task) except -1:
        """Let any thread take a task; there is one more thread if all have something to do."""
        cdef bint more
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        if self.first == NULL:
            self.first = task
        else:
            self.last.next = task
        self.last = task
        self.ring()
        more = not self.asleep and self.at_work < self.whole.threads - 1
        self.at_work += more
        PyThread_release_lock(self.lock)
        if more:
            from threading import Thread

            try:
                Thread(target=sign_ahead, args=(self,), name="cossign").start()
            except BaseException:
                PyThread_acquire_lock(self.lock, WAIT_LOCK)
                self.at_work -= 1
                PyThread_release_lock(self.lock)
                raise
        return 0

    cdef void ring(self) noexcept nogil:
        """Wake a thread, if one is asleep and there is something to do. The lock is held."""
        if self.first != NULL and self.asleep and not self.rung:
            self.rung = True
            PyThread_release_lock(self.bell)

    cdef Task* next_task(self, bint of_thread) noexcept nogil:
        """A task that no thread has begun. If there is none, a thread waits for a while; at NULL it ends."""
        cdef Task* task
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        if self.first == NULL and of_thread:
            self.asleep += 1
            PyThread_release_lock(self.lock)
            heard = PyThread_acquire_lock_timed(self.bell, PATIENCE, 0)
            PyThread_acquire_lock(self.lock, WAIT_LOCK)
            self.asleep -= 1
            if heard:
                self.rung = False
        task = self.first
        if task != NULL:
            self.first = task.next
            self.ring()
        elif of_thread:
            self.at_work -= 1
        PyThread_release_lock(self.lock)
        return task

    cdef bint is_done(self, Task* task) noexcept nogil:
        cdef bint done
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        done = task.done
        PyThread_release_lock(self.lock)
        return done

    cdef void finish(self, Task* task) noexcept nogil:
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        task.done = True
        if self.reader_waits:
            self.reader_waits = False
            PyThread_release_lock(self.news)
        PyThread_release_lock(self.lock)

    cdef void wait_for(self, Task* task) noexcept nogil:
        """Wait until a task is done, or another one is."""
        cdef bint wait
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        wait = not task.done
        self.reader_waits = wait
        PyThread_release_lock(self.lock)
        if wait:
            PyThread_acquire_lock(self.news, WAIT_LOCK)

    cdef void give_up(self) noexcept:
        """Let no thread begin anything more."""
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        self.first = NULL
        PyThread_release_lock(self.lock)


cdef inline int64_t fitting_rows(const Slot* slot) noexcept:
    """How many rows like these fill a slot, but for a rest that is no loss."""
    cdef size_t room = slot.size - <size_t>(slot.data - <const uint8_t*>slot)
    return max(1, min(<int64_t>(room // 64 * 63 * <size_t>slot.rows // max(<size_t>1, slot.data_size)), slot.most))


def sign_ahead(SigningStream stream not None):
    """A thread's work: tasks, until there is none for a while."""
    cdef Workspace work = Workspace(len(stream.columns) - 1)
    cdef Task* task
    while True:
        with nogil:
            task = stream.next_task(True)
        if task == NULL:
            return
        sign_task(stream, task, work)


cdef int sign_task(SigningStream stream, Task* task, Workspace work) except -1:
    """Sign all of a task. An error is kept until its turn comes; Ctrl-C is raised at once."""
    cdef SignedColumn whole = stream.whole
    cdef Template template = whole.template
    try:
        with nogil:
            while task.left:
                sign_slot(whole, template, stream.memory.pool, task, work)
    except BaseException as error:
        (<Share>task.share).failure = error
        if not isinstance(error, Exception):
            raise
    finally:
        stream.finish(task)
    return 0


cdef class ReadyChunk:
    """A chunk of results, for whoever takes it by ``__arrow_c_array__``, once."""

    cdef Slot* slot
    cdef int views  # memoryviews of it

    def __len__(self):
        return 0 if self.slot == NULL else self.slot.rows

    def __dealloc__(self):
        if self.slot != NULL:
            drop_slot(self.slot)

    @property
    def null_count(self):
        return 0 if self.slot == NULL else self.slot.nulls

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        """The rows' texts, one behind the other."""
        if self.slot == NULL:
            raise BufferError("the chunk was taken before")
        PyBuffer_FillInfo(buffer, self, self.slot.data, <Py_ssize_t>self.slot.data_size, 1, flags)
        self.views += 1

    def __releasebuffer__(self, Py_buffer* buffer):
        self.views -= 1

    def with_empty_lines(self):
        """The texts as bytes, with an empty line for each null."""
        cdef Slot* slot = self.slot
        cdef int64_t i
        cdef size_t size
        cdef bytes result
        cdef uint8_t* out
        if slot == NULL:
            raise BufferError("the chunk was taken before")
        if slot.views:
            raise TypeError("of a column of string views there are no lines")
        result = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>slot.data_size + slot.nulls)
        out = <uint8_t*>PyBytes_AS_STRING(result)
        for i in range(slot.rows):
            size = <size_t>(slot.offsets[i + 1] - slot.offsets[i])
            memcpy(out, slot.data + slot.offsets[i], size)
            out += size
            if slot.nulls and not slot.valid[i >> 3] >> (i & 7) & 1:
                out[0] = c"\n"
                out += 1
        return result

    def __arrow_c_array__(self, requested_schema=None):
        cdef ArrowArray* array
        if self.slot == NULL:
            raise ValueError("the chunk was taken before")
        if self.views:
            raise BufferError("a memoryview of the chunk is alive: release it before the chunk is taken")
        array = <ArrowArray*>PyMem_RawMalloc(sizeof(ArrowArray))
        if array == NULL:
            raise MemoryError
        views = self.slot.views
        self.move(array)
        return schema_capsule(views), PyCapsule_New(array, "arrow_array", free_array_capsule)

    cdef void move(self, ArrowArray* array) noexcept:
        export_slot(self.slot, array)
        self.slot = NULL


cdef object arrow_error(SignedColumn whole, Workspace work, Py_ssize_t i, int64_t row):
    """The error for a row that cannot be signed."""
    cdef Py_ssize_t column
    cdef const Text* value
    if work.faults[i] == BAD_TEMPLATE:
        error = whole.template_of(work, i)
        return type(error)(error.parameter, error.reason, row)
    if work.faults[i] == BAD_VALUE:
        for column in range(work.width):
            value = &work.values[i * work.width + column]
            if not scan_utf8(value.data, value.size):
                return ParameterError(whole.names[column], "is not valid UTF-8", row)
    return key_error(whole.template, work.faults[i], None, row)


cdef int sign_slot(SignedColumn whole, Template template, Pool* pool, Task* task, Workspace work) except -1 nogil:
    """Sign as many rows of a task as fit into one slot."""
    cdef size_t bound
    cdef size_t row_size = template.text_size + (17 if task.views else 5)  # with its offset or view, and validity
    task.open = new_slot(pool, 0, min(pool.slot // ROW, pool.slot // row_size), task.views)
    if task.open == NULL:
        with gil:
            raise MemoryError
    fill_slot(whole, template, task, work, task.open)
    if task.open.rows == 0:  # a row larger than a slot
        bound = template.text_bound(work.keys[0], work.values) + SCAN_SLACK
        drop_slot(task.open)
        task.open = new_slot(pool, bound, 1, task.views) if bound < INT32_MAX else NULL
        if task.open == NULL:
            with gil:
                raise MemoryError(f"row {task.row}: its URL does not fit into memory")
        fill_slot(whole, template, task, work, task.open)
    task.open = compact(task.open)
    task.open.next = NULL
    if task.signed == NULL:
        task.signed = task.open
    else:
        task.last.next = task.open
    task.last = task.open
    task.open = NULL
    return 0


cdef int fill_slot(SignedColumn whole, Template template, Task* task, Workspace work, Slot* slot) except -1 nogil:
    """Sign rows into a slot until it is full or the task has no more."""
    cdef Py_ssize_t width = work.width
    cdef Py_ssize_t count, done, i, column
    cdef bint missing  # a key
    cdef int faults    # of all rows together
    cdef uint8_t* out
    cdef Slice* slices = task.slices
    cdef const Text* value
    cdef const char* fault
    while task.left and slot.rows < slot.most:
        count = 1 if slot.single else <Py_ssize_t>min(task.left, min(<int64_t>BLOCK, slot.most - slot.rows))
        for column in range(width + 1):
            fault = read_texts(
                slices[column].node, slices[column].array, slices[column].position, count,
                &work.keys[0] if column == 0 else &work.values[column - 1], width if column else 1,
                work.digits + column * BLOCK * DIGITS,
            )
            if fault != NULL:
                with gil:
                    raise ParameterError(
                        (<ArrowColumn>(<Share>task.share).columns[column]).parameter,
                        f"is a malformed Arrow array: {shown(fault)}",
                        task.row,
                    )
        memset(work.faults, FINE, <size_t>count * sizeof(Fault))
        missing = 0
        for i in range(count):
            missing |= work.keys[i].data == NULL
        for i in range(count if missing else 0):
            if work.keys[i].data == NULL:
                work.faults[i] = NULL_ROW
        for i in range(count if width else 0):
            for column in range(width):
                value = &work.values[i * width + column]
                if work.faults[i] == FINE and not scan_utf8(value.data, value.size):
                    work.faults[i] = BAD_VALUE
        out = slot.data + slot.data_size
        if whole.varies:
            with gil:
                done = sign_varied(whole, work, count, &out, <uint8_t*>slot + slot.size)
        else:
            done = sign_rows(template, work, 0, count, &out, <uint8_t*>slot + slot.size)
        faults = 0
        for i in range(done):
            faults |= work.faults[i]
        put_rows(slot, work.faults if faults else NULL, work.texts, done)
        if faults > NULL_ROW:
            with gil:
                report(whole, task, work, done)
        task.left -= done
        task.row += done
        for column in range(width + 1):
            slices[column].position += done
        if done < count or slot.single:
            break
    return 0


cdef bint varies_alike(Workspace work, Py_ssize_t first, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Whether two rows have the same texts in the columns from `first` on."""
    cdef Py_ssize_t column
    cdef const Text* one
    cdef const Text* other
    for column in range(first, work.width):
        one = &work.values[i * work.width + column]
        other = &work.values[j * work.width + column]
        if (one.data == NULL) != (other.data == NULL) or one.size != other.size:
            return False
        if one.size and memcmp(one.data, other.data, one.size) != 0:
            return False
    return True


cdef Py_ssize_t sign_varied(
    SignedColumn whole, Workspace work, Py_ssize_t count, uint8_t** place, const uint8_t* end
) except -1:
    """`sign_rows` where templates differ by row: as many rows at a time as follow each other with the same one."""
    cdef Py_ssize_t done = 0
    cdef Py_ssize_t last, i
    cdef Template template
    while done < count:
        if work.faults[done] != FINE:
            done += 1
            continue
        found = whole.template_of(work, done)
        last = done + 1
        while last < count and (work.faults[last] != FINE or varies_alike(work, whole.template.columns, done, last)):
            last += 1
        if isinstance(found, ParameterError):
            for i in range(done, last):
                work.faults[i] = BAD_TEMPLATE if work.faults[i] == FINE else work.faults[i]
            done = last
            continue
        template = found
        with nogil:
            done = sign_rows(template, work, done, last, place, end)
        if done < last:
            break
    return done


cdef int report(SignedColumn whole, Task* task, Workspace work, Py_ssize_t done) except -1:
    """Raise the error of the first row that cannot be signed, or keep those of all."""
    cdef Py_ssize_t i
    for i in range(done):
        if work.faults[i] in (FINE, NULL_ROW):
            continue
        error = arrow_error(whole, work, i, task.row + i)
        if not whole.keep_errors:
            raise error
        mine = error.parameter == whole.template.parameter
        (<Share>task.share).errors.append((task.row + i, error.reason if mine else f"{error.parameter} {error.reason}"))
    return 0


# --- Judging ----------------------------------------------------------------------------------------------------------

cdef class Verified:
    """What a right signature says: who signed what, and for how long.

    Attributes:
        secret_id: q-ak.
        method: upper-case.
        key: the object's key: the path without its first slash, decoded.
        key_time: ``(start, end)``, Unix seconds: the time in which both q-sign-time and q-key-time hold.
        signature: q-signature, 40 hex digits; no secret any more, once it was sent.
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
    cdef readonly str signature
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


cdef struct Target:
    Text host
    Text path   # with its first slash; nothing where a host stands alone
    Text query
    bint is_secure


cdef bint begins(Text* url, const char* scheme, size_t size) noexcept:
    """Take a scheme, which letters' case does not matter for, off a URL."""
    cdef size_t i
    if url.size < size:
        return False
    for i in range(size):
        if (url.data[i] | 32 if c"A" <= url.data[i] <= c"Z" else url.data[i]) != <uint8_t>scheme[i]:
            return False
    url.data += size
    url.size -= size
    return True


cdef bint split_url(Text url, Target* target) noexcept:
    """Take an absolute http(s) URL or a request target apart; False if it is neither."""
    cdef Text rest
    url = before(&url, c"#")
    rest = url
    target.host = Text(url.data, 0)
    target.is_secure = False
    if url.size == 0 or url.data[0] != c"/":
        target.is_secure = begins(&rest, "https://", 8)
        if not target.is_secure and not begins(&rest, "http://", 7):
            return False
    url = before(&rest, c"?")
    target.query = rest
    target.path = url
    if url.size == 0 or url.data[0] != c"/":
        target.host = before(&target.path, c"/")
        target.path = Text(target.host.data + target.host.size, url.size - target.host.size)
    return True


def sent_host(str url not None):
    """The Host header that HTTP clients send for a URL; "" if it names none."""
    cdef Target target
    cdef bytes data = PyUnicode_AsUTF8String(url)
    return target_host(&target).decode() if split_url(text_of(data), &target) else ""


cdef bytes target_host(const Target* target):
    """That Host: without a user's name, and without the scheme's own port."""
    host = target.host.data[:target.host.size].rpartition(b"@")[2]
    return host.removesuffix(b":443" if target.is_secure else b":80")


cdef list query_pairs(bytes query):
    """The (name, value) pairs of a URL's query, decoded."""
    cdef list pairs = []
    for part in query.split(b"&"):
        if part:
            name, value = split_pair(part)
            pairs.append((decoded(name, True), decoded(value, True)))
    return pairs


cdef void sort_by_name(list entries):
    """Sort (encoded name, value) pairs by name; equal names stay in their order. There are few, mostly."""
    cdef Py_ssize_t i, j
    cdef tuple entry
    if len(entries) > 16:
        entries.sort(key=first)
        return
    for i in range(1, len(entries)):
        entry = entries[i]
        j = i
        while j > 0 and <bytes>(<tuple>entries[j - 1])[0] > <bytes>entry[0]:
            entries[j] = entries[j - 1]
            j -= 1
        entries[j] = entry


cdef uint8_t* put_list(uint8_t* out, list entries) noexcept:
    """UrlParamList or HeaderList."""
    cdef Py_ssize_t i
    for i in range(len(entries)):
        if i:
            out[0] = c";"
            out += 1
        out = put_exact(out, <const uint8_t*>PyBytes_AS_STRING(entries[i][0]), <size_t>PyBytes_GET_SIZE(entries[i][0]))
    return out


cdef uint8_t* put_pairs(uint8_t* out, list entries) noexcept:
    """HttpParameters or HttpHeaders, and the line's end."""
    cdef Py_ssize_t i
    cdef tuple entry
    for i in range(len(entries)):
        entry = <tuple>entries[i]
        if i:
            out[0] = c"&"
            out += 1
        out = put_exact(out, <const uint8_t*>PyBytes_AS_STRING(entry[0]), <size_t>PyBytes_GET_SIZE(entry[0]))
        out[0] = c"="
        out = put_encoded(out + 1, text_of(<bytes>entry[1]), COMPONENT)
    out[0] = c"\n"
    return out + 1


cdef size_t pairs_bound(list entries) noexcept:
    cdef size_t bound = 0
    cdef Py_ssize_t i
    for i in range(len(entries)):
        bound += <size_t>(PyBytes_GET_SIZE(entries[i][0]) + 3 * PyBytes_GET_SIZE(entries[i][1])) + 2
    return bound


@cython.final
cdef class RequestSigner:
    """Makes the Authorization of requests as they go over the wire: of what `judge` will read there.

    Args:
        signed_name: a function that gives a header's name as it is signed, in bytes, or None if it is not signed.
        sign_host: whether Host is signed: that of a request's headers, or else its URL's.
        host: that of a request target without a Host among its headers, or None.
        secret_id: SecretId.
        sign_key: SignKey.
        engine: what signs.
    """

    cdef object signed_name
    cdef bint sign_host
    cdef bytes host
    cdef bytes head
    cdef SignKey sign_key
    cdef Engine engine

    def __init__(
        self, signed_name, bint sign_host, bytes host, str secret_id, SignKey sign_key not None, Engine engine not None
    ):
        self.signed_name = signed_name
        self.sign_host = sign_host
        self.host = host
        self.sign_key = sign_key
        self.engine = engine
        self.head = (
            f"q-sign-algorithm=sha1&q-ak={secret_id}&q-sign-time={sign_key.key_time}&q-key-time={sign_key.key_time}"
            "&q-header-list="
        ).encode()

    def authorization(self, str method not None, str url not None, headers):
        """The Authorization of one request.

        Args:
            method: the request's method.
            url: an absolute http(s) URL, or a request target, percent-encoded as it is sent; all its parameters are
                signed.
            headers: an iterable of the request's headers, (name, value) pairs of str or bytes.
        """
        cdef bytes name, data, lower
        cdef bytes host = self.host
        cdef list params = []
        cdef list signed = []
        cdef bint has_host = False
        cdef Target target
        cdef Text text
        cdef sha1_row row
        cdef size_t bound
        cdef uint8_t* buffer
        cdef uint8_t* out
        data = checked_value(url, "url", None)
        if not split_url(text_of(data), &target):
            raise ParameterError("url", "must begin with https://, http:// or /")
        given = None
        try:
            for given, value in headers:
                name = self.signed_name(given)
                if name is None:
                    continue
                if name == b"host":
                    if not self.sign_host:
                        continue
                    has_host = True
                if not isinstance(value, bytes):
                    value = value_bytes(value)
                signed.append((name, (<bytes>value).strip(b" \t")))
        except (TypeError, ValueError):
            where = "headers" if given is None else f"headers[{given!r}]"
            raise ParameterError(where, "must be a name and a value in str or bytes, without a lone surrogate") from None
        if self.sign_host and not has_host:
            host = target_host(&target) or host
            if host is None:
                raise ParameterError("headers", "must have a Host, as the URL names none")
            signed.append((b"host", host))
        if target.query.size:
            for each in query_pairs(target.query.data[:target.query.size]):
                if each[0]:  # a list has no place for an empty name
                    params.append((encoded(each[0], COMPONENT).lower(), each[1]))
            sort_by_name(params)
        sort_by_name(signed)
        lower = PyUnicode_AsUTF8String(method.lower())
        bound = pairs_bound(params) + pairs_bound(signed)
        buffer = <uint8_t*>PyMem_RawMalloc(
            2 * bound + <size_t>(PyBytes_GET_SIZE(lower) + PyBytes_GET_SIZE(self.head)) + target.path.size + 3 * SHA1_BLOCK
            + SCAN_SLACK + 128
        )
        if buffer == NULL:
            raise MemoryError
        try:
            out = put_method(buffer, text_of(lower))
            if target.path.size:
                out = put_decoded(out - 1, target.path, False)
            out[0] = c"\n"
            out = put_pairs(put_pairs(out + 1, params), signed)
            row.http = buffer
            row.size = <size_t>(out - buffer)
            sha1_pad(buffer, row.size, 0)
            text.data = out = buffer + sha1_blocks(row.size) * SHA1_BLOCK
            out = put_exact(out, <const uint8_t*>PyBytes_AS_STRING(self.head), <size_t>PyBytes_GET_SIZE(self.head))
            out = put_list(out, signed)
            out = put_exact(out, <const uint8_t*>"&q-url-param-list=", 18)
            out = put_list(out, params)
            out = put_exact(out, <const uint8_t*>"&q-signature=", 13)
            row.hole = out
            hash_rows(self.engine, self.sign_key, &row, 1)
            return PyUnicode_DecodeUTF8(<const char*>text.data, out + SHA1_HEX - text.data, NULL)
        finally:
            PyMem_RawFree(buffer)


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


def check_time(tuple span not None, long long now, long long skew=0):
    """Whether a KeyTime, ``(start, end)``, holds now, to within `skew` seconds; if not, the BadSignature that says so."""
    by = f" with {skew} s of allowance" if skew else ""
    if now < span[0] - skew:
        raise SignatureNotYetValid(f"the signature holds from {span[0]} on, and it is {now} now{by} (Unix seconds)")
    if now > span[1] + skew:
        raise SignatureExpired(f"the signature held until {span[1]}, and it is {now} now{by} (Unix seconds)")


def judge(
    str url, str method, list headers, dict secrets, long long now, Engine engine not None, long long skew=0, terms=None
):
    """Recompute the signature of a presigned URL or of a request and compare.

    Args:
        url: an absolute http(s) URL, or a request target that begins with "/".
        method: the request's method.
        headers: (name, value) pairs of str: the request's headers. An Authorization is judged if the URL has none.
        secrets: SecretId to ``(Secret of the SecretKey, Secret of the token or None)``.
        now: Unix seconds.
        engine: what recomputes it.
        skew: seconds by which the clock may differ from the signer's.
        terms: a function that raises a SignatureRefused for a Verified that is right but not welcome; or None.

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
    cdef Target target
    if not split_url(text_of(data), &target):
        raise MalformedSignature("the URL must begin with https://, http:// or /")
    host = target.host.data[:target.host.size]
    path = target.path.data[:target.path.size] or b"/"
    for name, value in query_pairs(target.query.data[:target.query.size]):
        pairs.append((name.lower(), value))
        names.append(name)
    token = None
    authorization = None
    for name, value in headers:
        try:
            name = PyUnicode_AsUTF8String(name)
            value = PyUnicode_AsUTF8String(value)
        except UnicodeEncodeError:
            raise MalformedSignature("a header is not valid Unicode: it holds a lone surrogate") from None
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
        check_time(span, now, skew)
        verified = Verified()
        verified.secret_id = secret_id
        verified.method = method.upper()
        verified.key = shown(path[1:])
        verified.key_time = span
        verified.signature = shown(fields["q-signature"])
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
        if terms is not None:
            terms(verified)
        return verified
    except BadSignature as error:
        error.key_time = span
        if http is not None:
            error.http_string = shown(http)
            error.string_to_sign = string_to_sign(http, fields["q-sign-time"])
        raise


# --- Judging many -----------------------------------------------------------------------------------------------------

# A URL as every signer here writes it: what is rarer is left to `judge`, which knows all forms.
cdef struct Parsed:
    Text host
    Text path        # as it stands in the URL, without its first slash
    Text secret_id
    Text key_time
    Text signature
    Text param_list
    Text params      # what follows the seven q- fields, with its first "&"
    bint signs_host
    bint has_token
    int64_t start
    int64_t end

cdef const char* FIELDS[7]
FIELDS[:] = [
    "q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list", "q-url-param-list", "q-signature",
]
cdef size_t[7] FIELD_SIZES
FIELD_SIZES[:] = [strlen(field) for field in FIELDS[:7]]


cdef inline bint same(Text text, const char* other, size_t size) noexcept nogil:
    return text.size == size and memcmp(text.data, other, size) == 0


cdef inline Text before(Text* rest, uint8_t separator) noexcept nogil:
    """Take the text up to a separator, or all of it, off `rest`, the separator too."""
    cdef const uint8_t* found = <const uint8_t*>memchr(rest.data, separator, rest.size) if rest.size else NULL
    cdef size_t size = <size_t>(found - rest.data) if found != NULL else rest.size
    cdef Text text = Text(rest.data, size)
    rest.data += size + (found != NULL)
    rest.size -= size + (found != NULL)
    return text


cdef inline bint take_seconds(Text* rest, int64_t* seconds) noexcept nogil:
    """One to ten digits."""
    cdef size_t i = 0
    seconds[0] = 0
    while i < rest.size and c"0" <= rest.data[i] <= c"9":
        seconds[0] = seconds[0] * 10 + (rest.data[i] - c"0")
        i += 1
        if i > 10:
            return False
    rest.data += i
    rest.size -= i
    return i > 0


cdef inline size_t semicolon(Text text) noexcept nogil:
    """The size of a semicolon, as it is or percent-encoded, that a text begins with; or 0."""
    if text.size and text.data[0] == c";":
        return 1
    if text.size >= 3 and text.data[0] == c"%" and text.data[1] == c"3" and text.data[2] in (c"B", c"b"):
        return 3
    return 0


cdef bint parsed(Text url, Parsed* parts) noexcept nogil:
    """Take a presigned URL apart; False for what `judge` must look at."""
    cdef Text[7] values
    cdef Text part, name
    cdef int found = 0
    cdef int count = 0
    cdef int i
    if url.size > 8 and memcmp(url.data, "https://", 8) == 0:
        url = Text(url.data + 8, url.size - 8)
    elif url.size > 7 and memcmp(url.data, "http://", 7) == 0:
        url = Text(url.data + 7, url.size - 7)
    else:
        return False
    if memchr(url.data, c"#", url.size) != NULL:
        return False
    part = before(&url, c"?")
    parts.host = before(&part, c"/")
    if parts.host.size == 0 or part.data == parts.host.data + parts.host.size:  # no slash
        return False
    parts.path = part
    parts.params = Text(NULL, 0)
    while url.size:
        part = before(&url, c"&")
        name = before(&part, c"=")
        for i in range(count, count + 7):  # mostly they come in order
            i = i if i < 7 else i - 7
            if same(name, FIELDS[i], FIELD_SIZES[i]):
                break
        else:
            if found != 127:
                return False
            parts.params = Text(name.data - 1, <size_t>(url.data + url.size - name.data) + 1)
            break
        if found & 1 << i:
            return False
        found |= 1 << i
        count += 1
        values[i] = part
    if found != 127 or not same(values[0], "sha1", 4):
        return False
    parts.secret_id = values[1]
    parts.key_time = values[3]
    if values[2].size != values[3].size or memcmp(values[2].data, values[3].data, values[2].size) != 0:
        return False
    part = values[3]
    if not take_seconds(&part, &parts.start) or semicolon(part) == 0:
        return False
    part = Text(part.data + semicolon(part), part.size - semicolon(part))
    if not take_seconds(&part, &parts.end) or part.size or parts.start > parts.end:
        return False
    parts.signs_host = same(values[4], "host", 4)
    if not parts.signs_host and values[4].size:
        return False
    parts.param_list = values[5]
    parts.signature = values[6]
    return parts.signature.size == 40


cdef str key_time(Parsed* parts):
    return decoded(parts.key_time.data[:parts.key_time.size], False).decode()


cdef bint canonical_value(Text text) noexcept nogil:
    """Whether a value is percent-encoded as it was signed."""
    cdef size_t i = 0
    cdef int byte
    while i < text.size:
        if COMPONENT[text.data[i]].size == 1:
            i += 1
            continue
        if text.data[i] != c"%" or i + 2 >= text.size:
            return False
        if c"a" <= text.data[i + 1] <= c"f" or c"a" <= text.data[i + 2] <= c"f":
            return False
        if nibble(text.data[i + 1]) < 0 or nibble(text.data[i + 2]) < 0:
            return False
        byte = nibble(text.data[i + 1]) << 4 | nibble(text.data[i + 2])
        if COMPONENT[byte].size == 1:
            return False
        i += 3
    return True


cdef inline bint equal(const uint8_t* one, const uint8_t* other, size_t size) noexcept nogil:
    """Compare signatures or tokens in a time that does not depend on where they differ."""
    cdef uint8_t difference = 0
    cdef size_t i
    for i in range(size):
        difference |= one[i] ^ other[i]
    return difference == 0


cdef uint8_t* put_params(uint8_t* out, Parsed* parts, Text token) noexcept nogil:
    """HttpParameters, if the URL's parameters are just those that its list names, in order, and the token; or NULL."""
    cdef Text rest = Text(parts.params.data, parts.params.size)
    cdef Text listed = parts.param_list
    cdef Text part, name
    cdef uint8_t* start = out
    cdef const uint8_t* last = NULL  # the name before, lower-case, in `out`
    cdef size_t last_size = 0
    cdef size_t i
    cdef int order
    parts.has_token = False
    if rest.size:
        rest = Text(rest.data + 1, rest.size - 1)
    while rest.size:
        part = before(&rest, c"&")
        name = before(&part, c"=")
        if same(name, "x-cos-security-token", 20):
            if parts.has_token or token.data == NULL or part.size != token.size:
                return NULL
            if not equal(part.data, token.data, token.size):
                return NULL
            parts.has_token = True
            continue
        if name.size == 0 or part.data == name.data + name.size:  # no "="
            return NULL
        if out != start:
            if semicolon(listed) == 0:
                return NULL
            listed = Text(listed.data + semicolon(listed), listed.size - semicolon(listed))
            out[0] = c"&"
            out += 1
        if listed.size < name.size or not canonical_value(part):
            return NULL
        for i in range(name.size):
            if COMPONENT[name.data[i]].size != 1:
                return NULL
            out[i] = name.data[i] + 32 if c"A" <= name.data[i] <= c"Z" else name.data[i]
            if listed.data[i] != out[i]:
                return NULL
        if last != NULL:
            order = memcmp(last, out, min(last_size, name.size))
            if order > 0 or (order == 0 and last_size >= name.size):
                return NULL
        last = out
        last_size = name.size
        listed = Text(listed.data + name.size, listed.size - name.size)
        out += name.size
        out[0] = c"="
        memcpy(out + 1, part.data, part.size)
        out += part.size + 1
    if listed.size or (token.data != NULL and not parts.has_token):
        return NULL
    return out


cdef uint8_t* put_method(uint8_t* out, Text method) noexcept nogil:
    """HttpString up to the key."""
    out = put_exact(out, method.data, method.size)
    out[0] = c"\n"
    out[1] = c"/"
    return out + 2


cdef uint8_t* put_path(uint8_t* out, Text path) noexcept nogil:
    """The key that a path (its first slash left out) stands for; returns its end, or NULL if it is not UTF-8."""
    cdef uint8_t* end
    if put_key(out, path.data, path.size):
        return out + path.size
    end = put_decoded(out, path, False)
    return end if scan_utf8(out, <size_t>(end - out)) else NULL


cdef uint8_t* put_tail(uint8_t* out, Parsed* parts, Text token) noexcept nogil:
    """HttpString from the key's end on; returns its end, or NULL for what `judge` must look at."""
    out[0] = c"\n"
    out += 1
    if parts.params.size or parts.param_list.size or token.data != NULL:
        out = put_params(out, parts, token)
        if out == NULL:
            return NULL
    else:
        parts.has_token = False
    out[0] = c"\n"
    out += 1
    if parts.signs_host:
        memcpy(out, "host=", 5)
        out = put_encoded(out + 5, parts.host, PATH)  # it has no slash: a component, but faster
    out[0] = c"\n"
    return out + 1


cdef inline size_t judging_bound(Text url, Text method) noexcept nogil:
    """The most bytes that the functions above write for a URL, and its padding."""
    return 3 * url.size + method.size + 64 + 3 * SHA1_BLOCK


cdef class Pattern:
    """What the URLs of one batch have in common: all but their keys and signatures.

    A URL that fits needs not be taken apart: its HttpString differs from the others' by its key alone.
    """

    cdef Text head         # up to the key
    cdef Text middle       # from there to the signature
    cdef Text tail
    cdef bytes url         # where those three are
    cdef sha1_frame frame
    cdef bytes frame_text
    cdef SignKey sign_key
    cdef bint has_token    # in the middle or the tail

    cdef inline bint fits(self, Text url, Text* key) noexcept nogil:
        """Whether only a key and a signature make the difference, and where the key is."""
        cdef size_t behind = self.middle.size + SHA1_HEX + self.tail.size
        cdef const uint8_t* place
        if url.size < self.head.size + behind:
            return False
        place = url.data + url.size - behind
        key[0] = Text(url.data + self.head.size, url.size - self.head.size - behind)
        if self.has_token and not (
            equal(place, self.middle.data, self.middle.size)
            and equal(place + self.middle.size + SHA1_HEX, self.tail.data, self.tail.size)
        ):
            return False
        return (
            memcmp(place, self.middle.data, self.middle.size) == 0
            and memcmp(url.data, self.head.data, self.head.size) == 0
            and memcmp(place + self.middle.size + SHA1_HEX, self.tail.data, self.tail.size) == 0
        )


cdef enum State:
    UNKNOWN  # not yet looked at, or of another SecretId
    LEFT     # for `judge`
    READY    # its HttpString is there
    HASHED
    RIGHT


cdef class JudgingSpace:
    """The memory of a judgement, used again for each of its blocks."""

    cdef Text[BLOCK] urls
    cdef State[BLOCK] state
    cdef Parsed[BLOCK] parts
    cdef sha1_row[BLOCK] rows
    cdef uint8_t[BLOCK * SHA1_HEX] signatures
    cdef sha1_row[BLOCK] signed   # what is hashed at a time
    cdef uint8_t* http
    cdef size_t http_size
    cdef Pattern pattern
    cdef Py_ssize_t[BLOCK] fitting  # the rows that fit the pattern
    cdef Text[BLOCK] keys           # and their keys, percent-encoded
    cdef Text[BLOCK] texts
    cdef uint8_t* text
    cdef size_t text_size

    def __dealloc__(self):
        PyMem_RawFree(self.http)
        PyMem_RawFree(self.text)

    cdef Py_ssize_t lay_out_fitting(self, Py_ssize_t count, sha1_layer* lay) noexcept nogil:
        """Lay out the rows that fit the pattern; returns how many do."""
        cdef const sha1_frame* frame = &self.pattern.frame
        cdef sha1_space space
        cdef Py_ssize_t done = 0
        cdef Py_ssize_t found = 0
        cdef Py_ssize_t i
        cdef Text key
        cdef uint8_t* start
        cdef uint8_t* end
        for i in range(count):
            if self.state[i] == UNKNOWN and self.pattern.fits(self.urls[i], &self.keys[found]):
                self.fitting[found] = i
                self.state[i] = READY
                found += 1
        space.http = aligned(self.http)
        space.out = self.text
        space.end = self.text + self.text_size
        while True:
            if lay != NULL:
                done += <Py_ssize_t>lay(
                    frame, &self.keys[done], <size_t>(found - done), &space, &self.signed[done], &self.texts[done]
                )
            if done == found:
                return found
            i = self.fitting[done]
            key = self.keys[done]
            start = put_exact(space.http, frame.http[0].data, frame.http[0].size)
            end = put_path(start, key)
            if end == NULL or memchr(key.data, c"?", key.size) != NULL or memchr(key.data, c"#", key.size) != NULL:
                self.state[i] = LEFT
                end = start  # hashed in vain: such rows are rare
            end = put_exact(end, frame.http[1].data, frame.http[1].size)
            self.signed[done] = sha1_row(space.http, <size_t>(end - space.http), &self.signatures[SHA1_HEX * i])
            sha1_pad(space.http, self.signed[done].size, 0)
            space.http += sha1_blocks(self.signed[done].size) * SHA1_BLOCK
            done += 1


cdef inline State compared(const uint8_t* signature, const uint8_t* wanted) noexcept nogil:
    return RIGHT if equal(signature, wanted, SHA1_HEX) else LEFT


cdef class Judgement:
    """What `Signer.verify_many` found: a sequence with a Verified or a BadSignature for each URL, in order.

    All is judged when it is made; a Verified is built when it is looked at.

    Attributes:
        bad: the rows, from 0, of the URLs whose signature is not right, in order.
    """

    cdef list urls
    cdef str method
    cdef bytes lower        # the method as it is signed
    cdef list headers
    cdef dict secrets
    cdef list known         # (SecretId, its Secret, its encoded token or None), for URLs in the usual form
    cdef long long now
    cdef long long skew
    cdef object terms
    cdef Engine engine
    cdef dict others        # row to the Verified or BadSignature that `judge` gave
    cdef readonly list bad

    def __init__(
        self, list urls not None, str method not None, list headers not None, dict secrets not None, long long now,
        Engine engine not None,
        long long skew=0, terms=None,
    ):
        self.urls = urls
        self.method = method
        self.lower = method.lower().encode()
        self.headers = headers
        self.secrets = secrets
        self.now = now
        self.skew = skew
        self.terms = terms
        self.engine = engine
        self.others = {}
        self.bad = []
        self.known = []
        for secret_id, (secret, token) in secrets.items():
            encoded_token = None if token is None else encoded(token.reveal().encode(), COMPONENT)
            self.known.append((secret_id.encode("utf-8", "surrogatepass"), secret, encoded_token))

    def run(self, int threads=1):
        """Judge all."""
        cdef Py_ssize_t start
        if threads > 1 and len(self.urls) > SHARE:
            in_threads(self.share, [(start,) for start in range(0, len(self.urls), SHARE)], threads)
        else:
            for start in range(0, len(self.urls), SHARE):
                self.share(start)
                PyErr_CheckSignals()
        self.bad = sorted([row for row, result in self.others.items() if not isinstance(result, Verified)])
        return self

    def share(self, Py_ssize_t first):
        """Judge SHARE rows, a block at a time."""
        cdef Py_ssize_t last = min(first + SHARE, len(self.urls))
        cdef JudgingSpace space = JudgingSpace()
        while first < last:
            self.block(space, first, min(last, first + BLOCK))
            first = min(last, first + BLOCK)

    cdef int block(self, JudgingSpace space, Py_ssize_t first, Py_ssize_t last) except -1:
        cdef Py_ssize_t i
        cdef Py_ssize_t count = last - first
        cdef Py_ssize_t usual = 0 if self.headers or self.terms is not None else count
        cdef Py_ssize_t unknown = 0  # rows
        cdef Py_ssize_t found = 0
        cdef size_t bound = SHA1_FRAME_SLACK
        cdef list alive = []
        cdef Fault fault
        cdef Text method = text_of(self.lower)
        cdef Text key
        cdef Pattern pattern
        for i in range(count):
            space.state[i] = LEFT
        for i in range(usual):
            fault = key_text(self.urls[first + i], &space.urls[i], alive)
            if fault == FINE:
                space.state[i] = UNKNOWN
                unknown += 1
                scan_soon(space.urls[i].data, space.urls[i].size)  # strings lie anywhere in memory
                bound += judging_bound(space.urls[i], method)
        hold(&space.http, &space.http_size, bound)
        hold(&space.text, &space.text_size, bound)
        if usual and space.state[0] == UNKNOWN:
            if space.pattern is None or not space.pattern.fits(space.urls[0], &key):
                pattern = self.pattern_of(space.urls[0])
                space.pattern = space.pattern if pattern is None else pattern
        if space.pattern is not None:
            with nogil:
                found = space.lay_out_fitting(usual, self.engine.native.lay)
                hash_rows(self.engine, space.pattern.sign_key, space.signed, found)
                for i in range(found):
                    if space.state[space.fitting[i]] == READY:
                        space.state[space.fitting[i]] = compared(
                            space.signed[i].hole, space.keys[i].data + space.keys[i].size + space.pattern.middle.size
                        )
        if found < unknown:
            self.judge_parsed(space, usual, method)
        for i in range(count):
            if space.state[i] != RIGHT:
                self.others[first + i] = self.judged(first + i)
        return 0

    cdef bint holds(self, Parsed* parts) noexcept nogil:
        return parts.start - self.skew <= self.now <= parts.end + self.skew

    cdef Pattern pattern_of(self, Text url):
        """The Pattern that a URL fits; None if that URL is not in the usual form."""
        cdef Pattern pattern = Pattern()
        cdef Parsed parts
        cdef Text token
        cdef bytes http
        cdef uint8_t* end
        pattern.url = url.data[:url.size]
        url = text_of(pattern.url)
        if not parsed(url, &parts) or not self.holds(&parts):
            return None
        http = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>judging_bound(url, text_of(self.lower)))
        for secret_id, secret, encoded_token in self.known:
            if parts.secret_id.data[:parts.secret_id.size] != secret_id:
                continue
            token = Text(NULL, 0) if encoded_token is None else text_of(encoded_token)
            end = put_tail(<uint8_t*>PyBytes_AS_STRING(http), &parts, token)
            if end == NULL:
                return None
            pattern.sign_key = (<Secret>secret).sign_key(key_time(&parts))
            pattern.has_token = encoded_token is not None
            pattern.frame.escapes = False  # they stand in the URL already
            pattern.frame_text = put_frame(
                &pattern.frame,
                [self.lower + b"\n/", http[:end - <uint8_t*>PyBytes_AS_STRING(http)], b"", b"", b""],
            )
            pattern.head = Text(url.data, <size_t>(parts.path.data - url.data))
            end = <uint8_t*>parts.path.data + parts.path.size
            pattern.middle = Text(end, <size_t>(parts.signature.data - end))
            end = <uint8_t*>parts.signature.data + parts.signature.size
            pattern.tail = Text(end, <size_t>(url.data + url.size - end))
            return pattern
        return None

    cdef int judge_parsed(self, JudgingSpace space, Py_ssize_t count, Text method) except -1:
        """Judge the rows that are UNKNOWN, each taken apart."""
        cdef Py_ssize_t i, j, known, chosen
        cdef Text secret_id, token
        cdef Parsed* parts
        cdef uint8_t* out = space.http
        cdef uint8_t* end
        cdef SignKey key
        for known in range(len(self.known)):
            secret_id = text_of(self.known[known][0])
            token = Text(NULL, 0)
            if self.known[known][2] is not None:
                token = text_of(self.known[known][2])
            with nogil:
                for i in range(count):
                    if space.state[i] != UNKNOWN:
                        continue
                    parts = &space.parts[i]
                    if known == 0 and (not parsed(space.urls[i], parts) or not self.holds(parts)):
                        space.state[i] = LEFT
                        continue
                    if not same(parts.secret_id, <const char*>secret_id.data, secret_id.size):
                        continue
                    space.state[i] = LEFT
                    end = put_path(put_method(out, method), parts.path)
                    end = put_tail(end, parts, token) if end != NULL else NULL
                    if end == NULL:
                        continue
                    space.rows[i] = sha1_row(out, <size_t>(end - out), &space.signatures[SHA1_HEX * i])
                    sha1_pad(out, space.rows[i].size, 0)
                    out += sha1_blocks(space.rows[i].size) * SHA1_BLOCK
                    space.state[i] = READY
            for i in range(count):  # all rows of one KeyTime at a time
                if space.state[i] != READY:
                    continue
                parts = &space.parts[i]
                key = (<Secret>self.known[known][1]).sign_key(key_time(parts))
                with nogil:
                    chosen = 0
                    for j in range(i, count):
                        if space.state[j] == READY and same(
                            space.parts[j].key_time, <const char*>parts.key_time.data, parts.key_time.size
                        ):
                            space.signed[chosen] = space.rows[j]
                            chosen += 1
                            space.state[j] = HASHED
                    hash_rows(self.engine, key, space.signed, chosen)
            for i in range(count):
                if space.state[i] == HASHED:
                    space.state[i] = compared(space.rows[i].hole, space.parts[i].signature.data)
        return 0

    cdef object judged(self, Py_ssize_t row):
        url = self.urls[row]
        if not isinstance(url, str):
            raise ParameterError("urls", f"must be a str, not {type(url).__name__}", row)
        try:
            return judge(
                url, self.method, self.headers, self.secrets, self.now, self.engine, self.skew, self.terms
            )
        except BadSignature as error:
            return error.with_traceback(None)

    cdef Verified built(self, str url):
        """The Verified of a URL in the usual form that was found right."""
        cdef Parsed parts
        cdef Text text
        cdef list alive = []
        cdef Verified verified = Verified()
        cdef bytes buffer
        cdef uint8_t* start
        cdef Text token = Text(NULL, 0)
        key_text(url, &text, alive)
        parsed(text, &parts)
        verified.secret_id = parts.secret_id.data[:parts.secret_id.size].decode()
        for secret_id, _, encoded_token in self.known:
            if encoded_token is not None and secret_id.decode() == verified.secret_id:
                token = text_of(encoded_token)
        buffer = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>judging_bound(text, text_of(self.lower)))
        start = <uint8_t*>PyBytes_AS_STRING(buffer)
        end = put_tail(put_path(put_method(start, text_of(self.lower)), parts.path), &parts, token)
        verified.http = buffer[:end - start]
        verified.method = self.method.upper()
        path = decoded(parts.path.data[:parts.path.size], False)
        verified.key = path.decode()
        verified.key_time = (parts.start, parts.end)
        verified.signature = parts.signature.data[:parts.signature.size].decode()
        verified.sign_time = key_time(&parts).encode()
        verified.header_list = ("host",) if parts.signs_host else ()
        listed = decoded(parts.param_list.data[:parts.param_list.size], False)
        verified.url_param_list = tuple(listed.decode().split(";")) if listed else ()
        verified.unsigned_params = ("x-cos-security-token",) if parts.has_token else ()
        return verified

    def __len__(self):
        return len(self.urls)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self.urls)))]
        row = index if index >= 0 else index + len(self.urls)
        if not 0 <= row < len(self.urls):
            raise IndexError("there is no such URL")
        result = self.others.get(row)
        return self.built(self.urls[row]) if result is None else result

    def __iter__(self):
        for row in range(len(self.urls)):
            yield self[row]

    def __repr__(self):
        return f"<{len(self.urls)} URLs judged, {len(self.bad)} bad>"
