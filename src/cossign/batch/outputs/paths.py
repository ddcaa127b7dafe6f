"""The paths that a job writes, and the checks before the work."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from cossign.errors import ParameterError

IS_WINDOWS = os.name == "nt"


def is_stream(path: str) -> bool:
    """Whether a path is stdout (-), a pipe, a device or an open file. We write to it and never replace it."""
    is_special = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    return is_special or descriptor_of(path) is not None


def descriptor_of(path: str) -> int | None:
    """The number of the open file that a path such as /dev/stdout means; None for any other path."""
    descriptors = {"-": 1, "/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
    match = re.fullmatch("(?:/dev|/proc/self)/fd/([0-9]{1,6})", path)
    return int(match[1]) if match else descriptors.get(path)


def is_directory(path: str) -> bool:
    """Whether a path is a directory, or is written as one is."""
    return path.endswith(("/", os.sep)) or os.path.isdir(path)


def check_folder(folder: str, inputs: Iterable[str]) -> None:
    """Refuse a directory of parts that is a file, or lies in an input."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ParameterError("output", f"{folder} is not a directory, which parts need")
    full_path = Path(folder).resolve()
    for path in inputs:
        if path != "-" and os.path.isdir(path) and Path(path).resolve() in (full_path, *full_path.parents):
            raise ParameterError("output", f"{folder} lies in the input {path}: choose another place")


def check_outputs(outputs: Mapping[str, str | None], inputs: Iterable[str] = (), folder: str | None = None) -> None:
    """Refuse paths that must not be written: inputs, the same file twice, directories.

    Args:
        outputs: what each path is called in an error, and the path; None if it is not given.
        inputs: the files that are read.
        folder: the directory that is filled with parts, if there is one.

    Raises:
        ParameterError: a path would replace an input, or what another path names, or is a directory.
    """
    inputs = list(inputs)
    input_paths = {_identity("/dev/stdin" if path == "-" else path): path for path in inputs}
    output_names = {_identity(f"/dev/{name}"): name for name in ("stdout", "stderr")}
    if folder is not None:
        if _identity(folder) in input_paths:
            raise ParameterError("output", f"{folder} is one of the inputs: choose another name")
        for input_path in inputs:
            if _is_in(input_path, folder):
                raise ParameterError(
                    "output", f"{folder} holds the input {input_path} under a name of the job's own files"
                )
    for name, path in outputs.items():
        if path is None:
            continue
        if is_directory(path):
            raise ParameterError(name, f"{path} is a directory: name a file")
        identities: list[object]
        if is_stream(path):
            number = descriptor_of(path)
            identities = [] if number is None else [number]  # a device may have several uses
        else:
            part = str(temporary(Path(os.path.realpath(path))))
            for each in (path, part):
                if _identity(each) in input_paths:
                    raise ParameterError(
                        name, f"{each} is one of the inputs, which it would replace: choose another name"
                    )
            identities = [_identity(path), _identity(part)]
            if folder is not None and _is_in(path, folder):
                raise ParameterError(name, f"{path} is a name that the job's own files have: choose another one")
        for identity in identities:
            if identity in output_names:
                raise ParameterError(name, f"{path} is written by `{output_names[identity]}`, too: choose another name")
            output_names[identity] = name


def _is_in(path: str, folder: str) -> bool:
    """Whether a file is one of those that a job has in its directory: its parts, its journal, temporary ones."""
    parent, name = os.path.split(os.path.realpath(path))
    return parent == os.path.realpath(folder) and name.startswith(("part-", "."))


def _identity(path: str) -> object:
    """A value that is equal for two names of one file. Two streams are never equal."""
    number = descriptor_of(path)
    try:
        status = os.stat(path) if number is None else os.fstat(number)
    except OSError:
        return os.path.normcase(os.path.realpath(path))
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) or number is None else object()


def temporary(final: Path) -> Path:
    """Where a file is written until it is complete."""
    return final.with_name(f".{final.name}.part")
