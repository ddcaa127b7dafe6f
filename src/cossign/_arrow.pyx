# cython: language_level=3
"""Arrow in and out: columns of keys signed chunk by chunk, by one thread or by several; lines of text as a column.

What reads an array and what keeps the memory of results is C (native/columns).
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.number cimport PyNumber_AsSsize_t
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EINVAL
from libc.stdint cimport INT32_MAX, INT64_MAX, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from cossign._core cimport (
    BLOCK,
    MOST_COLUMNS,
    SHARE,
    Batch,
    RowDifferences,
    Template,
    Workspace,
    in_threads,
    key_error,
    sign_row_forms,
    sign_rows,
    text_of,
    text_str,
)
from cossign._native cimport (
    COLUMN_DIGITS,
    FAULT_BAD_TEMPLATE,
    FAULT_BAD_VALUE,
    FAULT_NONE,
    FAULT_NULL_ROW,
    INTEGERS,
    POOL_LEAST_SLOT,
    POOL_MOST_SLOT,
    POOL_ROW,
    POOL_SLOT,
    QUEUE_PATIENCE,
    SCHEMA_FINE,
    SCHEMA_NOT_INTEGERS,
    SCHEMA_NOT_TEXT,
    SCHEMA_NO_MEMORY,
    SCHEMA_NO_RUN_ENDS,
    SCHEMA_TOO_DEEP,
    TEXT_SLACK,
    ArrowArray,
    ArrowArrayStream,
    ArrowSchema,
    ColumnType,
    Fault,
    LineCounts,
    Pool,
    Queue,
    QueueTask,
    SchemaFault,
    Slot,
    Text,
    column_fault,
    column_free,
    column_new,
    column_read,
    form_text_bound,
    lines_views,
    pool_after_fork,
    pool_close,
    pool_forks,
    pool_new,
    pool_slot,
    queue_add,
    queue_clear,
    queue_finish,
    queue_free,
    queue_help,
    queue_leave,
    queue_new,
    queue_take,
    queue_wait,
    scan_utf8,
    schema_export,
    slot_add,
    slot_compact,
    slot_copy,
    slot_drop,
    slot_export,
    slot_fitting_rows,
    slot_new,
    slot_unused,
)

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from types import GenericAlias

from cossign.errors import ParameterError

cdef extern from "Python.h":
    ctypedef struct PyObject
    ctypedef int (*PendingCall)(void* argument) except -1
    int Py_AddPendingCall(PendingCall function, void* argument) noexcept

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: pool_after_fork())


# --- Arrow in ---------------------------------------------------------------------------------------------------------

cdef str as_text(const char* text):
    """A text of another library, what is not UTF-8 as an escape."""
    return (<bytes>text).decode("utf-8", "backslashreplace") if text != NULL else ""


# What Arrow's formats that are not text hold, by how they begin.
cdef dict KINDS = {
    "b": "of booleans", "e": "of floats", "f": "of floats", "g": "of floats", "d:": "of decimals", "td": "of dates",
    "tt": "of times of day", "ts": "of timestamps", "tD": "of durations", "ti": "of intervals",
    "w:": "of bytes of one size", "+l": "of lists", "+L": "of lists", "+v": "of lists", "+w": "of lists",
    "+m": "of maps", "+u": "of unions", "+s": "a struct or table of several columns: select one",
}


cdef str kind_of(str format):
    """What a column holds, in words."""
    return KINDS.get(format[:2], f"the Arrow type {format!r}")


cdef str wanted_kinds(str parameter):
    if parameter == "expires":
        return "integers (seconds) or of texts such as '15m'"
    return "strings or integers" if parameter.startswith("query[") else "strings"


cdef ColumnType* read_schema(const ArrowSchema* schema, str parameter) except NULL:
    """What a schema says of a column; ParameterError if that is not a column of text."""
    cdef ColumnType* column
    cdef const ArrowSchema* culprit
    cdef SchemaFault fault = column_new(schema, 0, &column, &culprit)
    if fault == SCHEMA_FINE:
        return column
    if fault == SCHEMA_NO_MEMORY:
        raise MemoryError
    if fault == SCHEMA_TOO_DEEP:
        raise ParameterError(parameter, "is nested too deeply: give the column of strings itself")
    if fault == SCHEMA_NO_RUN_ENDS:
        raise ParameterError(parameter, "is a malformed Arrow schema: run ends without a type")
    name = as_text(culprit.format)
    if fault == SCHEMA_NOT_INTEGERS:
        raise ParameterError(parameter, f"is a malformed Arrow schema: {name!r} is not an integer")
    if fault == SCHEMA_NOT_TEXT:
        raise ParameterError(parameter, f"must be a column of {wanted_kinds(parameter)}, not {kind_of(name)}")
    raise ParameterError(parameter, "is a malformed Arrow schema: a child is missing")


cdef class ArrowChunk:
    """An array that was given to us, released when the last job that reads it is done."""

    cdef ArrowArray array

    def __dealloc__(self):
        if self.array.release != NULL:
            self.array.release(&self.array)


cdef class ArrowColumn:
    """A column of text, chunk by chunk: any object with ``__arrow_c_stream__`` or ``__arrow_c_array__``."""

    cdef ArrowArrayStream stream
    cdef ArrowChunk chunk
    cdef int64_t position  # of the next row, in the chunk
    cdef int64_t row       # the same in the column
    cdef ColumnType* type
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
                self.type = read_schema(&schema, parameter)
                self.string_view = schema.format == b"vu"
            finally:
                if schema.release != NULL:
                    schema.release(&schema)
        elif hasattr(source, "__arrow_c_array__"):
            schema_capsule, capsule = source.__arrow_c_array__()
            schema_given = <ArrowSchema*>PyCapsule_GetPointer(schema_capsule, "arrow_schema")
            array_given = <ArrowArray*>PyCapsule_GetPointer(capsule, "arrow_array")
            self.type = read_schema(schema_given, parameter)
            self.string_view = schema_given.format == b"vu"
            self.take(array_given)
            self.ended = True
        else:
            raise ParameterError(
                parameter, f"must have the Arrow PyCapsule interface, which {type(source).__name__} does not have: "
                "give a pyarrow, polars, DuckDB or pandas column"
            )

    def __dealloc__(self):
        column_free(self.type)
        if self.stream.release != NULL:
            self.stream.release(&self.stream)

    cdef int check_text(self) except -1:
        """Refuse integers, which a parameter's value may be, and a key not."""
        cdef const ColumnType* type = self.type
        while type.child != NULL:
            type = type.child
        if type.layout == INTEGERS:
            raise ParameterError(self.parameter, "must be a column of strings, not of integers")
        return 0

    cdef str stream_error(self):
        cdef const char* message = NULL
        if self.stream.get_last_error != NULL:
            message = self.stream.get_last_error(&self.stream)
        return "cannot be read: " + (as_text(message) or "its Arrow stream failed without saying why")

    cdef int take(self, ArrowArray* array) except -1:
        cdef const char* fault
        cdef ArrowChunk chunk = ArrowChunk()
        chunk.array = array[0]
        array.release = NULL
        fault = column_fault(self.type, &chunk.array)
        if fault != NULL:
            raise ParameterError(self.parameter, f"is a malformed Arrow array: {as_text(fault)}", self.row)
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
        without_addresses: called with a block in which a line begins with a scheme and "://"; gives the block that is
            read in its place. None to read it as it is.
        keep_empty: whether empty lines are rows, too.

    Attributes:
        rows: how many lines were given so far.
        lines: how many lines those and the empty ones are.
        blank_ends: how many of the rows end with a blank or a tab.
        inner_crs: how many of the rows have a CR before their end.
        addresses: how many of the rows begin with a scheme and "://".
        failure: the exception that ended `blocks`.
    """

    cdef object blocks
    cdef object without_addresses
    cdef bint keep_empty
    cdef LineCounts counts
    cdef readonly object failure

    def __init__(self, blocks, without_addresses=None, *, bint keep_empty=False):
        self.blocks = iter(blocks)
        self.keep_empty = keep_empty
        self.without_addresses = without_addresses

    @property
    def rows(self) -> int:
        return self.counts.rows

    @property
    def lines(self) -> int:
        return self.counts.lines

    @property
    def blank_ends(self) -> int:
        return self.counts.blank_ends

    @property
    def inner_crs(self) -> int:
        return self.counts.inner_crs

    @property
    def addresses(self) -> int:
        return self.counts.addresses

    def __arrow_c_stream__(self, requested_schema=None):
        return stream_capsule(self, ArrowArrayStream(lines_schema, lines_next, lines_last_error, stream_release, NULL))


cdef int interrupt(void* unused) except -1:
    """Raise KeyboardInterrupt again, after a consumer has hidden it; Python calls this in the main thread."""
    raise KeyboardInterrupt


cdef int lines_schema(ArrowArrayStream* stream, ArrowSchema* schema) noexcept nogil:
    schema_export(schema, "vz")
    return 0


cdef int lines_next(ArrowArrayStream* stream, ArrowArray* array) noexcept with gil:
    cdef Lines lines = <Lines>stream.private_data
    cdef LineCounts counts
    memset(array, 0, sizeof(ArrowArray))
    if lines.failure is not None:
        return EINVAL
    try:
        block = next(lines.blocks, None)
        if block is not None:
            counts = lines.counts
            export_lines(block, array, lines.keep_empty, &lines.counts)
            if lines.without_addresses is not None and lines.counts.addresses > counts.addresses:
                array.release(array)
                lines.counts = counts
                export_lines(lines.without_addresses(block), array, lines.keep_empty, &lines.counts)
    except BaseException as error:
        lines.failure = error
        if isinstance(error, KeyboardInterrupt):
            Py_AddPendingCall(interrupt, NULL)
        return EINVAL
    return 0


cdef const char* lines_last_error(ArrowArrayStream* stream) noexcept nogil:
    return "the lines cannot be read"


cdef int export_lines(bytes data, ArrowArray* array, bint keep_empty, LineCounts* counts) except -1:
    """The lines of a block where they are."""
    cdef Text text = text_of(data)
    cdef int64_t rows = counts.rows
    cdef LineBlock* block
    if text.size > INT32_MAX:
        raise ValueError("a block of lines is larger than 2 GiB")
    block = <LineBlock*>PyMem_RawMalloc(sizeof(LineBlock))
    if block == NULL:
        raise MemoryError
    block.views = lines_views(text, keep_empty, counts)
    if block.views == NULL:
        PyMem_RawFree(block)
        raise MemoryError
    block.size = <int64_t>text.size
    block.data = <PyObject*>data
    Py_INCREF(data)
    block.buffers = [NULL, block.views, text.data, &block.size]
    array.length = counts.rows - rows
    array.n_buffers = 4
    array.buffers = block.buffers
    array.private_data = block
    array.release = release_lines
    return 0


cdef void release_lines(ArrowArray* array) noexcept with gil:
    cdef LineBlock* block = <LineBlock*>array.private_data
    Py_DECREF(<object>block.data)
    free(block.views)
    PyMem_RawFree(block)
    array.release = NULL


# --- Arrow out --------------------------------------------------------------------------------------------------------

cdef class Memory:
    """The pool of a `SignedColumn`'s chunks; one for several, if they are read one after the other.

    Args:
        idle: of what nobody reads, so many bytes stay in memory.
        chunk: bytes of a chunk; more than the default where what reads pays for each.
    """

    cdef Pool* pool

    def __cinit__(self, size_t idle=1 << 24, size_t chunk=POOL_SLOT):
        if not POOL_LEAST_SLOT <= chunk <= POOL_MOST_SLOT:
            raise ValueError(f"a chunk has {POOL_LEAST_SLOT} to {POOL_MOST_SLOT} bytes")
        self.pool = pool_new(chunk, idle // chunk)
        if self.pool == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.pool != NULL:
            pool_close(self.pool)


# A column's rows from `position` on.
cdef struct Slice:
    const ColumnType* type
    const ArrowArray* array
    int64_t position


# What becomes of rows that are signed together: threads work on it without Python's lock.
cdef struct Task:
    QueueTask turn
    PyObject* share   # which it belongs to
    Slice* slices     # one of every column
    int64_t row       # the next one, in the whole
    int64_t left      # rows
    Slot* signed      # in order; theirs are Slot.next
    Slot* last
    Slot* open        # the one that is being filled
    bint views        # instead of offsets


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
            self.task.slices[i] = Slice(column.type, &column.chunk.array, column.position)

    def __dealloc__(self):
        while self.task.signed != NULL:
            slot_drop(taken_slot(&self.task))
        if self.task.open != NULL:
            slot_drop(self.task.open)
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
    cdef RowDifferences differences
    cdef int threads
    cdef Memory memory
    cdef object first  # a stream that was opened to check its type
    cdef readonly list errors
    cdef bint keep_errors
    cdef bint as_keys  # string views for keys that are
    cdef bint views    # the result is, instead of strings

    def __init__(
        self, Template template not None, keys, tuple sources not None, tuple names not None,
        RowDifferences differences not None, *, bint keep_errors, int threads, Memory memory=None, bint as_keys=False,
    ):
        if not <Py_ssize_t>template.form.columns + differences.columns == len(sources) == len(names) <= MOST_COLUMNS:
            raise ValueError("the template has other columns than were given")
        self.memory = memory
        self.template = template
        self.differences = differences
        self.keys = keys
        self.sources = sources
        self.names = names
        self.threads = threads
        self.keep_errors = keep_errors
        self.as_keys = as_keys
        self.first = self.opened()

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
    schema_export(schema, "vu" if views else "u")
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
    schema_export(schema, "vu" if (<SigningStream>stream.private_data).whole.views else "u")
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
    cdef Workspace work   # of the reader
    cdef bytes message
    cdef bint ended
    # several threads: they and the reader take tasks in turn
    cdef object ahead              # a deque of Shares, in order
    cdef int64_t most              # rows of the next one: they should just fit into one slot
    cdef Queue* queue
    cdef uint64_t forks            # when they were begun

    def __cinit__(self, SignedColumn whole not None, list columns not None):
        if not columns:
            raise ValueError("give a column of keys")
        self.whole = whole
        self.columns = columns
        self.memory = Memory() if whole.memory is None else whole.memory
        self.most = <int64_t>(pool_slot(self.memory.pool) // POOL_ROW // 4)

    def __dealloc__(self):
        queue_free(self.queue)

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
        slot_export(taken_slot(&share.task), array)
        return 0

    cdef int next_of_threads(self, ArrowArray* array) except -1:
        """The same: the reader is one of the threads, and signs what no other has begun rather than wait."""
        cdef Share share
        cdef Task* task
        if self.ahead is None:
            from collections import deque

            self.forks = pool_forks()
            self.queue = queue_new(self.whole.threads - 1)
            if self.queue == NULL:
                raise MemoryError
            self.ahead = deque()
        if self.forks != pool_forks():
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
        while not queue_wait(self.queue, &share.task.turn, 0):
            task = <Task*>queue_help(self.queue)
            if task != NULL:
                sign_tasks(self, task, self.work)
            else:
                with nogil:
                    queue_wait(self.queue, &share.task.turn, QUEUE_PATIENCE)
        if share.failure is not None:
            queue_clear(self.queue)
            raise share.failure
        if share.task.signed == share.task.last and not share.task.last.single:
            self.most = slot_fitting_rows(share.task.last)
        self.hand_out(share, array)
        if share.task.signed == NULL:
            self.ahead.popleft()
        return 0

    cdef int offer(self, Task* task) except -1:
        """Let any thread take a task; there is one more thread if all have something to do."""
        if queue_add(self.queue, &task.turn):
            from threading import Thread

            try:
                Thread(target=sign_ahead, args=(self,), name="cossign").start()
            except BaseException as error:
                queue_leave(self.queue)
                if not isinstance(error, RuntimeError):  # no more threads to be had: the reader signs, too
                    raise
        return 0


def sign_ahead(SigningStream stream not None):
    """A thread's work: tasks, until there is none for a while. It takes them without Python's lock."""
    cdef Workspace work = Workspace(len(stream.columns) - 1)
    while sign_tasks(stream, NULL, work):
        pass


cdef bint sign_tasks(SigningStream stream, Task* task, Workspace work) except -1:
    """Sign all of a task; without one, all that can be had. An error is kept until its turn comes; Ctrl-C is raised at
    once.

    Returns:
        Whether an error ended it.
    """
    cdef SignedColumn whole = stream.whole
    cdef Template template = whole.template
    cdef bint is_one = task != NULL
    try:
        with nogil:
            while True:
                if not is_one:
                    task = <Task*>queue_take(stream.queue, QUEUE_PATIENCE)
                    if task == NULL:
                        break
                while task.left:
                    sign_slot(whole, template, stream.memory.pool, task, work)
                queue_finish(stream.queue, &task.turn)
                if is_one:
                    break
    except BaseException as error:
        (<Share>task.share).failure = error
        queue_finish(stream.queue, &task.turn)
        if not isinstance(error, Exception):
            raise
        return True
    return False


cdef class ReadyChunk:
    """A chunk of results, to be taken once by ``__arrow_c_array__``."""

    cdef Slot* slot
    cdef int views  # memoryviews of it

    def __len__(self):
        return 0 if self.slot == NULL else self.slot.rows

    def __dealloc__(self):
        if self.slot != NULL:
            slot_drop(self.slot)

    @property
    def null_count(self):
        return 0 if self.slot == NULL else self.slot.nulls

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        """The rows' texts, one after the other."""
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
            raise TypeError("a chunk of string views has no lines")
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
        slot_export(self.slot, array)
        self.slot = NULL


