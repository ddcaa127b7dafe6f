"""Files that get their names when they are complete, and that never replace another user's file."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeAlias

from cossign.batch.outputs.paths import IS_WINDOWS, descriptor_of, is_stream, temporary
from cossign.errors import ParameterError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
try:
    import msvcrt
except ImportError:
    msvcrt = None  # type: ignore[assignment]

_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


# What a file system answers that cannot do something: NFS without lockd, Lustre without -o flock, FUSE, CIFS.
_CANNOT = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EBADF}

_TRIES, _PAUSE = 20, 0.25  # and seconds, in which Windows' other programs may close a file
_LOCKED_BYTE = 0x7FFF_FFFE  # the last that Windows' function finds by its 32 bits

Warn: TypeAlias = Callable[[str], object]  # is called with what a file system cannot do


@contextlib.contextmanager
def output_file(path: str, warn: Warn) -> Iterator[IO[bytes]]:
    """Open a path for a ``with`` block: a stream as it is, or else a `complete_file` where the path's link leads."""
    number = descriptor_of(path)
    if number == 1 and sys.__stdout__ is None:
        raise OSError(errno.EBADF, "it is closed", "stdout")
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif number is not None:
        with open(os.dup(number), "wb") as raw:
            yield raw
    elif is_stream(path):
        with open(path, "wb") as raw:
            yield raw
    else:
        with complete_file(Path(os.path.realpath(path)), warn) as raw:
            yield raw


@contextlib.contextmanager
def complete_file(final: Path, warn: Warn) -> Iterator[IO[bytes]]:
    """A file for a ``with`` block: it gets its name at the end, on the disk for good, and is gone if the block fails.

    It takes the mode of the file that it replaces.

    Raises:
        ParameterError: another job is writing it, or its temporary name belongs to somebody else.
    """
    raw = open_temporary(final, warn)
    try:
        yield raw
        give_name(raw, final, warn)
    except BaseException:
        discard(raw, final)
        raise
    finally:
        with named_errors(final):
            raw.close()


@contextlib.contextmanager
def named_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Add the path to an OSError of a ``with`` block that does not name one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from None


def discard(raw: IO[bytes], final: Path) -> None:
    """Remove a temporary file. If it has its name already, leave what is there now: another job may have made it."""
    path = temporary(final)
    with contextlib.suppress(OSError):
        if raw.closed or os.path.samestat(os.fstat(raw.fileno()), os.lstat(path)):
            if IS_WINDOWS:  # where a file that is open cannot be removed
                raw.close()
            path.unlink(missing_ok=True)


def give_name(raw: IO[bytes], final: Path, warn: Warn) -> None:
    """Write a temporary file to the disk for good, and give it its name and the mode of the file that it replaces.

    Raises:
        ParameterError: the temporary name belongs to another file now.
    """
    path = temporary(final)
    with named_errors(final):
        raw.flush()
        _take_mode(raw.fileno(), final)
        sync(raw.fileno(), final, warn)
        if not os.path.samestat(os.fstat(raw.fileno()), os.lstat(path)):
            raise ParameterError("output", f"{path} was replaced while it was written: does another job write {final}?")
        if IS_WINDOWS:  # where a file that is open gets no other name
            raw.close()
            _replace_when_closed(path, final)
        else:
            os.replace(path, final)
    sync_directory(final.parent, warn, final)


def _replace_when_closed(path: Path, final: Path) -> None:
    """Give a file its name on Windows, where another program that has the old file open prevents it for a while.

    Raises:
        ParameterError: it still has it open after some seconds. What was written has the suffix ``.new`` then.
    """
    for _ in range(_TRIES):
        try:
            os.replace(path, final)
        except PermissionError:
            time.sleep(_PAUSE)
        else:
            return
    names = (final.with_name(f"{final.name}.new{number or ''}") for number in itertools.count())
    other = next(name for name in names if not os.path.lexists(name))
    os.rename(path, other)  # which replaces nothing on Windows
    raise ParameterError("output", f"{final} is open in another program, or read-only: the output is in {other}")


def _take_mode(descriptor: int, final: Path, mask: int = 0o7777) -> None:
    """Give a file the mode of the one that it is to replace, as far as `mask` allows."""
    with contextlib.suppress(OSError):
        before = os.lstat(final)
        if stat.S_ISREG(before.st_mode) and not IS_WINDOWS and hasattr(os, "fchmod"):
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode) & mask)


