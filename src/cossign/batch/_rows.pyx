# cython: language_level=3
"""Rows of CSV and JSON lines read as columns, and columns written as rows of text; what texts of a column are like.

What reads and writes a row is C (native/columns). A column is given as Arrow's binary arrays hold it.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from cossign._native cimport (
    OBJECTS_MOST_COLUMNS,
    ROWS_ODD,
    TEXT_SLACK,
    FieldsForm,
    JoinForm,
    JoinPiece,
    LineCounts,
    ObjectsColumn,
    ObjectsForm,
    ObjectsKind,
    RowsCounts,
    RowsStop,
    Text,
    TextColumn,
    csv_whole_rows,
    fields_read,
    join_bound,
    join_rows,
    objects_read,
    put_decoded,
    texts_counts,
)

cdef enum:
    MOST_ROWS = 1 << 16  # that are read at a time
    JOIN_ROOM = 1 << 18  # bytes of text that are written at a time: they stay in the second cache

SLACK = TEXT_SLACK  # bytes that must follow a block


cdef Text text_of(bytes data):
    cdef Text text
    text.data = <const uint8_t*>PyBytes_AS_STRING(data)
    text.size = <size_t>PyBytes_GET_SIZE(data)
    return text


cdef Text slice_of(Py_buffer* buffer, Py_ssize_t start, Py_ssize_t end) except *:
    """A part of a buffer that has TEXT_SLACK bytes after it."""
    if not 0 <= start <= end <= buffer.len - TEXT_SLACK or end - start > INT32_MAX:
        raise ValueError("the block lies outside of its buffer")
    cdef Text text
    text.data = <const uint8_t*>buffer.buf + start
    text.size = <size_t>(end - start)
    return text


cdef class Reader:
    """Rows of text read into columns, until they are taken.

    Attributes:
        rows: how many rows were read and not taken.
        size: how many bytes these take.
    """

    cdef TextColumn* columns
    cdef int count
    cdef bint has_nulls
    cdef RowsCounts counts

    cdef int make(self, Py_ssize_t count, bint has_nulls) except -1:
        """Make empty columns."""
        cdef Py_ssize_t i
        if self.columns != NULL:
            raise ValueError("a reader is made once")
        self.columns = <TextColumn*>malloc(<size_t>count * sizeof(TextColumn))
        if self.columns == NULL:
            raise MemoryError
        memset(self.columns, 0, <size_t>count * sizeof(TextColumn))
        self.count = <int>count
        self.has_nulls = has_nulls
        for i in range(count):
            self.columns[i].places = MOST_ROWS + 1
            self.columns[i].offsets = <int32_t*>malloc((MOST_ROWS + 1) * sizeof(int32_t))
            self.columns[i].valid = <uint8_t*>malloc(MOST_ROWS // 8) if has_nulls else NULL
            if self.columns[i].offsets == NULL or (has_nulls and self.columns[i].valid == NULL):
                raise MemoryError
            self.columns[i].offsets[0] = 0
        return 0

    cdef int make_room(self, size_t size) except -1:
        """Give each column room for so many bytes after its rows."""
        cdef int i
        cdef TextColumn* column
        cdef uint8_t* data
        cdef size_t room
        for i in range(self.count):
            column = &self.columns[i]
            room = <size_t>column.offsets[self.counts.rows] + size
            if room > INT32_MAX:
                raise OverflowError("a column holds more than 2 GiB")
            if column.room < room:
                data = <uint8_t*>realloc(column.data, room + TEXT_SLACK)
                if data == NULL:
                    raise MemoryError
                column.data = data
                column.room = room
        return 0

    cdef RowsStop read_text(self, Text text, bint is_last) noexcept nogil:
        return ROWS_ODD

    @property
    def rows(self) -> int:
        return self.counts.rows

    @property
    def size(self) -> int:
        cdef int i
        cdef int64_t size = 4 * self.counts.rows * self.count
        for i in range(self.count):
            size += self.columns[i].offsets[self.counts.rows]
        return size

    def read(self, block, Py_ssize_t start, Py_ssize_t end, bint is_last=True, /) -> tuple[int, bool]:
        """Read whole rows into the columns, after those that are there.

        Args:
            block: a buffer with SLACK bytes after `end`.
            start, end: where the rows lie in it.
            is_last: whether the end of the block ends a row, too.

        Returns:
            How many bytes were read, and whether the next row is odd.
        """
        cdef Py_buffer buffer
        cdef Text text
        cdef RowsStop stop
        PyObject_GetBuffer(block, &buffer, PyBUF_SIMPLE)
        try:
            text = slice_of(&buffer, start, end)
            self.make_room(text.size)
            with nogil:
                stop = self.read_text(text, is_last)
        finally:
            PyBuffer_Release(&buffer)
        return self.counts.size, stop == ROWS_ODD

    def take(self) -> tuple[int, list, dict[str, int]]:
        """What was read since the last time, which is forgotten then.

        Returns:
            How many rows, their columns as (validity or None, offsets, data), and how many empty lines were left out and
            how many percent-encoded texts hold a plus sign.
        """
        cdef int i
        cdef TextColumn* column
        cdef int64_t rows = self.counts.rows
        columns = []
        for i in range(self.count):
            column = &self.columns[i]
            columns.append((
                PyBytes_FromStringAndSize(<char*>column.valid, (rows + 7) // 8) if self.has_nulls else None,
                PyBytes_FromStringAndSize(<char*>column.offsets, 4 * (rows + 1)),
                PyBytes_FromStringAndSize(<char*>column.data, column.offsets[rows]),
            ))
        counts = {"empty_lines": self.counts.empty_lines, "plus_signs": self.counts.plus_signs}
        memset(&self.counts, 0, sizeof(RowsCounts))
        return rows, columns, counts

    def __dealloc__(self):
        cdef int i
        if self.columns != NULL:
            for i in range(self.count):
                free(self.columns[i].data)
                free(self.columns[i].offsets)
                free(self.columns[i].valid)
            free(self.columns)


cdef class Fields(Reader):
    """Fields of CSV as columns.

    A row is odd if it has another number of fields, a lone CR, quotes that are not closed, or a text that is not UTF-8.

    Args:
        places: for each field of a row the column that it goes to, or -1; each column has one.
        count: how many columns there are.
        raw: the column that may hold bytes that are not UTF-8.
        delimiter: the byte between fields.
        is_encoded: whether the texts of that column are percent-encoded; they are decoded.

    >>> fields = Fields([0, -1], 1, 0, b",")
    >>> block = b"a,1\\n\\nb,2\\nc\\n"
    >>> fields.read(block + bytes(SLACK), 0, len(block), False)
    (9, True)
    >>> fields.take()[1:]
    ([(None, b'\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x02\\x00\\x00\\x00', b'ab')], {'empty_lines': 1, 'plus_signs': 0})
    """

    cdef FieldsForm form
    cdef int32_t* places

    def __init__(self, places, Py_ssize_t count, Py_ssize_t raw, bytes delimiter not None, *, bint is_encoded=False):
        cdef Py_ssize_t i
        if not 0 <= raw < count or len(delimiter) != 1:
            raise ValueError("Fields need places, a column, and a delimiter of one byte")
        if sorted(place for place in places if place != -1) != list(range(count)):
            raise ValueError("each column has one place")
        self.make(count, False)
        self.places = <int32_t*>malloc(<size_t>len(places) * sizeof(int32_t))
        if self.places == NULL:
            raise MemoryError
        for i in range(len(places)):
            self.places[i] = places[i]
        self.form = FieldsForm(
            self.places, <int32_t>len(places), <int32_t>count, <int32_t>raw, delimiter[0], is_encoded
        )

    def __dealloc__(self):
        free(self.places)

    cdef RowsStop read_text(self, Text text, bint is_last) noexcept nogil:
        return fields_read(&self.form, text, is_last, self.columns, &self.counts)


cdef class Objects(Reader):
    """Fields of JSON lines as columns, null where a row lacks the field.

    A line is odd if it is not an object, or has a field of another kind, or one twice.

    Args:
        names: the fields' names.
        kinds: for each what its values are: "text", or "number" (an integer among them of 15 characters at most),
            "integer" (of 18 characters at most) or "boolean", which are given as they are written.
        needed: the field that every row must have.
        is_strict: whether a row may have no other fields.

    >>> objects = Objects(["key"], ["text"], "key")
    >>> block = b'{"size": [1], "key": "a\\\\n"}\\n{"key": 1}\\n'
    >>> objects.read(block + bytes(SLACK), 0, len(block))
    (28, True)
    >>> objects.take()[:2]
    (1, [(b'\\x01', b'\\x00\\x00\\x00\\x00\\x02\\x00\\x00\\x00', b'a\\n')])
    """

    cdef ObjectsForm form
    cdef list names
    cdef ObjectsColumn fields[OBJECTS_MOST_COLUMNS]

    MOST = OBJECTS_MOST_COLUMNS

    def __init__(self, names, kinds, str needed not None, *, bint is_strict=False):
        cdef Py_ssize_t i
        if not 0 < len(names) <= OBJECTS_MOST_COLUMNS or len(kinds) != len(names):
            raise ValueError(f"Objects have 1 to {OBJECTS_MOST_COLUMNS} columns")
        self.make(len(names), True)
        self.names = [name.encode() for name in names]
        for i in range(len(names)):
            self.fields[i].name = text_of(self.names[i])
            self.fields[i].kind = <ObjectsKind><int>("text", "number", "integer", "boolean").index(kinds[i])
            self.fields[i].is_needed = names[i] == needed
        self.form = ObjectsForm(&self.fields[0], <int32_t>len(names), is_strict)

    cdef RowsStop read_text(self, Text text, bint is_last) noexcept nogil:
        return objects_read(&self.form, text, self.columns, &self.counts)


cdef class Views:
    """Buffers that are held while C reads them."""

    cdef Py_buffer* buffers
    cdef Py_ssize_t count
    cdef Py_ssize_t most

    def __cinit__(self, Py_ssize_t most):
        self.most = most
        self.buffers = <Py_buffer*>malloc(<size_t>max(most, 1) * sizeof(Py_buffer))
        if self.buffers == NULL:
            raise MemoryError

    cdef Py_buffer* add(self, data) except NULL:
        assert self.count < self.most
        PyObject_GetBuffer(data, &self.buffers[self.count], PyBUF_SIMPLE)
        self.count += 1
        return &self.buffers[self.count - 1]

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            PyBuffer_Release(&self.buffers[i])
        free(self.buffers)


cdef int check_offsets(const int32_t* offsets, int64_t rows, Py_ssize_t size) except -1:
    """Refuse offsets that do not ascend from 0 to `size` at most."""
    cdef int64_t i
    cdef bint fine = offsets[0] >= 0 and offsets[rows] <= size
    with nogil:
        for i in range(rows):
            fine &= offsets[i] <= offsets[i + 1]
    if not fine:
        raise ValueError("the offsets lie outside of the data")
    return 0


cdef class Join:
    """Writes rows of columns as text.

    Args:
        write: is called with a buffer of text, which is used again.
        pieces: what each row has: for each column the bytes before it and its form, which is "plain", "csv", "json", "url"
            (JSON that needs no escape) or "value" (a number of JSON); last the bytes at the end.
    """

    cdef object write
    cdef list starts
    cdef list forms
    cdef bytes end
    cdef bytearray out

    def __init__(self, write, pieces, bytes end not None):
        self.write = write
        self.starts = [before for before, _ in pieces]
        self.forms = [("plain", "csv", "json", "url", "value").index(form) for _, form in pieces]
        self.end = end
        self.out = bytearray(JOIN_ROOM)

    def rows(self, columns, int64_t rows, /) -> None:
        """Write some rows.

        Args:
            columns: for each piece the validity's bits or None, the first one's place, the offsets, and the data.
            rows: how many there are.

        >>> import array, io
        >>> out = io.BytesIO()
        >>> offsets = array.array("i", [0, 3, 4])
        >>> Join(out.write, [(b"key: ", "csv")], b";").rows([(None, 0, offsets, b"a,bc")], 2)
        >>> out.getvalue()
        b'key: "a,b";key: c;'
        """
        cdef Py_ssize_t i, count = len(self.starts)
        cdef Views views = Views(3 * count)
        cdef Py_buffer* buffer
        cdef Py_buffer out
        cdef JoinPiece* pieces
        cdef int64_t row = 0, before = 0
        cdef size_t size
        if len(columns) != count or rows < 0:
            raise ValueError("give a column for each piece")
        pieces = <JoinPiece*>malloc(<size_t>(count + 1) * sizeof(JoinPiece))
        if pieces == NULL:
            raise MemoryError
        try:
            memset(pieces, 0, <size_t>(count + 1) * sizeof(JoinPiece))
            for i in range(count):
                valid, first_bit, offsets, data = columns[i]
                pieces[i].before = text_of(self.starts[i])
                pieces[i].form = <JoinForm><int>self.forms[i]
                buffer = views.add(offsets)
                if buffer.len < 4 * (rows + 1):
                    raise ValueError("a column has too few offsets")
                pieces[i].offsets = <const int32_t*>buffer.buf
                buffer = views.add(data)
                pieces[i].data = <const uint8_t*>buffer.buf
                check_offsets(pieces[i].offsets, rows, buffer.len)
                if valid is not None:
                    buffer = views.add(valid)
                    if first_bit < 0 or buffer.len < (first_bit + rows + 7) // 8:
                        raise ValueError("a column has too few bits of validity")
                    pieces[i].valid = <const uint8_t*>buffer.buf
                    pieces[i].first_bit = first_bit
            pieces[count].before = text_of(self.end)
            while row < rows:
                before = row
                PyObject_GetBuffer(self.out, &out, PyBUF_WRITABLE)
                try:
                    with nogil:
                        size = join_rows(pieces, <int>count + 1, &row, rows, <uint8_t*>out.buf, <size_t>out.len)
                finally:
                    PyBuffer_Release(&out)
                if row == before:  # a row that is longer than all that were before
                    self.out = bytearray(join_bound(pieces, <int>count + 1, row))
                    continue
                with memoryview(self.out) as view, view[:size] as text:
                    self.write(text)
        finally:
            free(pieces)


def decode_column(data, offsets, /) -> tuple[bytes, bytes]:
    """Percent-decode a column of texts, given and returned as Arrow's binary arrays hold them.

    Args:
        data: a buffer: the texts, one after the other.
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