# --- Lists ------------------------------------------------------------------------------------------------------------

@cython.collection_type("sequence")
cdef class PackedUrls:
    """The URLs of `Signer.presign_packed`: a sequence of str, in the order of the keys.

    All URLs are signed at once and lie one after the other in memory. Each access makes a str. A slice is a list, and
    pickling makes a list.

    Attributes:
        errors: with ``on_error="null"``, ``(index, reason)`` of each bad row. Its URL is None.
    """

    cdef bint is_ascii
    cdef Memory memory
    cdef list chunks  # ReadyChunks
    cdef list firsts  # the first row of each
    cdef Py_ssize_t rows
    cdef readonly list errors

    __class_getitem__ = classmethod(GenericAlias)
    index = Sequence.index
    count = Sequence.count

    def __cinit__(self, bint is_ascii, Memory memory not None):
        self.is_ascii = is_ascii
        self.memory = memory
        self.chunks = []
        self.firsts = []
        self.errors = []

    cdef int add(self, Batch batch, list block, Py_ssize_t start) except -1:
        """Sign a block's keys. The first of them is row `start` of the whole."""
        cdef Workspace work = batch.work
        cdef Slot* slot = (<ReadyChunk>self.chunks[-1]).slot if self.chunks else NULL
        cdef Py_ssize_t done = 0
        cdef Py_ssize_t end
        cdef size_t bound
        cdef uint8_t* out
        batch.read(block, start)
        while done < batch.count:
            if slot == NULL or slot.most - slot.rows < batch.count - done:
                slot = self.next_slot(0)
            out = slot.data + slot.data_size
            end = batch.sign(done, &out, <uint8_t*>slot + slot.size)
            if end > done:
                slot_add(slot, &work.faults[done], &work.texts[done], <size_t>(end - done))
                self.rows += end - done
                done = end
            elif slot.rows:
                slot = NULL
            else:  # a row larger than a slot
                bound = batch.row_bound(done)
                if slot.single or bound > INT32_MAX:
                    raise MemoryError(f"row {start + done}: its URL does not fit into memory")
                self.drop_last()
                slot = self.next_slot(bound)
        return batch.check()

    cdef Slot* next_slot(self, size_t single) except NULL:
        """A new chunk's memory; with `single`, its own, with so many bytes for texts."""
        cdef size_t rows = BLOCK if single else max(<size_t>BLOCK, pool_slot(self.memory.pool) // POOL_ROW)
        return self.append(slot_new(self.memory.pool, single, rows, False))

    cdef Slot* append(self, Slot* slot) except NULL:
        """Add a chunk, whose first row is the next one."""
        cdef ReadyChunk chunk = ReadyChunk()
        if slot == NULL:
            raise MemoryError
        chunk.slot = slot
        self.chunks.append(chunk)
        self.firsts.append(self.rows)
        return slot

    cdef int drop_last(self) except -1:
        self.chunks.pop()
        self.firsts.pop()
        return 0

    cdef int trim(self, bint is_own) except -1:
        """Put the last chunk into memory of its own size, if it wastes much for each row of the whole. `is_own`: nobody
        else uses the memory, so that it is freed with its only chunk."""
        cdef ReadyChunk last = self.chunks[-1] if self.chunks else None
        cdef Memory memory = self.memory
        cdef Slot* copy
        if last is None or last.slot.single or slot_unused(last.slot) <= <size_t>self.rows * POOL_ROW:
            return 0
        if is_own and len(self.chunks) == 1:
            memory = Memory()
        copy = slot_copy(memory.pool, last.slot)
        if copy != NULL:
            slot_drop(last.slot)
            last.slot = copy
            self.memory = memory
        return 0

    cdef int extend(self, PackedUrls part) except -1:
        self.firsts += [self.rows + first for first in part.firsts]
        self.chunks += part.chunks
        self.rows += part.rows
        return 0

    def __len__(self):
        return self.rows

    def __iter__(self):
        return PackedIterator(self)

    def __getitem__(self, index):
        cdef Py_ssize_t row, chunk
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(self.rows))]
        row = PyNumber_AsSsize_t(index, IndexError)
        row += self.rows if row < 0 else 0
        if not 0 <= row < self.rows:
            raise IndexError(f"there are {self.rows} URLs, and none has the index {index}")
        chunk = bisect_right(self.firsts, row) - 1
        return slot_str(self.is_ascii, (<ReadyChunk>self.chunks[chunk]).slot, row - <Py_ssize_t>self.firsts[chunk])

    def __repr__(self):
        return f"<PackedUrls: {self.rows} URLs>"

    def __reduce__(self):
        return list, (list(self),)


