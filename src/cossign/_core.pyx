# cython: language_level=3
"""The hot path: percent-encoding, canonicalisation, HMAC-SHA1 and SignKey, and signing one key or many.

A `Template` holds what a batch has in common. A row is one key's HttpString and output text, with a hole where the
signature goes. A tile of rows is laid out without the GIL, `hash_rows` fills the holes by one of the engines (native/sha1,
or hashlib), and the rows become str. A single call is a batch of one.

Source of the algorithm: Tencent Cloud, COS, "Request Signature" (product 436, page 7778).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.number cimport PyIndex_Check
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_AsUTF8String, PyUnicode_DecodeUTF8
from libc.stdint cimport INT32_MAX, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cossign._native cimport (
    COLUMN_DIGITS, COMPONENT, CPU_FEATURES, END_DIGITS, FAULT_BAD_TEMPLATE, FAULT_BAD_VALUE, FAULT_CONTROL,
    FAULT_DOT_SEGMENT, FAULT_EMPTY, FAULT_LEADING, FAULT_MISSING, FAULT_NONE, FAULT_NOT_A_STR, FAULT_NOT_UTF8,
    FAULT_NULL_ROW, FAULT_SURROGATE, FAULT_TOO_LONG, PATH, PIECE_KEY, PIECE_SIGNATURE, PIECE_TEXT, QUEUE_PATIENCE,
    RULE_DROP_SLASH, RULE_KEEP_SLASH, RULE_NO_NULL, RULE_REQUIRED, RULE_STRICT, RULE_UTF8, SHA1_BLOCK, SHA1_ENGINES,
    SHA1_HEX, TEXT_SLACK, Differences, Piece, Queue, QueueTask, Space, aligned, cpu_features, cpu_names,
    form_http_bound, form_lay_out, form_lay_out_tile, form_text_bound, form_tile_bound, frame_set, frame_size,
    needs_no_escape, put_decoded, put_encoded, put_hex, put_number, queue_add, queue_clear, queue_finish, queue_free,
    queue_help, queue_leave, queue_new, queue_take, queue_wait, sha1_blocks, sha1_engines, sha1_pad, sha1_prepare,
    sha1_sign, tables_begin, tables_find, tables_free, tables_lay_out_tile, tables_new, tables_tile_bound, wipe,
)

from _thread import start_new_thread
from hashlib import sha1
from itertools import islice

from cossign.errors import KeyNameError, MissingParameter, ParameterError

cdef extern from "Python.h":
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
    #if defined(ENGINES_X86) || defined(ENGINES_ARM)
    enum { HAS_VECTOR_ENGINES = 1 };
    #else
    enum { HAS_VECTOR_ENGINES = 0 };
    #endif
    """
    enum:
        HAS_VECTOR_ENGINES
    const char* COSSIGN_COMMIT
    const char* COSSIGN_COMPILER


# --- Percent-encoding -------------------------------------------------------------------------------------------------

cdef bytes percent_encode(bytes data, int where):
    cdef Text text = text_of(data)
    if needs_no_escape(text, where):
        return data
    cdef uint8_t* buffer = <uint8_t*>PyMem_RawMalloc(3 * text.size + TEXT_SLACK)
    if buffer == NULL:
        raise MemoryError
    try:
        return PyBytes_FromStringAndSize(<char*>buffer, put_encoded(buffer, text, where) - buffer)
    finally:
        PyMem_RawFree(buffer)


def encode_component(data: bytes, /) -> bytes:
    """Percent-encode a name or a value: all bytes except ``A-Z a-z 0-9 - _ . ~`` become ``%XX``, upper-case.

    >>> encode_component(b"a b/c")
    b'a%20b%2Fc'
    """
    return percent_encode(data, COMPONENT)


def encode_path(data: bytes, /) -> bytes:
    """Percent-encode an object key for a URL's path: as a component, with ``/`` kept.

    >>> encode_path(b"a b/c")
    b'a%20b/c'
    """
    return percent_encode(data, PATH)


cdef bytes percent_decode(bytes data, bint plus_is_space):
    """What is not a valid escape stays as it is. `plus_is_space` is for queries (HTML forms)."""
    if b"%" not in data and not (plus_is_space and b"+" in data):
        return data
    cdef bytes result = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(data))
    cdef uint8_t* start = <uint8_t*>PyBytes_AS_STRING(result)
    return result[:put_decoded(start, text_of(data), plus_is_space) - start]


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
    except ValueError:  # Python writes no more than 4,300 digits
        raise ParameterError(parameter, "is a number that is too long to be written", index) from None
    except TypeError:
        reason = f"must be a str, a number, a bool or None, not {type(value).__name__}"
        raise ParameterError(parameter, reason, index) from None


cdef bytes checked_name(object name, str parameter):
    if not isinstance(name, str):
        raise ParameterError(parameter, f"must have str names, not {type(name).__name__}")
    if not name:
        raise ParameterError(parameter, "must not have an empty name")
    return checked_value(name, f"{parameter}[{name!r}]", None)


