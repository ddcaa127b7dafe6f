"""What the other extensions use of the core."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from cpython.list cimport PyList_GET_ITEM
from cpython.unicode cimport PyUnicode_AsUTF8String

from cossign._native cimport (
    FAULT_NONE,
    FAULT_NOT_A_STR,
    FAULT_NULL_ROW,
    FAULT_SURROGATE,
    SHA1_BLOCK,
    SHA1_TILE,
    Fault,
    Form,
    Frame,
    RowForm,
    Rows,
    Text,
    Tables,
    sha1_engine,
    sha1_key,
    sha1_row,
    text_soon,
)

cdef enum:
    BLOCK = 512          # rows that a bulk call takes between two looks at Python objects and signals
    SHARE = 8192         # rows that a thread takes at a time
    MOST_COLUMNS = 1024  # of a query
    KEYS_AHEAD = 16      # of a list, that are fetched already


cdef inline Text text_of(bytes data) noexcept:
    return Text(<const uint8_t*>PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data))


cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text) noexcept
    void* PyUnicode_DATA(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept


cdef inline Fault key_text(object key, Text* text, list alive) except *:
    """A key's UTF-8, without a copy where it is ASCII; otherwise the copy is kept in `alive`."""
    if key is None:
        return FAULT_NULL_ROW
    if not isinstance(key, str):
        return FAULT_NOT_A_STR
    if PyUnicode_IS_COMPACT_ASCII(key):
        text[0] = Text(<const uint8_t*>PyUnicode_DATA(key), <size_t>PyUnicode_GET_LENGTH(key))
        return FAULT_NONE
    try:
        data = PyUnicode_AsUTF8String(key)
    except UnicodeEncodeError:
        return FAULT_SURROGATE
    alive.append(data)
    text[0] = text_of(data)
    return FAULT_NONE


cdef bytes percent_encode(bytes data, int where)
cdef bytes percent_decode(bytes data, bint plus_is_space)
cdef bytes value_bytes(object value)
cdef bytes checked_value(object value, str parameter, object index)
cdef list sort_by_name(list entries)
cdef bytes joined_pairs(list pairs)


cdef inline void keys_soon(list keys, Py_ssize_t i) noexcept:
    """Fetch the key some places after this one: strings lie anywhere in memory."""
    if i + KEYS_AHEAD < len(keys):
        text_soon(<const uint8_t*>PyList_GET_ITEM(keys, i + KEYS_AHEAD), 2 * SHA1_BLOCK)


cdef inline uint8_t* put_bytes(uint8_t* out, object data) noexcept:
    memcpy(out, PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data))
    return out + PyBytes_GET_SIZE(data)


cdef inline Py_ssize_t names_size(list entries) noexcept:
    """The bytes that `put_names` writes."""
    cdef Py_ssize_t i
    cdef Py_ssize_t size = len(entries)
    for i in range(len(entries)):
        size += PyBytes_GET_SIZE((<tuple>entries[i])[0])
    return max(size - 1, 0)


cdef inline uint8_t* put_names(uint8_t* out, list entries) noexcept:
    """Write UrlParamList or HeaderList of (encoded name, ...) tuples in their order. Returns the end."""
    cdef Py_ssize_t i
    for i in range(len(entries)):
        if i:
            out[0] = c";"
            out += 1
        out = put_bytes(out, (<tuple>entries[i])[0])
    return out


cdef inline Py_ssize_t pairs_size(list pairs) noexcept:
    """The bytes that `put_pairs` writes."""
    cdef Py_ssize_t i
    cdef Py_ssize_t size = 2 * len(pairs)
    for i in range(len(pairs)):
        size += PyBytes_GET_SIZE((<tuple>pairs[i])[0]) + PyBytes_GET_SIZE((<tuple>pairs[i])[1])
    return max(size - 1, 0)


cdef inline uint8_t* put_pairs(uint8_t* out, list pairs) noexcept:
    """Write HttpParameters or HttpHeaders of (encoded name, encoded value) tuples in their order. Returns the end."""
    cdef Py_ssize_t i
    for i in range(len(pairs)):
        if i:
            out[0] = c"&"
            out += 1
        out = put_bytes(out, (<tuple>pairs[i])[0])
        out[0] = c"="
        out = put_bytes(out + 1, (<tuple>pairs[i])[1])
    return out


