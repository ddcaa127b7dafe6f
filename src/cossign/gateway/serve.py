"""`cossign serve`: the gateway's processes, and how they take a new configuration.

The process that was started checks the configuration and leaves it, and the board of counters, in a directory that its
workers read; when it is told to reload, it checks the file again, and only then do the workers see it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import mmap
import multiprocessing
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cossign import __version__, waits
from cossign.errors import CosSignError
from cossign.gateway._gate import Board
from cossign.gateway.app import BOARD_SIZE, Gateway
from cossign.gateway.config import Config, ConfigError, load, warnings_of, wrong_tls
from cossign.gateway.policy import Policy
from cossign.gateway.temporary import warnings_of_keys

_DIRECTORY = "COSSIGN_SERVE_DIRECTORY"  # the environment variable that tells workers where it is
_HEADERS_TIMEOUT = 10  # seconds in which a request's head must have come
_LONGEST_HEAD = 32 << 10  # bytes of a request's head; what is read at once may bring twice as many
_CONNECTIONS = 4096  # of a worker at once; more wait until one of them is closed
_OTHER_FILES = 256  # that a worker may have open beside its connections
_UNREAD_TIMEOUT = 60  # seconds after which a client that reads nothing of its answers is cut off


def _say(text: str) -> None:
    print(f"cossign: {text}", file=sys.stderr, flush=True)


def _map_board(directory: Path) -> mmap.mmap:
    with open(directory / "board", "r+b") as file:
        return mmap.mmap(file.fileno(), BOARD_SIZE)


# --- In a worker


def _spare_memory() -> None:
    """Have glibc keep what threads free in two places, not in one for each thread, and give back what is large.

    Bulk requests would fill all places, and leave holes in them.

    Source: mallopt(3), M_ARENA_MAX and M_MMAP_THRESHOLD.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(-8, 2)
        mallopt(-3, 1 << 20)


def worker() -> Gateway:
    """The application of one worker process."""
    _spare_memory()
    directory = Path(os.environ[_DIRECTORY])
    first = multiprocessing.parent_process()
    memory = _map_board(directory)
    board = Board(memory)
    generation = board.add(b"generation", 0)  # before the file is read: a later one is read again
    path = directory / "gateway.toml"
    config = load(path)
    gateway = Gateway(config, memory=memory)
    is_limited = False

    async def watch() -> None:
        nonlocal first, generation, is_limited
        if not is_limited:
            is_limited = _limit_unread_answers()
        if first is not None and not first.is_alive():
            first = None
            if board.add(b"said_orphans", 1) == 1:
                _say("the first process was killed: its workers end, too")
            _end_orphan(directory, config.graceful_timeout)
            return
        problems = gateway.problems()
        if problems and board.add(b"said_problems", 1) == 1:  # one worker says it
            for problem in problems:
                _say(f"warning: {problem}")
        now = board.add(b"generation", 0)
        if now != generation:
            generation = now
            try:
                await gateway.reload(path)
            except ConfigError as error:  # it was good a moment ago, in another process
                board.add(b"refused_reloads", 1)
                _say(f"worker {os.getpid()} keeps its configuration: {error}")

    gateway.watch = watch
    gc.collect()
    gc.freeze()  # what is there now stays: it need not be looked at again
    return gateway


def _limit_unread_answers() -> bool:
    """Have the system end connections whose client does not read: granian would wait for it without end.

    Connections inherit the limit from the listening socket, which granian opens and does not hand out.

    Returns:
        Whether the socket listens; call it again until it does.

    Source: tcp(7), TCP_USER_TIMEOUT.
    """
    if sys.platform != "linux":
        return True
    listens = False
    for name in os.listdir("/proc/self/fd"):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):  # it may be closed at any moment
            descriptor = os.dup(int(name))
            stack.callback(os.close, descriptor)
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            each = socket.socket(fileno=descriptor)
            stack.pop_all()
            with each:
                if each.family != socket.AF_UNIX and each.type == socket.SOCK_STREAM:
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_TIMEOUT * 1000)
                listens |= each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    return listens


def _end_orphan(directory: Path, graceful_timeout: float) -> None:
    """End this worker, whose first process was killed: nothing would reload it, stop it or start it again."""
    shutil.rmtree(directory, ignore_errors=True)
    timer = threading.Timer(graceful_timeout, os._exit, (1,))
    timer.daemon = True
    timer.start()
    signal.raise_signal(signal.SIGTERM)  # granian finishes the requests under way


