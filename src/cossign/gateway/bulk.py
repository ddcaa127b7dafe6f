"""POST /presign: a URL for each key, streamed both ways, signed in a thread outside the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import struct
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import IO, Any

from cossign._arrow import Lines, SignedColumn
from cossign.bulk import Chunks
from cossign.errors import CosSignError, CredentialsError, KeyNameError, ParameterError
from cossign.gateway._gate import Event, KeyFilter, Receive, Request, Scope, Send
from cossign.gateway.config import Bulk as Limits
from cossign.gateway.policy import Policy
from cossign.key_time import duration

TEXT, JSON, ARROW = "text/plain", "application/json", "application/vnd.apache.arrow.stream"
_MEMORY_LIMIT = 4 << 20  # bytes of a body that wait in memory
_BLOCK = 256 << 10  # bytes of whole lines that are signed at once
_LONGEST_LINE = 1 << 20  # bytes
_LONGEST_BODY = {JSON: 4 << 20, ARROW: 8 << 20}  # bytes of a body that is read whole
_LONGEST_SCHEMA = 256 << 10  # bytes of what an Arrow message says of itself
_LONGEST_KEY = 4096  # bytes of a key in an Arrow column, whose keys may share their bytes
_ERRORS = 10_000  # bad rows that are listed
_PATIENCE = 30  # seconds
_LEAST = 16 << 10  # bytes that a client must send or read within _PATIENCE

_JSON_HEAD = re.compile(r'[ \t\r\n]*(\{[ \t\r\n]*"keys"[ \t\r\n]*:[ \t\r\n]*)?\[[ \t\r\n]*')
_JSON_COMMA = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_JSON_LIST_END = re.compile(r"[ \t\r\n]*\][ \t\r\n]*")
_JSON_OBJECT_END = re.compile(r"[ \t\r\n]*\][ \t\r\n]*\}[ \t\r\n]*")
_JSON_FORM = 'it must be {"keys": ["a.jpg", ...]} or a list of keys'
_json_decoder = json.JSONDecoder()
_json_turn = threading.Lock()  # one body at a time is text, which may take four times as much memory as its bytes


class Refusal(CosSignError):
    """Why a request for many signatures ends: a reason's code, and more about it."""

    def __init__(self, code: str, more: str = "") -> None:
        super().__init__(code, more)
        self.code = code
        self.more = more


def refusal_of(code: str, request: Request) -> Refusal:
    """Why what a body asks for is refused, by the Gate's code."""
    if code == "method":  # of what is to be signed: the request itself is a POST as it should be
        return Refusal("method_not_granted", "the route does not accept it")
    if code == "expires" and request.seconds:
        return Refusal(code, f"{request.seconds} seconds at most")
    return Refusal(code)


async def send_to_any(send: Send, code: str, *events: Event) -> None:
    """Send an answer.

    A client that has gone gets one, too: granian says the same of it as of one whose chunks have wrong sizes.
    """
    with contextlib.suppress(OSError) if code == "gone" else contextlib.nullcontext():
        for event in events:
            await send(event)