cdef class SignKey:
    cdef readonly str key_time
    cdef uint8_t[40] hexadecimal
    cdef bytes head     # "sha1\n<KeyTime>\n", the constant head of StringToSign
    cdef sha1_key native
    cdef tuple states   # hashlib's, of HMAC's two hashes; the inner one has absorbed the head
    cdef int prepare_hashlib(self) except -1


cdef class Secret:
    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef dict sign_keys  # the SignKeys of the last KeyTimes
    cpdef SignKey sign_key(self, str key_time, str sign_time=*)
    cdef int prepare(self, sha1_key* key) except -1


cdef class Engine:
    cdef readonly str name
    cdef readonly tuple needs  # what its CPU must have
    cdef sha1_engine native
    cdef bint is_native


cpdef list signatures(Engine engine, SignKey key, list http_strings)
cdef int hash_rows(Engine engine, SignKey key, const sha1_row* rows, Py_ssize_t count) except -1 nogil


cdef class Template:
    cdef Form form
    cdef uint8_t* pieces     # the form's
    cdef uint8_t* constants  # all constant text, TEXT_SLACK bytes readable after it
    cdef bytes frame_text
    cdef bint is_ascii
    cdef Engine engine
    cdef readonly bint is_usual
    cdef readonly SignKey sign_key
    cdef readonly str parameter


cdef class RowDifferences:
    cdef Template template  # of a row that differs in nothing
    cdef object make
    cdef readonly Py_ssize_t columns  # how many there are after the template's own
    cdef dict templates     # the last ones that were made, or why there is none
    cdef Py_ssize_t method
    cdef Py_ssize_t expires
    cdef uint64_t start
    cdef uint64_t extra
    cdef bint is_quick      # C finds most rows' forms
    cdef sha1_key secret
    cdef object template_of(self, Workspace work, Py_ssize_t i)
    cdef int prepare(self, Workspace work) except -1
    cdef bint find(self, Workspace work, Py_ssize_t i, RowForm* form) except -1


cdef class Workspace:
    cdef Rows rows               # the arrays that follow
    cdef Text[BLOCK] keys
    cdef Fault[BLOCK] faults
    cdef Text[BLOCK] texts       # of the rows without a fault
    cdef sha1_row[SHA1_TILE] signed
    cdef RowForm[SHA1_TILE] forms
    cdef Tables* tables
    cdef RowDifferences differences         # whose `tables` is
    cdef list alive              # templates of a tile
    cdef Py_ssize_t width        # columns
    cdef Text* values            # BLOCK rows of them; the template's come first
    cdef uint8_t* digits         # the texts of integers, for the keys and for each column
    cdef uint8_t* http
    cdef size_t http_size
    cdef uint8_t* text
    cdef size_t text_size


cdef int hold(uint8_t** buffer, size_t* size, size_t needed) except -1 nogil
cdef Py_ssize_t sign_rows(
    Template template, Workspace work, Py_ssize_t done, Py_ssize_t count, uint8_t** place, const uint8_t* end
) except -1 nogil
cdef Py_ssize_t sign_row_forms(
    RowDifferences differences, Workspace work, Py_ssize_t done, Py_ssize_t count, uint8_t** place, const uint8_t* end
) except -1 nogil


cdef class Batch:
    cdef Template template
    cdef tuple columns
    cdef tuple names
    cdef RowDifferences differences
    cdef list errors       # None to raise at the first bad row
    cdef Workspace work
    cdef list block        # what was read last
    cdef Py_ssize_t start  # its first row
    cdef Py_ssize_t count
    cdef list alive        # until it is signed
    cdef dict refused      # errors of values, by their rows in the block
    cdef int finish(self) except -1
    cdef Batch part(self)
    cdef int append(self, list block, Py_ssize_t start, list result) except -1
    cdef size_t read(self, list block, Py_ssize_t start) except? 0
    cdef size_t row_bound(self, Py_ssize_t i) noexcept
    cdef Py_ssize_t sign(self, Py_ssize_t done, uint8_t** place, const uint8_t* end) except -1
    cdef int check(self) except -1


cdef object text_str(bint is_ascii, Text text)
cdef object key_error(Template template, Fault fault, object key, object index)
cdef bytes put_frame(Frame* frame, list texts)
cdef list in_threads(function, list arguments, int threads)