# --- In the process that was started


def summary(config: Config) -> str:
    """A gateway in one line."""
    scheme = "" if config.listen.startswith("unix:") else "http://" if config.tls is None else "https://"
    workers = f"{config.workers} worker{'s' if config.workers > 1 else ''}"
    routes = ", ".join(f"{route.path} -> {route.domain or route.bucket}/{route.prefix}" for route in config.route)
    callers = ", ".join(caller.name for caller in config.caller) or "nobody"
    return f"{__version__} serves {routes} for {callers} on {scheme}{config.listen} ({workers})"


def load_usable_config(path: str) -> Config:
    """A configuration of which a gateway can be made."""
    config = load(path)
    # Workers do not look at the certificate: while it is renewed they must start, and take other configurations.
    problems = [] if config.tls is None else list(wrong_tls(config.tls))
    if problems:
        raise config.make_error(problems)
    Policy(config, Board(bytearray(BOARD_SIZE)))
    return config


def _missing_credentials(config: Config) -> Iterator[str]:
    """Which routes have no credentials, and why, as their providers say now."""
    for routes, holder in Policy(config, Board(bytearray(BOARD_SIZE))).sources():
        try:
            holder.provider.get()
        except CosSignError as error:
            yield f"there are no credentials for {routes}: {error}"


class _Master:
    def __init__(self, path: str, config: Config, directory: str) -> None:
        self.path = path
        self.config = config
        self.directory = Path(directory)
        (self.directory / "board").write_bytes(bytes(BOARD_SIZE))
        self.board = Board(_map_board(self.directory))
        self._adopt(config)

    def _adopt(self, config: Config) -> None:
        """Let workers see a configuration."""
        new = self.directory / "new.toml"
        new.write_text(config.text, "utf-8")
        new.replace(self.directory / "gateway.toml")

    def reload(self) -> None:
        try:
            config = load_usable_config(self.path)
            self._adopt(config)
        except Exception as error:  # the next reload must come, even if this file is bad
            self.board.add(b"refused_reloads", 1)
            kind = "" if isinstance(error, (ConfigError, OSError)) else f"{type(error).__name__}: "
            _say(f"the configuration is refused, the old one stays:\n{kind}{error}")
            return
        for field in ("listen", "workers", "graceful_timeout", "tls"):
            if getattr(config, field) != getattr(self.config, field):
                _say(f"warning: a change of {field} needs a restart")
        self.board.add(b"generation", 1)
        for text in (*warnings_of(config), *warnings_of_keys(config)):
            _say(f"warning: {text}")
        _say(f"reloaded: {summary(config)}")

    def listen(self) -> None:
        """Wait for SIGHUP, in a thread of its own: servers would take it for something else."""
        while True:
            signal.sigwait({signal.SIGHUP})
            self.reload()

    def announce(self) -> None:
        """Say what is served, as soon as it is."""
        while self.board.add(b"started", 0) == 0 or not _listens(self.config):
            time.sleep(0.005)
        _say(summary(self.config))