class Bulk:
    """Answers requests for many signatures, a few at a time."""

    def __init__(self) -> None:
        self._active: Counter[str] = Counter()  # by the caller's name
        self._pool: ThreadPoolExecutor | None = None
        self._bodies: set[_Body] = set()

    async def answer(self, policy: Policy, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's request, from its head to the last byte of its answer."""
        start_time = time.monotonic_ns()
        gate, limits = policy.gate, policy.config.bulk
        request, code = gate.admit(scope)
        answer = _Answer(send)
        signature_count = 0
        try:
            if code != "ok":
                raise Refusal(code)
            work = _Work(policy, request, scope, limits)
            name = request.caller.name
            if self._active.total() >= limits.concurrent or self._active[name] >= max(1, limits.concurrent - 1):
                raise Refusal("busy")
            self._active[name] += 1
            try:
                await self._run(work, receive, answer)
            finally:
                self._active[name] -= 1
                signature_count = work.signature_count
        except Refusal as refusal:
            # Its frames keep `receive`, and it is kept by them. Until the garbage collector found that, a server would
            # keep a body that nobody reads any more, and a client that sends it would wait for as long.
            refusal.__traceback__ = None
            code = refusal.code
            if answer.has_started:
                return  # without the answer's end: the server breaks the connection off, and the client knows
            start, body = gate.refusal(request, code, refusal.more)
            start["headers"].append((b"connection", b"close"))  # the rest of the body is not read
            await send_to_any(send, code, start, body)
        except BaseException:
            code = "failed"
            raise
        finally:
            gate.count(request, scope, code, time.monotonic_ns() - start_time, signature_count)

    async def _run(self, work: _Work, receive: Receive, answer: _Answer) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(64, "cossign-presign")
        loop = asyncio.get_running_loop()
        body = _Body(work.limits.max_bytes)
        self._bodies.add(body)
        reading = loop.create_task(body.read(receive))
        signing = loop.run_in_executor(self._pool, work.run, body, answer, loop)
        try:
            await asyncio.shield(signing)
        except asyncio.CancelledError:  # the server gives up on the client
            body.lose("gone")
            raise
        finally:
            reading.cancel()
            self._bodies.discard(body)
            body.close()
        await answer.end()

    def stop(self) -> None:
        """End what is under way."""
        for body in self._bodies:
            body.lose("stopping")


class _Answer:
    """The answer's events; the caller keeps their order."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_started = False
        self.kind = TEXT

    async def write(self, data: bytes) -> None:
        if not self.has_started:
            self.has_started = True
            headers = [(b"content-type", self.kind.encode()), (b"cache-control", b"no-store")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        if not self.has_started:
            await self.write(b"")
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class _Body:
    """A request's body: the event loop takes it as it comes, a thread reads it.

    What the thread is not ready for goes to a file without a name: many clients read no answer before they have sent
    all, so to wait with reading would be to wait forever.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: deque[bytes] = deque()
        self._memory_size = 0
        self._file: IO[bytes] | None = None
        self._write_offset = self._read_offset = 0  # bytes of the file
        self._outcome: Refusal | bool = False
        self._condition = threading.Condition()
        self._window = (time.monotonic(), 0)  # when it began, and the client's bytes since
        self.abort_reason: Refusal | None = None  # why no answer is needed any more

    async def read(self, receive: Receive) -> None:
        """Take the body, and then notice if the client goes."""
        size = 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                self.lose("gone")
                return
            if self._outcome:
                continue
            chunk = bytes(event.get("body", b""))
            size += len(chunk)
            self.note_progress(len(chunk))
            if self.has_stalled():
                self.lose("stalled")
                continue
            if size > self._limit:
                self._end(Refusal("too_large", f"{self._limit} bytes at most"))
                continue
            try:
                if chunk:
                    self._put(chunk)
                if not event.get("more_body", False):
                    self._window = (time.monotonic(), 0)
                    self._end(True)
            except OSError as error:
                self._end(Refusal("no_room", error.strerror or ""))

    def lose(self, code: str) -> None:
        """End it, and the answer, too."""
        self.abort_reason = Refusal(code)
        self._end(self.abort_reason)

    def note_progress(self, size: int) -> None:
        """The client has sent or read so many bytes."""
        start, amount = self._window
        self._window = (start, amount + size)

    def has_stalled(self) -> bool:
        """Whether the client moves too little for the gateway to wait: one that drips would keep its place for ever."""
        start, amount = self._window
        now = time.monotonic()
        if now - start <= _PATIENCE:
            return False
        self._window = (now, 0)
        return amount < _LEAST

    def _end(self, end: Refusal | bool) -> None:
        with self._condition:
            self._outcome = end
            self._condition.notify()

    def _put(self, chunk: bytes) -> None:
        with self._condition:
            if self._file is None and self._memory_size < _MEMORY_LIMIT:
                self._chunks.append(chunk)
                self._memory_size += len(chunk)
            else:
                if self._file is None:
                    self._file = tempfile.TemporaryFile(prefix="cossign-")  # noqa: SIM115
                    self._write_offset = self._read_offset = 0
                self._file.seek(self._write_offset)
                self._file.write(chunk)
                self._write_offset += len(chunk)
            self._condition.notify()

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece; called in the thread."""
        while chunk := self._next():
            yield chunk

    def _next(self) -> bytes:
        with self._condition:
            while True:
                if self._chunks:
                    chunk = self._chunks.popleft()
                    self._memory_size -= len(chunk)
                    return chunk
                if self._file is not None:
                    try:
                        self._file.seek(self._read_offset)
                        chunk = self._file.read(_BLOCK)
                    except OSError as error:  # what was written had not been, yet
                        raise Refusal("no_room", error.strerror or "") from None
                    self._read_offset += len(chunk)
                    if self._read_offset == self._write_offset:
                        self._file.close()
                        self._file = None
                    return chunk
                if isinstance(self._outcome, Refusal):
                    raise self._outcome
                if self._outcome:
                    return b""
                if not self._condition.wait(_PATIENCE):
                    raise Refusal("stalled")

    def close(self) -> None:
        """Give the file back."""
        with self._condition:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.close()
                self._file = None

    def blocks(self) -> Iterator[bytes]:
        """Blocks of whole lines."""
        pieces: list[bytes] = []
        size = 0
        for chunk in self.chunks():
            pieces.append(chunk)
            size += len(chunk)
            end = chunk.rfind(b"\n") + 1
            if end and size >= _BLOCK:
                pieces[-1] = chunk[:end]
                yield b"".join(pieces)
                pieces, size = [chunk[end:]], len(chunk) - end
            elif size > _LONGEST_LINE + _BLOCK:
                raise Refusal("too_large", f"a line may have {_LONGEST_LINE} bytes at most")
        if size:
            yield b"".join(pieces)


class _Work:
    """What one request asks for, as far as its head says."""

    def __init__(self, policy: Policy, request: Request, scope: Scope, limits: Limits) -> None:
        if scope["method"] != "POST":
            raise Refusal("bad_body", "send the keys by POST")
        headers = {bytes(name): bytes(value) for name, value in scope["headers"]}
        kind = headers.get(b"content-type", TEXT.encode()).decode("latin-1").partition(";")[0].strip().lower()
        if kind not in (TEXT, JSON, ARROW):
            raise Refusal("media_type", f"it may be {TEXT}, {JSON} or {ARROW}")
        self.limits = limits
        length = headers.get(b"content-length", b"0").decode("latin-1")
        most = min(limits.max_bytes, _LONGEST_BODY.get(kind, limits.max_bytes))
        if len(length) > 18 or not length.isascii() or not length.isdigit() or int(length) > most:
            raise Refusal("too_large", f"a body of {kind} may have {most} bytes at most")
        query = dict(request.query or {})
        name = query.pop("route", None)
        method = query.pop("method", "GET")
        on_error = query.pop("on_error", "fail")
        if on_error not in ("fail", "null"):
            raise Refusal("bad_query", "on_error must be fail or null")
        try:
            seconds = duration(query.pop("expires")) if "expires" in query else None
        except ValueError as error:
            raise Refusal("bad_query", f"expires {error}") from None
        code, prefixes = policy.gate.permit(request, name, method, query or None, seconds)
        if code != "ok":
            raise refusal_of(code, request)
        self._kind = kind
        self._keep_errors = on_error == "null"
        self._filter = KeyFilter(prefixes, request.route.unusual)
        self._signer = request.route.signer
        self._method = method
        self._query = query
        self._headers = request.route.headers
        self._seconds, self._until = request.seconds, request.until
        self._row = 0
        self.signature_count = 0

    def run(self, body: _Body, answer: _Answer, loop: asyncio.AbstractEventLoop) -> None:
        """Sign, in a thread."""
        answer.kind = self._kind

        def write(data: bytes) -> None:
            if body.abort_reason:
                raise body.abort_reason
            sending = asyncio.run_coroutine_threadsafe(answer.write(data), loop)
            start_time = time.monotonic()
            while True:
                try:
                    sending.result(1)
                    body.note_progress(len(data))
                    return
                except FutureTimeoutError:
                    is_late = time.monotonic() - start_time > _PATIENCE
                    if body.abort_reason or (is_late and body.has_stalled()):
                        sending.cancel()
                        raise body.abort_reason or Refusal("stalled") from None
                except OSError:
                    raise Refusal("gone") from None

        try:
            {TEXT: self._text, JSON: self._json, ARROW: self._arrow}[self._kind](body, write)
        except KeyNameError as error:
            raise Refusal("bad_key", str(error)) from None
        except CredentialsError as error:
            raise Refusal("unavailable", str(error)) from None

    def _text(self, body: _Body, write: Callable[[bytes], None]) -> None:
        lines, column = self._column(body.blocks(), b"\n")
        for chunk in self._chunks(lines, column):
            has_errors = bool(column.errors)
            column.errors.clear()
            write(chunk.with_empty_lines() if has_errors else bytes(memoryview(chunk)))

    def _json(self, body: _Body, write: Callable[[bytes], None]) -> None:
        lines, column = self._column(iter([_json_lines(self._whole(body))]), b"\n")
        errors: list[tuple[int, str]] = []
        separator = opening = b'{"urls": ['
        for chunk in self._chunks(lines, column):
            data = chunk.with_empty_lines() if column.errors else bytes(memoryview(chunk))
            urls = [b'"%b"' % url if url else b"null" for url in data.split(b"\n")[:-1]]
            errors += [(row, self._reasons.get(row, reason)) for row, reason in column.errors[: _ERRORS - len(errors)]]
            column.errors.clear()
            write(separator + b", ".join(urls))
            separator = b", "
        end = b'], "errors": ' + json.dumps(errors).encode() + b"}\n"
        write(opening + end if separator is opening else end)

    def _arrow(self, body: _Body, write: Callable[[bytes], None]) -> None:
        try:
            import pyarrow as pa
            import pyarrow.compute as pc
        except ImportError:
            raise Refusal("media_type", "this gateway has no pyarrow: pip install pyarrow") from None
        data = pa.py_buffer(self._whole(body))
        schema = pa.schema([("url", pa.string())])

        def blocks() -> Iterator[bytes]:
            try:
                _check_messages(pa, data)
                with pa.ipc.open_stream(data) as batches:
                    for batch in batches:
                        yield from _lines(pa, pc, batch)
            # pyarrow tells a short read by an OSError, and a column's name that is not UTF-8 by a UnicodeDecodeError
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise Refusal("bad_body", f"it is not an Arrow stream: {str(error)[:200]}") from None

        sink = io.BytesIO()
        lines, column = self._column(blocks(), b"")
        with pa.ipc.new_stream(sink, schema) as writer:
            for chunk in self._chunks(lines, column):
                column.errors.clear()
                writer.write_batch(pa.record_batch([pa.array(chunk).cast(pa.string())], schema=schema))
                write(sink.getvalue())
                sink.seek(0)
                sink.truncate()
        write(sink.getvalue())
        pa.default_memory_pool().release_unused()

    # --- What the kinds share

    def _whole(self, body: _Body) -> bytearray:
        """A body that is read as a whole."""
        whole = bytearray()
        most = _LONGEST_BODY[self._kind]
        for chunk in body.chunks():
            if len(whole) + len(chunk) > most:
                more = "send several requests, or text" if most < self.limits.max_bytes else "send several requests"
                raise Refusal("too_large", f"a body of {self._kind} may have {most} bytes at most; {more}")
            whole += chunk
        return whole

    def _column(self, blocks: Iterator[bytes], end: bytes) -> tuple[Lines, SignedColumn]:
        signer = self._signer
        start = signer.times().start
        span = (start, max(start + 1, min(start + self._seconds, self._until))) if self._until else None
        lines = Lines(self._filter_blocks(blocks), keep_empty=True)
        return lines, signer.sign_column(
            lines,
            Chunks(self.limits.threads, keep_errors=True, end=end),
            method=self._method,
            expires=self._seconds,
            query=self._query,
            headers=self._headers,
            key_time=span,
        )

    def _filter_blocks(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Blocks without the keys that may not be signed."""
        self._reasons: dict[int, str] = {}
        for block in blocks:
            allowed_lines, refused_rows, rows = self._filter.filter_lines(block, _ERRORS if self._keep_errors else 1)
            for row, code in refused_rows.items():
                if not self._keep_errors:
                    raise Refusal(code, f"row {self._row + row}")
                if len(self._reasons) < _ERRORS:
                    self._reasons[self._row + row] = code
            self._row += rows
            if self._row > self.limits.max_rows:
                raise Refusal("too_large", f"{self.limits.max_rows} rows at most")
            yield allowed_lines

    def _chunks(self, lines: Lines, column: SignedColumn) -> Iterator[Any]:
        try:
            for chunk in column:
                if column.errors and not self._keep_errors:
                    row, reason = column.errors[0]
                    raise Refusal("bad_key", f"row {row}: {reason}")
                self.signature_count += len(chunk) - chunk.null_count
                yield chunk
        except ParameterError as error:
            raise lines.failure or error from None


def _json_lines(body: bytearray) -> bytes:
    """The keys of a JSON body as lines. A key with a line's end becomes a line that is not a key.

    They are decoded one by one: a list of all values would take twenty times as much memory as its text.
    """
    lines = bytearray()
    try:
        with _json_turn:
            text = body.decode("utf-8-sig")
            body.clear()
            head = _JSON_HEAD.match(text)
            if head is None:
                raise Refusal("bad_body", _JSON_FORM)
            at = head.end()
            has_more = text[at : at + 1] != "]"
            while has_more:
                if text[at : at + 1] != '"':
                    raise Refusal("bad_body", _JSON_FORM)
                key, at = _json_decoder.raw_decode(text, at)
                lines += b"\t\n" if "\n" in key else key.encode() + b"\n"
                comma = _JSON_COMMA.match(text, at)
                has_more = comma is not None
                at = at if comma is None else comma.end()
            if not (_JSON_OBJECT_END if head[1] else _JSON_LIST_END).fullmatch(text, at):
                raise Refusal("bad_body", _JSON_FORM)
    except UnicodeEncodeError:
        raise Refusal("bad_body", "a key holds a lone surrogate") from None
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise Refusal("bad_body", "it is not JSON in UTF-8") from None
    return bytes(lines)


def _check_messages(pa: Any, data: Any) -> None:
    """Refuse what would take far more memory than its bytes: compressed messages, and a schema of very many fields."""
    for magic, name in ((b"ARROW1", "an Arrow file"), (b"PAR1", "a Parquet file")):
        if data[: len(magic)].to_pybytes() == magic:
            more = "send an Arrow stream, as pyarrow.ipc.new_stream and Polars' write_ipc_stream write it"
            raise Refusal("bad_body", f"it is {name}; {more}")
    for message in pa.ipc.MessageReader.open_stream(data):
        if len(message.metadata) > _LONGEST_SCHEMA:
            raise Refusal("too_large", f"an Arrow schema may have {_LONGEST_SCHEMA} bytes at most; send the keys alone")
        if _is_compressed(memoryview(message.metadata)):
            raise Refusal("bad_body", "its Arrow messages are compressed; send them plain")


def _is_compressed(metadata: memoryview) -> bool:
    """Whether a message's body is compressed, which pyarrow does not tell: what the message's flatbuffer says.

    pyarrow has verified the flatbuffer.

    Source: Message.fbs of Apache Arrow; https://flatbuffers.dev/internals
    """

    def number(form: str, at: int) -> int:
        return int(struct.unpack_from(form, metadata, at)[0])

    def field(table: int, slot: int) -> int:
        """Where a table's field is; 0 if it has none."""
        fields = table - number("<i", table)
        at = 4 + 2 * slot
        offset = number("<H", fields + at) if at < number("<H", fields) else 0
        return table + offset if offset else 0

    def inner(at: int) -> int:
        return at + number("<I", at)

    message = inner(0)
    kind, header = field(message, 1), field(message, 2)
    if not kind or not header or number("<B", kind) not in (2, 3):
        return False
    batch = inner(header)
    if number("<B", kind) == 2:  # a dictionary, which has a batch
        data = field(batch, 1)
        batch = inner(data) if data else 0
    return bool(batch and field(batch, 3))


def _lines(pa: Any, pc: Any, batch: Any) -> Iterator[bytes]:
    """A record batch's keys as blocks of lines. A null and a key with a line's end become lines that are not keys.

    Arrow's functions trust the numbers in its buffers. These come from outside, so `validate` checks them first.
    """
    index = batch.schema.get_field_index("key")
    if index < 0 and batch.num_columns != 1:
        raise Refusal("bad_body", "it has no column 'key'")
    column = batch.column(max(index, 0))
    is_dictionary = pa.types.is_dictionary(column.type)
    column.validate()  # the buffers are there, and as long as they must be
    values = column.dictionary if is_dictionary else column
    kind = values.type
    if not (pa.types.is_string_view(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise Refusal("bad_body", f"the keys must be strings, not {kind}")
    values.validate()
    if len(values) == 0:
        longest = 0
    elif pa.types.is_string_view(kind):
        views = memoryview(values.buffers()[1])[16 * values.offset : 16 * (values.offset + len(values))]
        sizes = views.cast("i")[::4]
        longest = max(sizes)
        if is_dictionary and sum(max(size, 0) for size in sizes) > _LONGEST_BODY[ARROW]:
            raise Refusal("bad_body", "its keys share their bytes, and are longer than a body may be")
    else:
        longest = pc.max(pc.binary_length(values)).as_py() or 0
    if longest > _LONGEST_KEY:  # keys that share their bytes would take as long to validate as if they did not
        raise Refusal("bad_body", f"a key has {longest} bytes, which is too long")
    if is_dictionary:
        column.validate(full=True)
        # Polars' categories are views, which pyarrow cannot take by their indices.
        column = pa.DictionaryArray.from_arrays(column.indices, values.cast(pa.string()))
    for at in range(0, len(column), 8192):
        part = column.slice(at, 8192)
        if not is_dictionary:
            part.validate(full=True)
        part = part.cast(pa.string())
        part = pc.if_else(pc.match_substring(part, "\n"), "\t", part).fill_null("")
        texts = pc.binary_join(pa.ListArray.from_arrays([0, len(part)], part), "\n")
        yield texts[0].as_buffer().to_pybytes() + b"\n"
