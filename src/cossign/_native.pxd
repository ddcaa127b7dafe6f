"""The C of native/ as Cython sees it; each header says what its functions promise."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "text/text.h" nogil:
    enum:
        TEXT_SLACK
    ctypedef struct Text:
        const uint8_t* data
        size_t size
    void text_soon(const void* text, size_t size) noexcept
    uint8_t* put_exact(uint8_t* out, const uint8_t* text, size_t size) noexcept
    size_t put_number(uint8_t* out, uint64_t number) noexcept

cdef extern from "text/scan.h" nogil:
    bint scan_utf8(const uint8_t* data, size_t size) noexcept

cdef extern from "text/escape.h" nogil:
    enum:
        COMPONENT
        PATH
    uint8_t* put_encoded(uint8_t* out, Text text, int where) noexcept
    bint needs_no_escape(Text text, int where) noexcept
    uint8_t* put_decoded(uint8_t* out, Text text, bint plus_is_space) noexcept
    int escaped_byte(Text text) noexcept

cdef extern from "text/names.h" nogil:
    ctypedef enum Fault:
        FAULT_NONE
        FAULT_NULL_ROW
        FAULT_NOT_A_STR
        FAULT_SURROGATE
        FAULT_NOT_UTF8
        FAULT_MISSING
        FAULT_EMPTY
        FAULT_TOO_LONG
        FAULT_LEADING
        FAULT_CONTROL
        FAULT_DOT_SEGMENT
        FAULT_BAD_VALUE
        FAULT_BAD_TEMPLATE

cdef extern from "sha1/sha1.h" nogil:
    enum:
        SHA1_BLOCK
        SHA1_HEX
        SHA1_TILE
    ctypedef struct sha1_key:
        uint32_t head_size
    void put_hex(uint8_t* out, const uint8_t* digest) noexcept
    ctypedef void sha1_compressor(uint32_t (*states)[5], const uint8_t** blocks, size_t streams) noexcept
    ctypedef struct sha1_row:
        const uint8_t* http
        size_t size
        uint8_t* hole

cdef extern from "text/frame.h" nogil:
    enum:
        FRAME_SLACK
    ctypedef struct Frame:
        Text[2] http
        Text[3] text
        int escapes
    ctypedef struct Space:
        uint8_t* http
        uint8_t* out
        const uint8_t* end
    ctypedef size_t frame_layer(
        const Frame* frame, const Text* keys, size_t count, Space* space, sha1_row* rows, Text* texts
    ) noexcept

cdef extern from "sha1/cpu.h" nogil:
    enum:
        CPU_FEATURES
    const char** cpu_names
    uint32_t cpu_features() noexcept

cdef extern from "sha1/engine.h" nogil:
    enum:
        SHA1_ENGINES
    ctypedef struct sha1_engine:
        const char* name
        uint32_t needs
        sha1_compressor* compress
        frame_layer* lay
    size_t sha1_engines(sha1_engine* engines, uint32_t cpu) noexcept
    int sha1_prepare(
        sha1_key* key, const uint8_t* hmac_key, size_t size, const uint8_t* head, size_t head_size
    ) noexcept
    void sha1_sign(const sha1_engine* engine, const sha1_key* key, const sha1_row* rows, size_t count) noexcept
    size_t sha1_blocks(size_t size) noexcept
    void sha1_pad(uint8_t* message, size_t size, size_t before) noexcept
    void wipe(void* memory, size_t size) noexcept

cdef extern from "text/row.h" nogil:
    enum:
        RULE_DROP_SLASH
        RULE_KEEP_SLASH
        RULE_REQUIRED
        RULE_STRICT
        RULE_NO_NULL
        RULE_UTF8
        PIECE_KEY
        PIECE_SIGNATURE
        PIECE_TEXT
    ctypedef struct Piece:
        Py_ssize_t kind
        Text text
    ctypedef struct Form:
        Text head
        const Piece* pieces
        size_t http_count
        size_t count
        size_t http_size
        size_t text_size
        int rules
        bint signs
        size_t http_keys
        size_t text_keys
        size_t columns
        size_t[2] end_back
        frame_layer* lay
        Frame frame
    ctypedef struct Rows:
        const Text* keys
        const Text* values
        size_t width
        Fault* faults
        Text* texts
    Fault form_lay_out(
        const Form* form, Space* space, sha1_row* row, Text* text, Text key, const Text* values
    ) noexcept
    size_t form_lay_out_tile(
        const Form* form, const Rows* rows, size_t done, size_t last, Space* space, sha1_row* signed_rows, size_t* count
    ) noexcept
    size_t form_http_bound(const Form* form, Text key, const Text* values) noexcept
    size_t form_text_bound(const Form* form, Text key, const Text* values) noexcept
    size_t form_tile_bound(const Form* form, const Rows* rows, size_t done, size_t last) noexcept
    void frame_set(Frame* frame, const Text* texts, uint8_t* memory) noexcept
    size_t frame_size(const Text* texts) noexcept
    uint8_t* aligned(uint8_t* place) noexcept

cdef extern from "text/tables.h" nogil:
    enum:
        END_DIGITS
    ctypedef struct RowForm:
        const Form* form
        const sha1_key* key
        const uint8_t* end
    ctypedef struct Differences:
        const Form* form
        const sha1_key* key
        const sha1_key* secret
        sha1_compressor* compress
        Py_ssize_t method
        Py_ssize_t expires
        uint64_t start
        uint64_t extra
    ctypedef struct Tables:
        pass
    Tables* tables_new(const Differences* differences) noexcept
    void tables_free(Tables* tables) noexcept
    void tables_begin(Tables* tables) noexcept
    size_t tables_find(
        Tables* tables, const Rows* rows, size_t first, size_t last, RowForm* forms, bint* full
    ) noexcept
    size_t tables_tile_bound(const RowForm* forms, const Rows* rows, size_t done, size_t last) noexcept
    size_t tables_lay_out_tile(
        const RowForm* forms, const Rows* rows, size_t done, size_t last, Space* space, sha1_row* signed_rows,
        size_t* count
    ) noexcept

cdef extern from "columns/arrow.h" nogil:
    ctypedef struct ArrowSchema:
        const char* format
        const char* name
        const char* metadata
        int64_t flags
        int64_t n_children
        ArrowSchema** children
        ArrowSchema* dictionary
        void (*release)(ArrowSchema*) noexcept nogil
        void* private_data
    ctypedef struct ArrowArray:
        int64_t length
        int64_t null_count
        int64_t offset
        int64_t n_buffers
        int64_t n_children
        const void** buffers
        ArrowArray** children
        ArrowArray* dictionary
        void (*release)(ArrowArray*) noexcept nogil
        void* private_data
    ctypedef struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream*, ArrowSchema*) noexcept nogil
        int (*get_next)(ArrowArrayStream*, ArrowArray*) noexcept nogil
        const char* (*get_last_error)(ArrowArrayStream*) noexcept nogil
        void (*release)(ArrowArrayStream*) noexcept nogil
        void* private_data

cdef extern from "columns/read.h" nogil:
    enum:
        COLUMN_DIGITS
    ctypedef enum Layout:
        INTEGERS
    ctypedef struct ColumnType:
        Layout layout
        ColumnType* child
    ctypedef enum SchemaFault:
        SCHEMA_FINE
        SCHEMA_TOO_DEEP
        SCHEMA_NOT_TEXT
        SCHEMA_NOT_INTEGERS
        SCHEMA_NO_CHILD
        SCHEMA_NO_RUN_ENDS
        SCHEMA_NO_MEMORY
    SchemaFault column_new(
        const ArrowSchema* schema, int depth, ColumnType** column, const ArrowSchema** culprit
    ) noexcept
    void column_free(ColumnType* column) noexcept
    const char* column_fault(const ColumnType* column, const ArrowArray* array) noexcept
    const char* column_read(
        const ColumnType* column, const ArrowArray* array, int64_t first, int64_t count, Text* texts, size_t stride,
        uint8_t* digits,
    ) noexcept

cdef extern from "columns/pool.h" nogil:
    enum:
        POOL_SLOT
        POOL_LEAST_SLOT
        POOL_MOST_SLOT
        POOL_ROW
    ctypedef struct Pool:
        pass
    ctypedef struct Slot:
        Slot* next
        size_t size
        bint single
        bint views
        uint8_t* valid
        int32_t* offsets
        uint8_t* data
        int64_t most
        int64_t rows
        int64_t nulls
        size_t data_size
    Pool* pool_new(size_t slot, size_t most_idle) noexcept
    void pool_close(Pool* pool) noexcept
    size_t pool_slot(const Pool* pool) noexcept
    void pool_after_fork() noexcept
    uint64_t pool_forks() noexcept
    Slot* slot_new(Pool* pool, size_t single, size_t rows, bint views) noexcept
    void slot_drop(Slot* slot) noexcept
    void slot_add(Slot* slot, const Fault* faults, const Text* texts, size_t count) noexcept
    size_t slot_unused(const Slot* slot) noexcept
    Slot* slot_copy(Pool* pool, const Slot* slot) noexcept
    Slot* slot_compact(Slot* slot) noexcept
    int64_t slot_fitting_rows(const Slot* slot) noexcept
    void slot_export(Slot* slot, ArrowArray* array) noexcept
    void schema_export(ArrowSchema* schema, const char* format) noexcept

cdef extern from "columns/lines.h" nogil:
    ctypedef struct LineCounts:
        int64_t lines
        int64_t rows
        int64_t blank_ends
        int64_t inner_crs
        int64_t addresses
    int32_t* lines_views(Text block, bint keep_empty, LineCounts* counts) noexcept
    bint texts_counts(const uint8_t* data, size_t size, const int32_t* offsets, ptrdiff_t rows, LineCounts* counts) noexcept
    size_t csv_whole_rows(Text block, uint8_t delimiter) noexcept

cdef extern from "columns/texts.h" nogil:
    ctypedef struct TextColumn:
        uint8_t* data
        int32_t* offsets
        uint8_t* valid
        size_t room
        int64_t places
    ctypedef enum RowsStop:
        ROWS_END
        ROWS_FULL
        ROWS_ODD
    ctypedef struct RowsCounts:
        size_t size
        int64_t rows
        int64_t empty_lines
        int64_t plus_signs

cdef extern from "columns/fields.h" nogil:
    ctypedef struct FieldsForm:
        const int32_t* columns
        int32_t fields
        int32_t count
        int32_t raw
        uint8_t delimiter
        uint8_t is_encoded
    RowsStop fields_read(
        const FieldsForm* form, Text block, bint is_last, TextColumn* columns, RowsCounts* counts
    ) noexcept

cdef extern from "columns/objects.h" nogil:
    enum:
        OBJECTS_MOST_COLUMNS
    ctypedef enum ObjectsKind:
        OBJECTS_TEXT
        OBJECTS_NUMBER
        OBJECTS_INTEGER
        OBJECTS_BOOLEAN
    ctypedef struct ObjectsColumn:
        Text name
        ObjectsKind kind
        uint8_t is_needed
    ctypedef struct ObjectsForm:
        const ObjectsColumn* columns
        int32_t count
        uint8_t is_strict
    RowsStop objects_read(const ObjectsForm* form, Text block, TextColumn* columns, RowsCounts* counts) noexcept

cdef extern from "columns/join.h" nogil:
    ctypedef enum JoinForm:
        JOIN_PLAIN
        JOIN_CSV
        JOIN_JSON
        JOIN_URL
        JOIN_VALUE
    ctypedef struct JoinPiece:
        Text before
        const uint8_t* data
        const int32_t* offsets
        const uint8_t* valid
        int64_t first_bit
        JoinForm form
    size_t join_rows(
        const JoinPiece* pieces, int count, int64_t* row, int64_t rows, uint8_t* out, size_t room
    ) noexcept
    size_t join_bound(const JoinPiece* pieces, int count, int64_t row) noexcept

cdef extern from "url/parse.h" nogil:
    enum:
        Q_FIELDS
    const Text* q_names
    ctypedef struct Target:
        Text host
        Text path
        Text query
        bint is_secure
    ctypedef struct Presigned:
        Text host
        Text path
        Text secret_id
        Text key_time
        Text signature
        Text param_list
        bint signs_host
        bint has_token
        int64_t start
        int64_t end
    bint text_is(Text text, const char* other, size_t size) noexcept
    bint equal_in_constant_time(const uint8_t* one, const uint8_t* other, size_t size) noexcept
    bint target_split(Text url, Target* target) noexcept
    bint presigned_parse(Text url, Presigned* parts) noexcept
    bint presigned_lists(const Presigned* parts, Text name) noexcept
    size_t http_bound(Text url, Text method, Text host) noexcept
    uint8_t* put_http_head(uint8_t* out, Text method) noexcept
    uint8_t* put_http_key(uint8_t* out, Text path) noexcept
    uint8_t* put_http_tail(uint8_t* out, Presigned* parts, Text token) noexcept

cdef extern from "url/path.h" nogil:
    ctypedef enum PathFault:
        PATH_FINE
        PATH_CONTROL
    PathFault path_fault(const uint8_t* path, size_t size, bint is_unusual) noexcept

cdef extern from "url/pattern.h" nogil:
    ctypedef struct UrlPattern:
        Text head
        Text middle
        Text tail
        Frame frame
        bint has_token
    ctypedef struct Fitting:
        const Text* keys
        size_t count
        sha1_row* rows
        uint8_t* wrong
        Text* texts
    bint pattern_fits(const UrlPattern* pattern, Text url, Text* key) noexcept
    void pattern_lay_out(
        const UrlPattern* pattern, frame_layer* lay, const Fitting* fitting, Space space, uint8_t* holes
    ) noexcept

cdef extern from "threads/queue.h" nogil:
    enum:
        QUEUE_PATIENCE
    ctypedef struct QueueTask:
        pass
    ctypedef struct Queue:
        pass
    Queue* queue_new(int most_threads) noexcept
    void queue_free(Queue* queue) noexcept
    bint queue_add(Queue* queue, QueueTask* task) noexcept
    void queue_leave(Queue* queue) noexcept
    QueueTask* queue_take(Queue* queue, int milliseconds) noexcept
    QueueTask* queue_help(Queue* queue) noexcept
    void queue_finish(Queue* queue, QueueTask* task) noexcept
    bint queue_wait(Queue* queue, const QueueTask* task, int milliseconds) noexcept
    void queue_clear(Queue* queue) noexcept