def serve(path: str, check: bool = False) -> int:
    """Run the gateway until it is told to stop.

    Args:
        path: the configuration's file.
        check: only check it.

    Returns:
        The exit status.

    Raises:
        ConfigError: the configuration cannot be used; the message has a line for each problem.
        OSError: the address is in use.
    """
    config = load_usable_config(path)
    for text in (*warnings_of(config), *warnings_of_keys(config)):
        _say(f"warning: {text}")
    if check:
        for text in _missing_credentials(config):
            _say(f"warning: {text}")
        print(f"cossign: {summary(config)}")
        return 0
    _claim(config)
    # Windows removes no file that a process still has in its memory.
    with tempfile.TemporaryDirectory(prefix="cossign-", ignore_cleanup_errors=os.name == "nt") as directory:
        master = _Master(path, config, directory)
        os.environ[_DIRECTORY] = directory
        if hasattr(signal, "SIGHUP"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # workers inherit it
            threading.Thread(target=master.listen, daemon=True).start()
        threading.Thread(target=master.announce, daemon=True).start()
        signal.signal(signal.SIGTERM, _handle_sigterm)  # until granian handles it
        run(config, f"{__name__}:worker")
    return 0


def _handle_sigterm(number: int, frame: object) -> None:
    raise SystemExit(0)


def _address(config: Config) -> tuple[str, int, str | None]:
    """(host, port, path of a Unix socket or None)."""
    if config.listen.startswith("unix:"):
        return "", 0, config.listen.removeprefix("unix:")
    host, _, port = config.listen.rpartition(":")
    return host.strip("[]"), int(port), None


def _claim(config: Config) -> None:
    """See that the address is free, and take away a socket that nobody listens at any more.

    Raises:
        OSError: it is in use, or not this machine's; with the address as its file name.
    """
    host, port, path = _address(config)
    try:
        if path is None:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                if os.name != "nt":  # where it would let two servers have one address
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        elif os.path.lexists(path):
            with socket.socket(socket.AF_UNIX) as probe:
                is_stale = Path(path).is_socket() and probe.connect_ex(path) == errno.ECONNREFUSED
            if not is_stale:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            os.unlink(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, config.listen) from None


def _listens(config: Config) -> bool:
    """Whether somebody takes connections at its address."""
    host, port, path = _address(config)
    try:
        if path is None:
            anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - Windows connects to no such address
            socket.create_connection((anywhere.get(host or "", host), port), 1).close()
        else:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
    except OSError:
        return False
    return True


_DEATH_WINDOW = 60  # seconds in which a worker's deaths count
_LONGEST_PAUSE = 5  # seconds


def _pause(deaths: int) -> float:
    """Seconds until a worker is started again that has died so many times of late: first none, then more and more."""
    return min(_LONGEST_PAUSE, 0.1 * 2.0 ** min(deaths, 16)) if deaths > 1 else 0


def _connections() -> int:
    """How many connections a worker takes at once; the process is allowed as many files as they need."""
    if sys.platform == "win32":
        return _CONNECTIONS
    import resource

    files = _CONNECTIONS + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < files:
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _CONNECTIONS if soft == resource.RLIM_INFINITY else max(64, min(_CONNECTIONS, soft - _OTHER_FILES))


def run(config: Config, target: str) -> None:
    """Run granian's workers at the configuration's address until a signal ends them.

    Args:
        config: its `listen`, `workers` and `graceful_timeout` count.
        target: "module:function"; in a worker, the function returns the ASGI application.
    """
    from granian.constants import HTTPModes, Interfaces, SSLProtocols
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server import Server

    class PersistentServer(Server):  # type: ignore[misc, valid-type]
        """Starts workers again as often as they die; granian's own loop ends at two deaths within seconds."""

        def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
            deaths: dict[int, list[float]] = {}  # by the worker's number: when
            restart_times: dict[int, float] = {}  # when it is started again
            while not self.interrupt_signal:
                now = time.monotonic()
                for number in [number for number, at in restart_times.items() if at <= now]:
                    try:
                        self._respawn_workers([number], spawn_target, target_loader)
                    except OSError as error:  # no memory or no processes just now
                        _say(f"a worker cannot be started ({error.strerror}); again in {_LONGEST_PAUSE} s")
                        restart_times[number] = now + _LONGEST_PAUSE
                    else:
                        del restart_times[number]
                pause = min(restart_times.values()) - now if restart_times else None
                self.main_loop_interrupt.wait(waits.at_once(pause))
                self.main_loop_interrupt.clear()
                while self.interrupt_children:
                    number = self.interrupt_children.pop()
                    now = time.monotonic()
                    deaths[number] = [at for at in deaths.get(number, []) if now - at < _DEATH_WINDOW] + [now]
                    restart_times[number] = now + _pause(len(deaths[number]))
                    _say(f"a worker has died; it is started again in {_pause(len(deaths[number])):g} s")

    host, port, path = _address(config)
    server = PersistentServer(
        target,
        address=host,
        port=port,
        uds=Path(path) if path else None,
        uds_permissions=0o660 if path else None,
        interface=Interfaces.ASGI,
        workers=config.workers,
        backpressure=_connections(),
        http=HTTPModes.http1,  # granian waits without end for the first byte if it may be HTTP/2's
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADERS_TIMEOUT * 1000, max_buffer_size=_LONGEST_HEAD),
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=config.graceful_timeout,
        factory=True,
        ssl_protocol_min=SSLProtocols.tls12,
        ssl_cert=Path(config.tls.certificate) if config.tls else None,
        ssl_key=Path(config.tls.key) if config.tls else None,
    )
    server.serve()
