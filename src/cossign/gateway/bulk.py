"""POST /presign: many keys in, as many URLs out, streamed both ways, signed in a thread beside the event loop."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import IO, Any

from cossign._core import Lines, SignedColumn
from cossign.errors import CosSignError, CredentialsError, KeyNameError, ParameterError
from cossign.gateway._gate import KeyFilter, Receive, Request, Scope, Send
from cossign.gateway.config import Bulk as Limits
from cossign.gateway.policy import Policy
from cossign.signer import duration

TEXT, JSON, ARROW = "text/plain", "application/json", "application/vnd.apache.arrow.stream"
_AHEAD = 8 << 20  # bytes of a body that wait in memory
_BLOCK = 256 << 10  # bytes of whole lines that are signed at once
_LONGEST = 32 << 20  # bytes of a JSON body, of an Arrow message, or of a line
_PATIENCE = 30  # seconds that a client may neither send nor read


class Refused(CosSignError):
    """Why a request for many signatures ends: a reason's code, and more about it."""

    def __init__(self, code: str, more: str = "") -> None:
        super().__init__(code, more)
        self.code = code
        self.more = more


class Bulk:
    """Answers requests for many signatures, a few at a time."""

    def __init__(self) -> None:
        self._busy = 0
        self._pool: ThreadPoolExecutor | None = None
        self._bodies: set[_Body] = set()

    async def answer(self, policy: Policy, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's request, from its head to the last byte of its answer."""
        began = time.monotonic_ns()
        gate, limits = policy.gate, policy.config.bulk
        request, code = gate.admit(scope)
        answer = _Answer(send)
        signed = 0
        try:
            if code != "ok":
                raise Refused(code)
            work = _Work(policy, request, scope, limits)
            if self._busy >= limits.concurrent:
                raise Refused("busy")
            self._busy += 1
            try:
                await self._run(work, receive, answer)
            finally:
                self._busy -= 1
                signed = work.signed
        except Refused as refused:
            code = refused.code
            if code == "gone":
                return
            if answer.started:
                # What was sent is not all: a connection that breaks off says so.
                raise ConnectionAbortedError(f"POST {scope['path']}: {code}: {refused.more}") from None
            start, body = gate.refusal(request, code, refused.more)
            start["headers"].append((b"connection", b"close"))  # the rest of the body is not read
            await send(start)
            await send(body)
        finally:
            gate.count(request, scope, code, time.monotonic_ns() - began, signed)

    async def _run(self, work: _Work, receive: Receive, answer: _Answer) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(64, "cossign-presign")
        loop = asyncio.get_running_loop()
        body = _Body(receive, work.limits.max_bytes)
        self._bodies.add(body)
        reading = loop.create_task(body.read())
        signing = loop.run_in_executor(self._pool, work.run, body, answer, loop)
        try:
            await asyncio.shield(signing)
        except asyncio.CancelledError:  # the server gives up on the client
            body.end(Refused("gone"))
            raise
        finally:
            reading.cancel()
            self._bodies.discard(body)
            body.close()
        await answer.end()

    def stop(self) -> None:
        """End what is under way."""
        for body in self._bodies:
            body.end(Refused("gone"))


class _Answer:
    """The answer's events; their order is kept by whoever calls."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.kind = TEXT

    async def write(self, data: bytes) -> None:
        if not self.started:
            self.started = True
            headers = [(b"content-type", self.kind.encode()), (b"cache-control", b"no-store")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        if not self.started:
            await self.write(b"")
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class _Body:
    """A request's body: the event loop takes it as it comes, a thread reads it.

    What the thread is not ready for goes to a file without a name: many clients read no answer before they have sent
    all, so to wait with reading would be to wait forever.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._chunks: deque[bytes] = deque()
        self._ahead = 0
        self._file: IO[bytes] | None = None
        self._written = self._read = 0  # bytes of the file
        self._end: Refused | bool = False
        self._changed = threading.Condition()
        self.moved = time.monotonic()  # when the client last did something
        self.gone = False

    async def read(self) -> None:
        """Take the body, and then notice if the client goes."""
        size = 0
        while True:
            event = await self._receive()
            self.moved = time.monotonic()
            if event["type"] == "http.disconnect":
                self.end(Refused("gone"))
                return
            if self._end:
                continue
            chunk = bytes(event.get("body", b""))
            size += len(chunk)
            if size > self._limit:
                self.end(Refused("too_large", f"{self._limit} bytes at most"))
            elif chunk:
                self._put(chunk)
            if not event.get("more_body", False):
                self.end(True)

    def end(self, end: Refused | bool) -> None:
        """Nothing follows; or what ended it."""
        with self._changed:
            if isinstance(end, Refused):
                self.gone = end.code == "gone"
            self._end = self._end if self._end and not self.gone else end
            self._changed.notify()

    def _put(self, chunk: bytes) -> None:
        with self._changed:
            if self._file is None and self._ahead < _AHEAD:
                self._chunks.append(chunk)
                self._ahead += len(chunk)
            else:
                if self._file is None:
                    self._file = tempfile.TemporaryFile(prefix="cossign-")  # noqa: SIM115
                    self._written = self._read = 0
                self._file.seek(self._written)
                self._file.write(chunk)
                self._written += len(chunk)
            self._changed.notify()

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece; called in the thread."""
        while chunk := self._next():
            yield chunk

    def _next(self) -> bytes:
        with self._changed:
            while True:
                if self._chunks:
                    chunk = self._chunks.popleft()
                    self._ahead -= len(chunk)
                    return chunk
                if self._file is not None:
                    self._file.seek(self._read)
                    chunk = self._file.read(_BLOCK)
                    self._read += len(chunk)
                    if self._read == self._written:
                        self._file.close()
                        self._file = None
                    return chunk
                if isinstance(self._end, Refused):
                    raise self._end
                if self._end:
                    return b""
                if not self._changed.wait(_PATIENCE):
                    raise Refused("stalled")

    def close(self) -> None:
        with self._changed:
            if self._file is not None:
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
            elif size > _LONGEST:
                raise Refused("bad_body", "a line is too long to be a key")
        if size:
            yield b"".join(pieces)


class _Work:
    """What one request asks for, as far as its head says."""

    def __init__(self, policy: Policy, request: Request, scope: Scope, limits: Limits) -> None:
        if scope["method"] != "POST":
            raise Refused("bad_body", "send the keys by POST")
        headers = {bytes(name): bytes(value) for name, value in scope["headers"]}
        kind = headers.get(b"content-type", TEXT.encode()).decode("latin-1").partition(";")[0].strip().lower()
        if kind not in (TEXT, JSON, ARROW):
            raise Refused("media_type", f"it may be {TEXT}, {JSON} or {ARROW}")
        self.limits = limits
        if not headers.get(b"content-length", b"0").isdigit() or int(headers.get(b"content-length", b"0")) > (
            limits.max_bytes if kind != JSON else min(limits.max_bytes, _LONGEST)
        ):
            raise Refused("too_large")
        query = dict(request.query or {})
        name = query.pop("route", None)
        method = query.pop("method", "GET")
        on_error = query.pop("on_error", "fail")
        if on_error not in ("fail", "null"):
            raise Refused("bad_query", "on_error must be fail or null")
        try:
            seconds = duration(query.pop("expires")) if "expires" in query else None
        except ValueError as error:
            raise Refused("bad_query", f"expires {error}") from None
        code, prefixes = policy.gate.permit(request, name, method, query or None, seconds)
        if code != "ok":
            raise Refused(code)
        self._kind = kind
        self._keep_errors = on_error == "null"
        self._filter = KeyFilter(prefixes, request.route.unusual)
        self._signer = request.route.signer
        self._method = method
        self._query = query
        self._seconds, self._until = policy.gate.seconds(request)
        self._row = 0
        self.signed = 0

    def run(self, body: _Body, answer: _Answer, loop: asyncio.AbstractEventLoop) -> None:
        """Sign, in a thread."""
        answer.kind = self._kind

        def write(data: bytes) -> None:
            if body.gone:
                raise Refused("gone")
            sending = asyncio.run_coroutine_threadsafe(answer.write(data), loop)
            body.moved = time.monotonic()
            while True:
                try:
                    sending.result(1)
                    return
                except FutureTimeoutError:
                    if body.gone or time.monotonic() - body.moved > _PATIENCE:
                        sending.cancel()
                        raise Refused("gone" if body.gone else "stalled") from None
                except OSError:
                    raise Refused("gone") from None

        try:
            {TEXT: self._text, JSON: self._json, ARROW: self._arrow}[self._kind](body, write)
        except KeyNameError as error:
            raise Refused("bad_key", str(error)) from None
        except CredentialsError as error:
            raise Refused("unavailable", str(error)) from None

    def _text(self, body: _Body, write: Callable[[bytes], None]) -> None:
        lines, column = self._column(body.blocks(), b"\n")
        for chunk in self._chunks(lines, column):
            bad = bool(column.errors)
            column.errors.clear()
            write(chunk.with_empty_lines() if bad else bytes(memoryview(chunk)))

    def _json(self, body: _Body, write: Callable[[bytes], None]) -> None:
        text = bytearray()
        for chunk in body.chunks():
            text += chunk
            if len(text) > _LONGEST:
                raise Refused("too_large", f"{_LONGEST} bytes of JSON at most; text may be longer")
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            raise Refused("bad_body", "it is no JSON") from None
        keys = given.get("keys") if isinstance(given, dict) and set(given) == {"keys"} else given
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise Refused("bad_body", 'it must be {"keys": ["a.jpg", ...]} or a list of keys')
        try:
            block = b"".join(b"%b\n" % (b"\t" if "\n" in key else key.encode()) for key in keys)
        except UnicodeEncodeError:
            raise Refused("bad_body", "a key holds a lone surrogate") from None
        lines, column = self._column(iter([block]) if block else iter([]), b"\n")
        urls: list[str | None] = []
        for chunk in self._chunks(lines, column):
            data = chunk.with_empty_lines() if column.errors else bytes(memoryview(chunk))
            urls += [url or None for url in data.decode().split("\n")[:-1]]
        errors = [[row, self._why.get(row, reason)] for row, reason in column.errors]
        write(json.dumps({"urls": urls, "errors": errors}).encode() + b"\n")

    def _arrow(self, body: _Body, write: Callable[[bytes], None]) -> None:
        try:
            import pyarrow as pa
            import pyarrow.compute as pc
        except ImportError:
            raise Refused("media_type", "this gateway has no pyarrow: pip install 'cossign[batch]'") from None
        stream = _Stream(body)
        schema = pa.schema([("url", pa.string())])

        def blocks() -> Iterator[bytes]:
            try:
                with pa.ipc.open_stream(pa.PythonFile(stream, mode="r")) as batches:
                    for batch in batches:
                        yield from _lines(pa, pc, batch)
            except (pa.ArrowException, OSError) as error:  # pyarrow tells a short read by an OSError
                raise Refused("bad_body", f"it is no Arrow stream: {str(error)[:200]}") from None

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

    # --- What the kinds share

    def _column(self, blocks: Iterator[bytes], end: bytes) -> tuple[Lines, SignedColumn]:
        signer = self._signer
        start = signer._start()
        span = (start, max(start + 1, min(start + self._seconds, self._until))) if self._until else None
        lines = Lines(self._permitted(blocks))
        return lines, signer._presign_column(
            lines, self._method, self._seconds, self._query, None, start, span, True, self.limits.threads, end
        )

    def _permitted(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Blocks without the keys that may not be signed."""
        self._why: dict[int, str] = {}
        for block in blocks:
            kept, refused, rows = self._filter.kept(block)
            for row, code in refused.items():
                if not self._keep_errors:
                    raise Refused(code, f"row {self._row + row}")
                if len(self._why) < 10_000:
                    self._why[self._row + row] = code
            self._row += rows
            if self._row > self.limits.max_rows:
                raise Refused("too_large", f"{self.limits.max_rows} rows at most")
            yield kept

    def _chunks(self, lines: Lines, column: SignedColumn) -> Iterator[Any]:
        try:
            for chunk in column:
                if column.errors and not self._keep_errors:
                    row, reason = column.errors[0]
                    raise Refused("bad_key", f"row {row}: {reason}")
                self.signed += len(chunk) - chunk.null_count
                yield chunk
        except ParameterError as error:
            raise lines.failure or error from None


class _Stream(io.RawIOBase):
    """A body as a file that is read once."""

    def __init__(self, body: _Body) -> None:
        self._chunks = body.chunks()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            raise Refused("bad_body", "it is no Arrow stream")
        if size > _LONGEST:
            raise Refused("too_large", f"an Arrow message may have {_LONGEST} bytes at most")
        pieces = []
        while size > 0:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            pieces.append(self._rest[:size])
            size -= len(pieces[-1])
            self._rest = self._rest[len(pieces[-1]) :]
        return b"".join(pieces)


def _lines(pa: Any, pc: Any, batch: Any) -> Iterator[bytes]:
    """A record batch's keys as blocks of lines; a null, or what would be two lines, as an empty one."""
    index = batch.schema.get_field_index("key")
    if index < 0 and batch.num_columns != 1:
        raise Refused("bad_body", "it has no column 'key'")
    column = batch.column(max(index, 0))
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise Refused("bad_body", f"the keys are no strings, but {kind}")
    keys = column.cast(pa.string())
    for at in range(0, len(keys), 8192):
        part = keys.slice(at, 8192)
        part = pc.if_else(pc.match_substring(part, "\n"), "\t", part).fill_null("")
        joined = pc.binary_join(pa.ListArray.from_arrays([0, len(part)], part), "\n")
        yield joined[0].as_buffer().to_pybytes() + b"\n"