def text_counts(data, offsets, /) -> tuple[int, int, int]:
    """What a column of texts is like: how many end with a blank, hold a CR, begin with a scheme and "://".

    Args:
        data, offsets: as in `decode_column`.

    >>> import array
    >>> text_counts(b"a b cos://b/k", array.array("i", [0, 2, 4, 13]))
    (2, 0, 1)
    """
    cdef Py_buffer texts, places
    cdef LineCounts counts
    cdef bint fine
    memset(&counts, 0, sizeof(LineCounts))
    PyObject_GetBuffer(data, &texts, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(offsets, &places, PyBUF_SIMPLE)
        try:
            with nogil:
                fine = texts_counts(
                    <const uint8_t*>texts.buf, texts.len, <const int32_t*>places.buf, places.len // 4 - 1, &counts
                )
        finally:
            PyBuffer_Release(&places)
    finally:
        PyBuffer_Release(&texts)
    if not fine:
        raise ValueError("the offsets lie outside of the data")
    return counts.blank_ends, counts.inner_crs, counts.addresses


def records_end(bytes block not None, bytes delimiter=b",", /) -> int:
    """How many bytes of a block of CSV are whole rows, whose quoted fields may hold line ends.

    `delimiter` is the byte between fields.

    Source: RFC 4180. As in Python's csv and in pyarrow, a quote that does not begin a field is a character of it.

    >>> records_end(b'a,1\\n"b\\n')
    4
    """
    cdef Text text = text_of(block)
    cdef uint8_t between = delimiter[0]
    cdef size_t size
    with nogil:
        size = csv_whole_rows(text, between)
    return size