cdef object name_of(tuple entry):
    return entry[0]


cdef list sort_by_name(list entries):
    """Sort (encoded name, value...) tuples by name; equal names stay in their order. There are few, mostly."""
    cdef Py_ssize_t i, j
    cdef tuple entry
    if len(entries) > 16:
        entries.sort(key=name_of)
        return entries
    for i in range(1, len(entries)):
        entry = entries[i]
        j = i
        while j > 0 and <bytes>(<tuple>entries[j - 1])[0] > <bytes>entry[0]:
            entries[j] = entries[j - 1]
            j -= 1
        entries[j] = entry
    return entries


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
        cased = percent_encode(checked_name(name, parameter), COMPONENT)
        if not isinstance(value, Column):
            value = percent_encode(checked_value(value, f"{parameter}[{name!r}]", None), COMPONENT)
        entries.append((cased.lower(), cased, value))
    sort_by_name(entries)
    return (
        joined_names(entries),
        pieces([(entry[0], entry[2]) for entry in entries]),
        pieces([(entry[1], entry[2]) for entry in entries]),
    )


cdef bytes joined_names(list entries):
    """UrlParamList or HeaderList of (encoded name, ...) tuples in their order."""
    cdef bytes result = PyBytes_FromStringAndSize(NULL, names_size(entries))
    put_names(<uint8_t*>PyBytes_AS_STRING(result), entries)
    return result


cdef bytes joined_pairs(list pairs):
    """HttpParameters or HttpHeaders of (encoded name, encoded value) tuples in their order."""
    cdef bytes result = PyBytes_FromStringAndSize(NULL, pairs_size(pairs))
    put_pairs(<uint8_t*>PyBytes_AS_STRING(result), pairs)
    return result


cdef list pieces(list pairs):
    """The same with a `Column` for some values: constant text in one piece as far as it goes, and columns' numbers."""
    cdef list result = []
    cdef list constant = []
    for name, value in pairs:
        if not isinstance(value, Column):
            constant.append((name, value))
            continue
        constant.append((name, b""))
        result += [(b"&" if result else b"") + joined_pairs(constant), (<Column>value).index]
        constant = []
    if constant:
        result.append((b"&" if result else b"") + joined_pairs(constant))
    return result