cdef class PackedIterator:
    """One pass over PackedUrls."""

    cdef PackedUrls urls
    cdef Py_ssize_t next_chunk
    cdef ReadyChunk chunk
    cdef int64_t row  # the next one of the chunk

    def __cinit__(self, PackedUrls urls not None):
        self.urls = urls

    def __iter__(self):
        return self

    def __next__(self):
        while self.chunk is None or self.row == self.chunk.slot.rows:
            if self.next_chunk == len(self.urls.chunks):
                raise StopIteration
            self.chunk = self.urls.chunks[self.next_chunk]
            self.next_chunk += 1
            self.row = 0
        self.row += 1
        return slot_str(self.urls.is_ascii, self.chunk.slot, self.row - 1)


cdef object slot_str(bint is_ascii, const Slot* slot, int64_t row):
    """A row of a slot with offsets as a str; None for a null."""
    if slot.nulls and not slot.valid[row >> 3] >> (row & 7) & 1:
        return None
    return text_str(
        is_ascii, Text(slot.data + slot.offsets[row], <size_t>(slot.offsets[row + 1] - slot.offsets[row]))
    )


def pack_many(
    Template template not None, keys, tuple columns not None, tuple names not None, list errors, int threads=1,
    RowDifferences differences=None, *, Memory memory=None,
):
    """As `_core.sign_many`, into memory.

    Args:
        memory: where the URLs lie; None for memory of their own.

    Returns:
        The PackedUrls.
    """
    cdef PackedUrls urls = PackedUrls(template.is_ascii, Memory() if memory is None else memory)
    cdef Batch batch = Batch(template, columns, names, differences, errors)
    cdef list block
    if threads > 1:
        keys = keys if isinstance(keys, list) else list(keys)
        shares = [(batch, urls.memory, keys, start) for start in range(0, len(keys), SHARE)]
        for part, bad_rows in in_threads(_pack_share, shares, threads):
            urls.extend(part)
            if bad_rows:
                errors += bad_rows
    else:
        iterator = iter(keys)
        while block := list(islice(iterator, BLOCK)):
            urls.add(batch, block, urls.rows)
            PyErr_CheckSignals()
    batch.finish()
    urls.trim(memory is None)
    urls.errors = [] if errors is None else errors
    return urls