def open_temporary(final: Path, warn: Warn, keep: bool = False) -> IO[bytes]:
    """A file's temporary one, locked until it is closed, or the process ends.

    Args:
        final: the file.
        warn: called if the file system has no locks.
        keep: whether what an earlier job of the same user has left there is taken over; otherwise it is removed.

    Raises:
        ParameterError: another job has it, or it is a link, a device, or a file of another user.
    """
    path = temporary(final)
    while True:
        try:
            descriptor, is_new = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666), True
            _take_mode(descriptor, final, stat.S_IMODE(os.fstat(descriptor).st_mode))
        except FileExistsError:
            try:
                descriptor, is_new = own_file(path), False
            except FileNotFoundError:  # it was completed in the meantime
                continue
            except PermissionError:
                if keep or not _is_ours(os.lstat(path), path):
                    raise
                os.unlink(path)  # a killed job left it, read-only like the file that it was to replace
                continue
        except OSError as error:  # of the directory: name the file that is meant
            raise type(error)(error.errno, error.strerror, str(final)) from None
        try:
            if not lock(descriptor, final.name, warn) and not is_new and not keep:
                raise ParameterError(
                    "output", f"{path} exists, and its file system has no locks: remove it if no job writes it"
                )
            is_there = os.path.lexists(path) and os.path.samestat(os.fstat(descriptor), os.lstat(path))
            if is_there and not is_new and not keep:
                if not IS_WINDOWS:
                    os.unlink(path)
                    is_there = False
                else:
                    os.ftruncate(descriptor, 0)
            if is_there:
                return open(descriptor, "r+b")
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was completed, or given up, while we waited


def own_file(path: Path, create: bool = False) -> int:
    """Open a file of ours for reading and writing.

    Raises:
        ParameterError: it is a link, not a regular file, another user's, or has a second name. Somebody may have put
            it there to redirect or read what we write.
    """
    if create:
        with contextlib.suppress(FileExistsError):
            return os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
    if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):
        raise _foreign_error(path)
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EMLINK):
            raise _foreign_error(path) from None
        raise
    if not _is_ours(os.fstat(descriptor), path):
        os.close(descriptor)
        raise _foreign_error(path)
    return descriptor


def _is_ours(status: os.stat_result, path: Path) -> bool:
    """Whether a regular file has one name, and belongs to this user or to its directory's owner."""
    owners = {os.geteuid(), os.stat(path.parent).st_uid} if hasattr(os, "geteuid") else {status.st_uid}
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1 and status.st_uid in owners


def _foreign_error(path: Path) -> ParameterError:
    return ParameterError("output", f"{path} is a link or another user's file: find out who put it there")


def lock(descriptor: int, name: str, warn: Warn) -> bool:
    """Lock a file, or say at once that another job has it; returns whether it is locked."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            _lock_byte(descriptor)
    except BlockingIOError:
        raise ParameterError(
            "output", f"{name} is being written by another job: wait for it, or choose another name"
        ) from None
    except OSError as error:
        if error.errno not in _CANNOT:
            raise OSError(error.errno, f"it cannot be locked: {error.strerror}", name) from None
        warn(f"the file system has no locks ({error.strerror}): make sure that no other job writes to this place")
        return False
    return True


def _lock_byte(descriptor: int) -> None:
    """Lock a byte on Windows. No other process may read or write it, so that it lies where short files have none."""
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except PermissionError as error:
        raise BlockingIOError(errno.EAGAIN, error.strerror) from None
    finally:
        os.lseek(descriptor, place, os.SEEK_SET)


def _fsync(descriptor: int) -> None:
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:  # macOS, where fsync leaves data in the disk's own memory
        with contextlib.suppress(OSError):  # a file system that cannot do it
            fcntl.fcntl(descriptor, full)
            return
    os.fsync(descriptor)


def sync(descriptor: int, path: Path, warn: Warn) -> None:
    """Put a file on the disk for good."""
    with named_errors(path):
        try:
            _fsync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            warn(f"the file system cannot sync ({error.strerror}): what is written may be lost in a power cut")


def sync_directory(folder: Path, warn: Warn, entry: Path | None = None) -> None:
    """Put a directory's names on the disk for good; `entry` is the one that an error names."""
    if IS_WINDOWS:
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # it may be written, and not be listed
        return
    try:
        sync(descriptor, entry or folder, warn)
    finally:
        os.close(descriptor)
