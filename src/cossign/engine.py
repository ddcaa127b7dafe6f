"""Which engine signs, and how many threads: chosen by the caller, the environment or this machine."""

from __future__ import annotations

import os
from typing import Any

from cossign import _core
from cossign._core import Engine
from cossign.errors import ParameterError

__all__ = ["engines"]

_MOST_THREADS = 1024


def engines() -> tuple[str, ...]:
    """The engines of this machine, fastest first; "hashlib" is always last and always there.

    >>> engines()[-1]
    'hashlib'
    """
    return _core.engines()


def chosen_engine(name: Any = "auto") -> Engine:
    """An engine by its name; the environment variable COSSIGN_ENGINE overrides "auto"."""
    parameter = "engine"
    if name == "auto" and os.environ.get("COSSIGN_ENGINE"):
        parameter, name = "COSSIGN_ENGINE", os.environ["COSSIGN_ENGINE"]
    try:
        return _core.engine(name)
    except (ValueError, TypeError):
        raise ParameterError(parameter, f"must be one of: auto, {', '.join(engines())}") from None


def checked_threads(threads: Any) -> None:
    """Refuse a number of threads that a bulk call cannot use."""
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise ParameterError("threads", f"must be an int, not {type(threads).__name__}")
    if threads < 1:
        raise ParameterError("threads", "must be at least 1")
    if threads > _MOST_THREADS:
        raise ParameterError("threads", f"must be at most {_MOST_THREADS}")