def _pack_share(Batch batch not None, Memory memory not None, list keys not None, Py_ssize_t start):
    cdef PackedUrls part = PackedUrls(batch.template.is_ascii, memory)
    cdef Py_ssize_t i
    batch = batch.part()
    for i in range(start, min(start + SHARE, len(keys)), BLOCK):
        part.add(batch, keys[i:i + BLOCK], i)
    return part, batch.errors


# --- Columns, in C ----------------------------------------------------------------------------------------------------

cdef object arrow_error(SignedColumn whole, Workspace work, Py_ssize_t i, int64_t row):
    """The error for a row that cannot be signed."""
    cdef Py_ssize_t column
    cdef const Text* value
    if work.faults[i] == FAULT_BAD_TEMPLATE:
        error = whole.differences.template_of(work, i)
        return type(error)(error.parameter, error.reason, row)
    if work.faults[i] == FAULT_BAD_VALUE:
        for column in range(work.width):
            value = &work.values[i * work.width + column]
            if not scan_utf8(value.data, value.size):
                return ParameterError(whole.names[column], "is not valid UTF-8", row)
    return key_error(whole.template, work.faults[i], None, row)


cdef size_t row_bound(SignedColumn whole, Template template, Workspace work) except? 0 nogil:
    """The most bytes of the first row's URL, by the row's own template."""
    if whole.differences.columns or has_nulls(work, 1):
        with gil:
            result = whole.differences.template_of(work, 0)
            if isinstance(result, Template):
                template = result
    return form_text_bound(&template.form, work.keys[0], work.values) + TEXT_SLACK