def encoded_pairs(pairs, str parameter):
    """``name=value`` joined with ``&``, each part percent-encoded, in the order given: the query of a URL."""
    return joined_pairs([
        (
            percent_encode(checked_name(name, parameter), COMPONENT),
            percent_encode(checked_value(value, f"{parameter}[{name!r}]", None), COMPONENT),
        )
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

    def __dealloc__(self):
        wipe(self.hexadecimal, sizeof(self.hexadecimal))
        wipe(&self.native, sizeof(self.native))

    def __reduce__(self):
        raise TypeError("a SignKey cannot be pickled: it signs like the SecretKey it was made of")

    cdef int prepare_hashlib(self) except -1:
        """Prepare hashlib's states, too."""
        if self.states is None:
            inner, outer = hmac_states(self.hexadecimal, 40)
            inner.update(self.head)
            self.states = inner, outer
        return 0

    def sign(self, message: bytes, /) -> str:
        """hex(HMAC-SHA1(SignKey, message)): the signature of any message, such as a form's policy."""
        inner, outer = hmac_states(self.hexadecimal, 40)
        return hmac_digest(inner, outer, message).hex()


cdef class Secret:
    """A SecretKey or a token, wiped from memory when it dies; never shown, never pickled."""

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

    cdef int prepare(self, sha1_key* key) except -1:
        """HMAC's states of the secret itself, for sha1_prepare_key_time."""
        cdef Text secret = Text(self.data, <size_t>self.size)
        cdef bytes digest = None
        if secret.size > SHA1_BLOCK:  # RFC 2104: its digest instead
            copy = self.data[:self.size]
            digest = sha1(copy).digest()
            wipe(PyBytes_AS_STRING(copy), secret.size)  # nobody else has it
            secret = text_of(digest)
        sha1_prepare(key, secret.data, secret.size, secret.data, 0)
        if digest is not None:
            wipe(PyBytes_AS_STRING(digest), 20)
        return 0


# --- Engines ----------------------------------------------------------------------------------------------------------

cdef class Engine:
    """What turns HttpStrings into signatures: native code, or "hashlib"."""


cdef tuple names_of_features(uint32_t features):
    return tuple([cpu_names[i].decode() for i in range(CPU_FEATURES) if features >> i & 1])


ALL_FEATURES = names_of_features(~<uint32_t>0)
CPU = names_of_features(cpu_features())
HAS_VECTORS = bool(HAS_VECTOR_ENGINES)


def engines_for(features):
    """The engines of a CPU with these features, fastest first. "hashlib" needs none and is always last."""
    cdef sha1_engine[SHA1_ENGINES] natives
    cdef Engine engine
    cdef list engines = []
    cdef uint32_t cpu = 0
    cdef size_t i
    for name in features:
        cpu |= <uint32_t>1 << ALL_FEATURES.index(name)
    for i in range(sha1_engines(natives, cpu)):
        engine = Engine()
        engine.name = natives[i].name.decode()
        engine.needs = names_of_features(natives[i].needs)
        engine.native = natives[i]
        engine.is_native = True
        engines.append(engine)
    engine = Engine()
    engine.name = "hashlib"
    engine.needs = ()
    return (*engines, engine)


def built():
    """The compiler that built this core, and the commit that it was built from."""
    return COSSIGN_COMPILER.decode(), COSSIGN_COMMIT.decode()


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
    cdef bytes hex_digits = PyBytes_FromStringAndSize(NULL, 40 * count)
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
            rows[i].hole = <uint8_t*>PyBytes_AS_STRING(hex_digits) + 40 * i
            size += sha1_blocks(text.size) * SHA1_BLOCK
        hash_rows(engine, key, rows, count)
    finally:
        PyMem_RawFree(rows)
        PyMem_RawFree(http)
    return [hex_digits[40 * i:40 * i + 40] for i in range(count)]

# --- Rows and tiles ---------------------------------------------------------------------------------------------------

cdef dict REASONS = {
    FAULT_SURROGATE: "is not valid UTF-8: it holds a lone surrogate",
    FAULT_NOT_UTF8: "is not valid UTF-8",
    FAULT_EMPTY: "is empty: an empty key signs for the whole bucket; if you want that, use `strict=False`",
    FAULT_TOO_LONG: "is longer than the 850 bytes of UTF-8 that COS allows",
    FAULT_LEADING: "begins with '/' or '\\', which COS does not allow: remove it, or use `strict=False` to sign it",
    FAULT_CONTROL: "holds one of the control bytes 18-1B hex (CAN, EM, SUB, ESC), which COS forbids",
    FAULT_DOT_SEGMENT: "has a '.' or '..' segment, which HTTP clients remove before they send: the URL would reach another path",
}

# What a Template does with a key, or-ed: row.h says what each is.
DROP_SLASH = RULE_DROP_SLASH
KEEP_SLASH = RULE_KEEP_SLASH
REQUIRED = RULE_REQUIRED
STRICT = RULE_STRICT
NO_NULL = RULE_NO_NULL
UTF8 = RULE_UTF8

cdef enum:
    MOST_TEMPLATES = 1024  # that are kept, where they differ by row
    ROW_FORM_SLACK = 64      # bytes by which a row's own KeyTime may make its URL longer

# Pieces of a Template that differ by row; from 0 on they are the columns.
KEY = PIECE_KEY
SIGNATURE = PIECE_SIGNATURE

# The pieces of the usual row, which engines lay out in vectors (lay.h): HttpString's, then the URL's. None is constant
# text. Another order is signed right, too, but at a third of the speed: tests hold that Signer's templates are usual.
USUAL = [None, KEY, None], ([None, KEY, None, SIGNATURE], [None, KEY, None, SIGNATURE, None])


@cython.final
cdef class Template:
    """What a batch has in common: the constant text around keys, columns and signature.

    Args:
        http: HttpString's pieces: bytes, KEY (raw), or a column's number; empty if nothing is signed.
        text: the output's pieces: bytes, KEY (encoded), SIGNATURE, or a column's number.
        sign_key: the batch's SignKey; None if nothing is signed.
        rules: DROP_SLASH, KEEP_SLASH, REQUIRED, STRICT, NO_NULL, UTF8, or-ed.
        parameter: what the keys are called in an error ("Key", "keys").
        engine: what signs.

    Attributes:
        is_usual: whether its pieces are in the order of `USUAL`.
    """

    def __cinit__(self, list http, list text, SignKey sign_key, int rules, str parameter, Engine engine not None):
        http = merge(http)
        text = merge(text)
        self.sign_key = sign_key
        self.engine = engine
        self.parameter = parameter
        self.form.rules = rules
        set_pieces(self, http, text)
        if self.form.signs and sign_key is None:
            raise ValueError("a template with a signature needs a SignKey")
        kinds = [[None if isinstance(piece, bytes) else piece for piece in pieces] for pieces in (http, text)]
        self.is_usual = kinds[0] == USUAL[0] and kinds[1] in USUAL[1]
        if self.is_usual:
            self.form.lay = engine.native.lay
            self.form.frame.escapes = True
            end = text[4] if len(text) > 4 else b""
            self.frame_text = put_frame(&self.form.frame, [http[0] + b"/", http[2], text[0] + b"/", text[2], end])
        if self.form.signs:
            set_end_back(self, text)

    def __dealloc__(self):
        PyMem_RawFree(self.pieces)
        PyMem_RawFree(self.constants)

    def __reduce__(self):
        raise TypeError("a Template cannot be pickled: it signs like the SecretKey it was made of")


cdef int set_end_back(Template template, list text) except -1:
    """Where KeyTime's end stands in a URL: it is written over in the rows of another one."""
    cdef Py_ssize_t at = text.index(SIGNATURE)
    cdef bytes before = text[at - 1] if at > 0 and isinstance(text[at - 1], bytes) else b""
    start, _, last = template.sign_key.key_time.partition(";")
    times = percent_encode(template.sign_key.key_time.encode(), COMPONENT)
    place = before.find(b"&q-sign-time=%b&q-key-time=%b&" % (times, times))
    if place >= 0 and len(last) == END_DIGITS:
        first = len(before) - place - len(b"&q-sign-time=") - len(times) + END_DIGITS
        template.form.end_back = [first, first - len(b"&q-key-time=") - len(times)]
    return 0


cdef int set_pieces(Template template, list http, list text) except -1:
    """The form's head and pieces, in the template's own memory."""
    cdef bytes head = http[0] if http and isinstance(http[0], bytes) else b""
    http = http[1:] if head else http
    cdef Py_ssize_t i, count = len(http) + len(text)
    cdef Py_ssize_t size = len(head) + sum([len(piece) for piece in http + text if isinstance(piece, bytes)])
    cdef uint8_t* place
    cdef Piece* pieces
    template.pieces = <uint8_t*>PyMem_RawMalloc(<size_t>(count + 1) * sizeof(Piece))
    template.constants = <uint8_t*>PyMem_RawMalloc(<size_t>size + TEXT_SLACK)
    if template.pieces == NULL or template.constants == NULL:
        raise MemoryError
    memset(template.constants + size, 0, TEXT_SLACK)
    pieces = <Piece*>template.pieces
    place = template.constants
    memcpy(place, PyBytes_AS_STRING(head), <size_t>len(head))
    template.form.head = Text(place, <size_t>len(head))
    template.form.http_size = template.form.head.size
    place += template.form.head.size
    template.is_ascii = all([piece.isascii() for piece in text if isinstance(piece, bytes)])
    template.form.pieces = pieces
    template.form.http_count = <size_t>len(http)
    template.form.count = <size_t>count
    for i, value in enumerate(http + text):
        in_http = i < len(http)
        if isinstance(value, bytes):
            pieces[i].kind = PIECE_TEXT
            pieces[i].text = Text(place, <size_t>PyBytes_GET_SIZE(value))
            memcpy(place, PyBytes_AS_STRING(value), pieces[i].text.size)
            place += pieces[i].text.size
            if in_http:
                template.form.http_size += pieces[i].text.size
            else:
                template.form.text_size += pieces[i].text.size
            continue
        if not (KEY if in_http else SIGNATURE) <= value < MOST_COLUMNS:
            raise ValueError(f"a template has no piece {value} here")
        pieces[i].kind = value
        pieces[i].text = Text(NULL, 0)
        if pieces[i].kind >= 0:
            template.form.columns = max(template.form.columns, <size_t>pieces[i].kind + 1)
        elif pieces[i].kind == PIECE_SIGNATURE:
            template.form.text_size += SHA1_HEX
            template.form.signs = True
        elif in_http:
            template.form.http_keys += 1
        else:
            template.form.text_keys += 1
    return 0


cdef object text_str(bint is_ascii, Text text):
    """A row's output text as a str."""
    if not is_ascii:
        return PyUnicode_DecodeUTF8(<const char*>text.data, <Py_ssize_t>text.size, NULL)
    result = PyUnicode_New(<Py_ssize_t>text.size, 127)
    memcpy(PyUnicode_DATA(result), text.data, text.size)
    return result


cdef bytes put_frame(Frame* frame, list texts):
    """Set a frame's five texts; returns what keeps them."""
    cdef Text[5] parts
    cdef Py_ssize_t i
    for i in range(5):
        parts[i] = text_of(texts[i])
    cdef bytes memory = bytes(frame_size(parts))
    frame_set(frame, parts, <uint8_t*>PyBytes_AS_STRING(memory))
    return memory


cdef list merge(list pieces):
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
    cdef bytes http = b""  # kept in the same way, while HttpStrings have the same length
    text[40] = c"\n"
    key.prepare_hashlib()
    inner, outer = key.states
    for i in range(count):
        if PyBytes_GET_SIZE(http) != <Py_ssize_t>rows[i].size:
            http = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>rows[i].size)
        memcpy(PyBytes_AS_STRING(http), rows[i].http, rows[i].size)
        state = sha1_copy(EMPTY_SHA1, NULL)
        sha1_update(state, <PyObject*>http)
        digest = sha1_digest(state, NULL)
        put_hex(text, <const uint8_t*>PyBytes_AS_STRING(digest))
        digest = hmac_digest(inner, outer, tail)
        put_hex(rows[i].hole, <const uint8_t*>PyBytes_AS_STRING(digest))
    return 0


cdef class Workspace:
    """The memory of a bulk call, used again for each of its blocks."""

    def __cinit__(self, Py_ssize_t columns):
        if not 0 <= columns <= MOST_COLUMNS + 2:  # those of a query, method and expiry
            raise ValueError(f"a batch has at most {MOST_COLUMNS} columns")
        self.width = columns
        self.values = <Text*>PyMem_RawMalloc(<size_t>(columns * BLOCK + 1) * sizeof(Text))
        self.digits = <uint8_t*>PyMem_RawMalloc(<size_t>((columns + 1) * BLOCK * COLUMN_DIGITS))
        if self.values == NULL or self.digits == NULL:
            raise MemoryError
        memset(self.values, 0, <size_t>(columns * BLOCK + 1) * sizeof(Text))
        self.rows = Rows(&self.keys[0], self.values, <size_t>columns, &self.faults[0], &self.texts[0])

    def __dealloc__(self):
        tables_free(self.tables)
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
    cdef Space space
    cdef Py_ssize_t last
    cdef size_t signed_count
    cdef const Form* form = &template.form
    space.out = place[0]
    space.end = end
    while done < count:
        last = min(done + SHA1_TILE, count)
        hold(&work.http, &work.http_size, form_tile_bound(form, &work.rows, <size_t>done, <size_t>last))
        space.http = aligned(work.http)
        done = <Py_ssize_t>form_lay_out_tile(
            form, &work.rows, <size_t>done, <size_t>last, &space, work.signed, &signed_count
        )
        if signed_count:
            hash_rows(template.engine, template.sign_key, work.signed, <Py_ssize_t>signed_count)
        if done < last:
            break
    place[0] = space.out
    return done


# --- Rows that differ -------------------------------------------------------------------------------------------------

cdef class RowDifferences:
    """What makes the templates of rows that differ by more than key and values.

    A row's method and its seconds are read in C, which finds what it needs in tables. What is not understood there is
    asked of `make`: another spelling, a parameter that a row lacks, or a mistake.

    Args:
        template: that of a row that differs in nothing.
        make: a row's Template, of the texts of the columns after the template's own (None for a null), and of the
            numbers of those of its own that are null; or a ParameterError that says why there is none.
        names: what the columns after the template's own are: "method", "expires".
        secret: the SecretKey.
        times: (start, extra): a row's KeyTime is from `start` to `start` + its seconds + `extra`.
    """

    def __init__(
        self, Template template not None, make, tuple names not None, Secret secret not None, tuple times not None
    ):
        self.template = template
        self.make = make
        self.columns = len(names)
        self.templates = {}
        own = <Py_ssize_t>template.form.columns
        self.method = own + names.index("method") if "method" in names else -1
        self.expires = own + names.index("expires") if "expires" in names else -1
        self.start, self.extra = times
        head = template.form.head.data[:template.form.head.size]
        self.is_quick = (
            template.engine.is_native and template.form.end_back[0] > 0 and head.endswith(b"\n") and head.count(b"\n") == 1
        )
        if self.is_quick:
            secret.prepare(&self.secret)

    def __dealloc__(self):
        wipe(&self.secret, sizeof(self.secret))

    cdef object template_of(self, Workspace work, Py_ssize_t i):
        """A row's template, or the ParameterError that says why there is none."""
        cdef Text* value
        cdef list texts = []
        cdef list absent = []
        for column in range(work.width):
            value = &work.values[i * work.width + column]
            if column >= <Py_ssize_t>self.template.form.columns:
                texts.append(None if value.data == NULL else value.data[:value.size].decode())
            elif value.data == NULL:
                absent.append(column)
        row = tuple(texts), tuple(absent)
        result = self.templates.get(row)
        if result is None:
            try:
                result = self.make(*row)
            except ParameterError as error:
                result = error.with_traceback(None)  # whose frames would keep `make` alive
            if len(self.templates) >= MOST_TEMPLATES:
                self.templates.clear()
            self.templates[row] = result
        return result

    cdef int prepare(self, Workspace work) except -1:
        """The tables of a workspace."""
        cdef Template template = self.template
        cdef Differences how
        tables_free(work.tables)
        work.tables = NULL
        if self.is_quick:
            how = Differences(
                &template.form, &template.sign_key.native, &self.secret, template.engine.native.compress,
                self.method, self.expires, self.start, self.extra,
            )
            work.tables = tables_new(&how)
            if work.tables == NULL:
                raise MemoryError
        work.differences = self
        return 0

    cdef bint find(self, Workspace work, Py_ssize_t i, RowForm* form) except -1:
        """Set the form of a row that C did not understand, or its fault.

        Returns:
            Whether the row must be signed alone: by hashlib, or with a KeyTime of another length.
        """
        cdef Template template
        result = self.template_of(work, i)
        if isinstance(result, ParameterError):
            work.faults[i] = FAULT_BAD_TEMPLATE
            return False
        template = result
        if not self.is_quick or template.sign_key.native.head_size != self.template.sign_key.native.head_size:
            return True
        work.alive.append(template)
        form[0] = RowForm(&template.form, &template.sign_key.native, NULL)
        return False


cdef Py_ssize_t sign_row_forms(
    RowDifferences differences, Workspace work, Py_ssize_t done, Py_ssize_t count, uint8_t** place, const uint8_t* end
) except -1 nogil:
    """As `sign_rows`, where each row has a form and a key of its own; a tile of them goes through the lanes together."""
    cdef Space space
    cdef size_t signed_count
    cdef Py_ssize_t last
    cdef bint is_alone
    if work.differences is not differences:
        with gil:
            differences.prepare(work)
    while done < count:
        last = find_forms(differences, work, done, min(done + SHA1_TILE, count), &is_alone)
        if is_alone and last == done:
            with gil:
                template = differences.template_of(work, done)
                last = done + 1
                while last < count and (
                    work.faults[last] != FAULT_NONE or differences.template_of(work, last) is template
                ):
                    last += 1
                done = sign_rows(template, work, done, last, place, end)
            if done < last:
                break
            continue
        hold(&work.http, &work.http_size, tables_tile_bound(work.forms, &work.rows, <size_t>done, <size_t>last))
        space = Space(aligned(work.http), place[0], end)
        done = <Py_ssize_t>tables_lay_out_tile(
            work.forms, &work.rows, <size_t>done, <size_t>last, &space, work.signed, &signed_count
        )
        if signed_count:
            sha1_sign(&differences.template.engine.native, NULL, work.signed, signed_count)
        place[0] = space.out
        if done < last:
            break
    return done


cdef Py_ssize_t find_forms(
    RowDifferences differences, Workspace work, Py_ssize_t done, Py_ssize_t last, bint* is_alone
) except -1 nogil:
    """Set the forms of the rows done ... last - 1 that have no fault.

    Returns:
        `last`, or the row before which the tile must end; `is_alone` tells whether that row must be signed alone.
    """
    cdef Py_ssize_t i = done
    cdef bint full = False
    is_alone[0] = False
    if work.tables != NULL:
        tables_begin(work.tables)
    if work.alive is not None:
        with gil:
            work.alive = None
    while i < last:
        if work.tables != NULL:
            i = <Py_ssize_t>tables_find(
                work.tables, &work.rows, <size_t>i, <size_t>last, &work.forms[i - done], &full
            )
            if i == last or full:
                break
        if work.faults[i] == FAULT_NONE:
            with gil:
                work.alive = [] if work.alive is None else work.alive
                is_alone[0] = differences.find(work, i, &work.forms[i - done])
            if is_alone[0]:
                break
        i += 1
    return i


# --- Texts ------------------------------------------------------------------------------------------------------------

cdef object key_error(Template template, Fault fault, object key, object index):
    """The error for a key that cannot be signed."""
    if fault == FAULT_MISSING:
        return MissingParameter(template.parameter, "the object's name, such as 'picture.jpg'", index)
    if fault == FAULT_NOT_A_STR:
        return KeyNameError(template.parameter, f"must be a str, not {type(key).__name__}", index)
    return KeyNameError(template.parameter, REASONS[fault], index)


def sign_one(Template template not None, key):
    """Sign one key.

    Returns:
        The URL or the Authorization that the template describes.

    Raises:
        KeyNameError: `key` cannot be an object's name.
    """
    cdef Fault fault
    cdef sha1_row row
    cdef Space space
    cdef Text key_bytes = Text(NULL, 0)
    cdef Text text
    cdef list alive = []
    cdef uint8_t* buffer
    cdef uint8_t[3072] small
    cdef size_t http, bound
    if template.form.columns:
        raise ParameterError("query", "has a column of values: one call takes one value for each name")
    fault = key_text(key, &key_bytes, alive)
    if fault == FAULT_NULL_ROW:
        fault = FAULT_NOT_A_STR
    if fault != FAULT_NONE:
        raise key_error(template, fault, key, None)
    http = form_http_bound(&template.form, key_bytes, NULL) + SHA1_BLOCK
    bound = http + form_text_bound(&template.form, key_bytes, NULL) + TEXT_SLACK
    buffer = small
    if bound > sizeof(small):
        buffer = <uint8_t*>PyMem_RawMalloc(bound)
        if buffer == NULL:
            raise MemoryError
    try:
        space.http = buffer
        space.out = buffer + http
        space.end = buffer + bound
        if template.form.lay == NULL or not template.form.lay(&template.form.frame, &key_bytes, 1, &space, &row, &text):
            fault = form_lay_out(&template.form, &space, &row, &text, key_bytes, NULL)
        if fault != FAULT_NONE:
            raise key_error(template, fault, key, None)
        if template.form.signs:
            hash_rows(template.engine, template.sign_key, &row, 1)
        return text_str(template.is_ascii, text)
    finally:
        if buffer != small:
            PyMem_RawFree(buffer)


cdef list SPARE = []  # a Workspace without columns: to make one takes longer than to sign a few keys


def sign_many(
    Template template not None, keys, tuple columns not None, tuple names not None, list errors, int threads=1,
    RowDifferences differences=None,
):
    """Sign many keys, at the template's one instant.

    Args:
        template: what the batch has in common.
        keys: an iterable of str; None gives None.
        columns: for each of the template's columns a sequence as long as `keys`.
        names: what to call each column in an error.
        errors: None to raise at the first bad row; a list to append ``(index, reason)`` to instead, the row being None.
        threads: how many threads share the work.
        differences: what rows differ in; its columns come after the template's, and None in a column is a null.

    Returns:
        The list of URLs or Authorizations, in order.

    Raises:
        KeyNameError: a key cannot be an object's name; `index` is its row.
        ParameterError: a column's value has no text.
    """
    cdef Batch batch = Batch(template, columns, names, differences, errors)
    cdef list result = []
    if threads > 1:
        keys = keys if isinstance(keys, list) else list(keys)
        shares = [(batch, keys, start) for start in range(0, len(keys), SHARE)]
        for texts, bad_rows in in_threads(_sign_share, shares, threads):
            result += texts
            if bad_rows:
                errors += bad_rows
    else:
        iterator = iter(keys)
        while block := list(islice(iterator, BLOCK)):
            batch.append(block, len(result), result)
            PyErr_CheckSignals()
    batch.finish()
    return result


def _sign_share(Batch batch not None, list keys not None, Py_ssize_t start):
    cdef list result = []
    cdef Batch part = batch.part()
    for i in range(start, min(start + SHARE, len(keys)), BLOCK):
        part.append(keys[i:i + BLOCK], i, result)
    return result, part.errors


cdef class Batch:
    """Keys that are signed at one instant, a block of at most BLOCK rows at a time; `sign_many` describes its parts."""

    def __init__(
        self, Template template not None, tuple columns not None, tuple names not None, RowDifferences differences,
        list errors,
    ):
        cdef Py_ssize_t width = <Py_ssize_t>template.form.columns + (0 if differences is None else differences.columns)
        if not width <= len(columns) == len(names):
            raise ValueError("the template has more columns than were given")
        self.template = template
        self.columns = columns
        self.names = names
        self.differences = differences
        self.errors = errors
        self.work = SPARE.pop() if SPARE and width == 0 else Workspace(width)

    cdef int finish(self) except -1:
        """Keep the workspace for the next batch."""
        if self.work.width == 0 and max(self.work.text_size, self.work.http_size) <= 1 << 20 and not SPARE:
            SPARE.append(self.work)
        return 0

    cdef Batch part(self):
        """The same for another thread."""
        return Batch(self.template, self.columns, self.names, self.differences, None if self.errors is None else [])

    cdef int append(self, list block, Py_ssize_t start, list result) except -1:
        """Append the texts of a block's keys to a list. The first key is row `start`."""
        cdef Workspace work = self.work
        cdef Py_ssize_t i
        cdef uint8_t* out
        hold(&work.text, &work.text_size, self.read(block, start))
        out = work.text
        done = self.sign(0, &out, work.text + work.text_size)
        if done < self.count:
            raise MemoryError(f"row {start + done}: its URL does not fit into the memory that it was given")
        self.check()
        for i in range(self.count):
            result.append(text_str(self.template.is_ascii, work.texts[i]) if work.faults[i] == FAULT_NONE else None)
        return 0

    cdef size_t read(self, list block, Py_ssize_t start) except? 0:
        """Read a block's keys and their columns' values; returns the most bytes of their texts."""
        cdef Workspace work = self.work
        cdef Py_ssize_t i
        cdef Fault fault
        cdef size_t bound = TEXT_SLACK
        cdef list alive = []
        self.block, self.start, self.count, self.alive, self.refused = block, start, len(block), alive, {}
        for i in range(self.count):
            work.keys[i] = Text(NULL, 0)
            keys_soon(block, i)
            fault = key_text(block[i], &work.keys[i], alive)
            if fault == FAULT_NULL_ROW and self.template.form.rules & RULE_NO_NULL:
                fault = FAULT_MISSING
            if work.width:
                memset(&work.values[i * work.width], 0, <size_t>work.width * sizeof(Text))
                if fault == FAULT_NONE:
                    try:
                        column_texts(self, start + i, &work.values[i * work.width])
                    except ParameterError as error:
                        fault = FAULT_BAD_VALUE
                        self.refused[i] = error
            work.faults[i] = fault
            bound += self.row_bound(i)
        return bound

    cdef size_t row_bound(self, Py_ssize_t i) noexcept:
        """The most bytes that are written for a row's text."""
        cdef Workspace work = self.work
        return form_text_bound(&self.template.form, work.keys[i], &work.values[i * work.width]) + ROW_FORM_SLACK

    cdef Py_ssize_t sign(self, Py_ssize_t done, uint8_t** place, const uint8_t* end) except -1:
        """Sign the rows from `done` on that were read; returns the first one that does not fit before `end`."""
        cdef Template template = self.template
        cdef RowDifferences differences = self.differences
        cdef Workspace work = self.work
        with nogil:
            if differences is None:
                done = sign_rows(template, work, done, self.count, place, end)
            else:
                done = sign_row_forms(differences, work, done, self.count, place, end)
        return done

    cdef int check(self) except -1:
        """Raise the error of the first row that could not be signed, or add those of all to `errors`."""
        cdef Py_ssize_t i
        cdef Fault fault
        for i in range(self.count):
            fault = self.work.faults[i]
            if fault == FAULT_NONE or fault == FAULT_NULL_ROW:
                continue
            if fault == FAULT_BAD_TEMPLATE:
                refusal = self.differences.template_of(self.work, i)
                self.refused[i] = type(refusal)(refusal.parameter, refusal.reason, self.start + i)
            is_value = i in self.refused
            error = self.refused[i] if is_value else key_error(self.template, fault, self.block[i], self.start + i)
            if self.errors is None:
                raise error
            self.errors.append((self.start + i, f"{error.parameter} {error.reason}" if is_value else error.reason))
        return 0


cdef class Crew:
    """Threads that share some calls of a function.

    An interrupt may come at any point of Python code in the main thread, and what is written in Python of threading and
    concurrent.futures may then keep a lock for ever. Here the main thread waits in C.
    """

    cdef object function
    cdef list arguments
    cdef list results
    cdef dict failures  # by the call's number
    cdef Queue* queue
    cdef QueueTask* calls
    cdef bint is_short  # a thread could not be started

    def __cinit__(self, function, list arguments not None, int threads):
        cdef Py_ssize_t i
        self.function = function
        self.arguments = arguments
        self.results = [None] * len(arguments)
        self.failures = {}
        self.queue = queue_new(threads)
        self.calls = <QueueTask*>PyMem_RawMalloc(<size_t>len(arguments) * sizeof(QueueTask))
        if self.queue == NULL or self.calls == NULL:
            raise MemoryError
        for i in range(len(arguments)):
            if queue_add(self.queue, &self.calls[i]):
                self.start()

    def __dealloc__(self):
        queue_free(self.queue)
        PyMem_RawFree(self.calls)

    cdef int start(self) except -1:
        try:
            start_new_thread(self.work, ())
        except RuntimeError:  # no more threads to be had
            queue_leave(self.queue)
            self.is_short = True
        return 0

    def work(self):
        """A thread's work: make calls until all are begun, or one has failed."""
        cdef QueueTask* call
        while True:
            call = queue_take(self.queue, 0)
            if call == NULL:
                return
            self.make(call)

    cdef int make(self, QueueTask* call) except -1:
        cdef Py_ssize_t i = call - self.calls
        try:
            self.results[i] = self.function(*self.arguments[i])
        except BaseException as error:
            self.failures[i] = error
            queue_clear(self.queue)
        finally:
            queue_finish(self.queue, call)
        return 0

    cdef int wait(self) except -1:
        """Wait until no thread makes a call. On an interrupt no more are begun."""
        cdef QueueTask* call = NULL
        cdef Py_ssize_t i
        if self.is_short:
            call = queue_help(self.queue)
        while call != NULL:
            self.make(call)
            call = queue_help(self.queue)
        try:
            for i in range(len(self.arguments)):
                while not self.is_done(i):
                    PyErr_CheckSignals()
        except BaseException:
            queue_clear(self.queue)
            for i in range(len(self.arguments)):
                while not self.is_done(i):
                    pass
            raise
        return 0

    cdef bint is_done(self, Py_ssize_t i) noexcept:
        """Whether a call is done; it waits for a while. A signal does not end the wait."""
        cdef bint result
        with nogil:
            result = queue_wait(self.queue, &self.calls[i], QUEUE_PATIENCE)
        return result


cdef list in_threads(function, list arguments, int threads):
    """The results of a function for each tuple of arguments, in order; what is not begun when one fails never is."""
    cdef Crew crew = Crew(function, arguments, threads)
    crew.wait()
    if crew.failures:
        raise crew.failures[min(crew.failures)]
    return crew.results


cdef int column_texts(Batch batch, Py_ssize_t index, Text* values) except -1:
    """A row's values of the batch's columns, as text; where rows differ, None is a null."""
    cdef Py_ssize_t i
    cdef long long number
    cdef int overflow
    cdef uint8_t* digits
    for i in range(batch.work.width):
        value = batch.columns[i][index]
        if value is None and batch.differences is not None:
            continue
        if type(value) is int:
            number = PyLong_AsLongLongAndOverflow(value, &overflow)
            if not overflow and 0 <= number <= INT32_MAX:
                digits = batch.work.digits + (i * BLOCK + index % BLOCK) * COLUMN_DIGITS
                values[i] = Text(digits, put_number(digits, <uint64_t>number))
                continue
        data = checked_value(value, batch.names[i], index)
        batch.alive.append(data)
        values[i] = text_of(data)
    return 0