cdef int sign_slot(SignedColumn whole, Template template, Pool* pool, Task* task, Workspace work) except -1 nogil:
    """Sign as many rows of a task as fit into one slot."""
    cdef size_t bound
    cdef size_t row_size = template.form.text_size + (17 if task.views else 5)  # with its offset or view, and validity
    # at least one row is read, so that a row larger than a slot is known
    task.open = slot_new(
        pool, 0, max(<size_t>1, min(pool_slot(pool) // POOL_ROW, pool_slot(pool) // row_size)), task.views
    )
    if task.open == NULL:
        with gil:
            raise MemoryError
    fill_slot(whole, template, task, work, task.open)
    if task.open.rows == 0:  # a row larger than a slot
        bound = row_bound(whole, template, work)
        slot_drop(task.open)
        task.open = slot_new(pool, bound, 1, task.views) if bound < INT32_MAX else NULL
        if task.open == NULL:
            with gil:
                raise MemoryError(f"row {task.row}: its URL does not fit into memory")
        fill_slot(whole, template, task, work, task.open)
        if task.open.rows == 0:
            with gil:
                raise MemoryError(f"row {task.row}: its URL does not fit into the memory that it was given")
    task.open = slot_compact(task.open)
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
            fault = column_read(
                slices[column].type, slices[column].array, slices[column].position, count,
                &work.keys[0] if column == 0 else &work.values[column - 1], width if column else 1,
                work.digits + column * BLOCK * COLUMN_DIGITS,
            )
            if fault != NULL:
                with gil:
                    raise ParameterError(
                        (<ArrowColumn>(<Share>task.share).columns[column]).parameter,
                        f"is a malformed Arrow array: {as_text(fault)}",
                        task.row,
                    )
        memset(work.faults, FAULT_NONE, <size_t>count * sizeof(Fault))
        missing = 0
        for i in range(count):
            missing |= work.keys[i].data == NULL
        for i in range(count if missing else 0):
            if work.keys[i].data == NULL:
                work.faults[i] = FAULT_NULL_ROW
        for i in range(count if width else 0):
            for column in range(width):
                value = &work.values[i * width + column]
                if work.faults[i] == FAULT_NONE and not scan_utf8(value.data, value.size):
                    work.faults[i] = FAULT_BAD_VALUE
        out = slot.data + slot.data_size
        if whole.differences.columns or (width and has_nulls(work, count)):
            done = sign_row_forms(whole.differences, work, 0, count, &out, <uint8_t*>slot + slot.size)
        else:
            done = sign_rows(template, work, 0, count, &out, <uint8_t*>slot + slot.size)
        faults = 0
        for i in range(done):
            faults |= work.faults[i]
        slot_add(slot, work.faults if faults else NULL, work.texts, done)
        if faults > FAULT_NULL_ROW:
            with gil:
                report(whole, task, work, done)
        task.left -= done
        task.row += done
        for column in range(width + 1):
            slices[column].position += done
        if done < count or slot.single:
            break
    return 0


cdef bint has_nulls(Workspace work, Py_ssize_t count) noexcept nogil:
    """Whether a value of the first `count` rows is null."""
    cdef Py_ssize_t i
    cdef bint has_null = False
    for i in range(count * work.width):
        has_null |= work.values[i].data == NULL
    return has_null


cdef int report(SignedColumn whole, Task* task, Workspace work, Py_ssize_t done) except -1:
    """Raise the error of the first row that cannot be signed, or keep those of all."""
    cdef Py_ssize_t i
    for i in range(done):
        if work.faults[i] in (FAULT_NONE, FAULT_NULL_ROW):
            continue
        error = arrow_error(whole, work, i, task.row + i)
        if not whole.keep_errors:
            raise error
        mine = error.parameter == whole.template.parameter
        (<Share>task.share).errors.append((task.row + i, error.reason if mine else f"{error.parameter} {error.reason}"))
    return 0
