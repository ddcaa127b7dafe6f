"""The choice of the engine and of the number of threads: by the caller, the environment or the machine."""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import Any

from cossign import _core
from cossign._core import ALL_FEATURES, CPU, KEY, SIGNATURE, STRICT, Engine, RowDifferences, Secret, Template
from cossign.errors import ParameterError

__all__ = ["engines"]

_MOST_THREADS = 1024


_START, _END = 1557989753, 1557996953


def engines() -> tuple[str, ...]:
    """The engines of this machine, fastest first. The last one is always "hashlib".

    >>> engines()[-1]
    'hashlib'
    """
    return tuple(each.name for each in _engines_here() if _is_right(each))


def chosen_engine(name: Any = "auto") -> Engine:
    """An engine by its name; the environment variable COSSIGN_ENGINE overrides "auto"."""
    parameter = "engine"
    if name == "auto" and os.environ.get("COSSIGN_ENGINE"):
        parameter, name = "COSSIGN_ENGINE", os.environ["COSSIGN_ENGINE"]
    for each in _engines_here():
        if name in ("auto", each.name) and _is_right(each):
            return each
    raise ParameterError(parameter, f"must be one of: auto, {', '.join(engines())}")


def engine_reasons() -> list[tuple[str, str]]:
    """Every engine that was built, fastest first, and why it signs, is ready or is off.

    >>> engine_reasons()[-1]
    ('hashlib', "ready: it is Python's own")
    """
    without, ready, by_name = _features_taken_away(), engines(), os.environ.get("COSSIGN_ENGINE")
    first = by_name if by_name in ready else ready[0]
    reasons = []
    for engine in _core.engines_for(ALL_FEATURES):
        lacking, off = set(engine.needs).difference(CPU), set(engine.needs).intersection(without)
        if lacking:
            reason = f"off: this CPU, or its system, lacks {_names_of(lacking)}"
        elif off:
            reason = f"off: COSSIGN_CPU_WITHOUT takes {_names_of(off)} away"
        elif engine.name not in ready:
            reason = "off: it disagrees with hashlib on this machine. Please report this, with the machine's CPU"
        elif engine.name == first:
            reason = f"signs: {'COSSIGN_ENGINE chooses it' if first == by_name else 'it is the fastest that is ready'}"
        else:
            reason = "ready: it " + ("is Python's own" if engine.name == "hashlib" else "agrees with hashlib")
        reasons.append((engine.name, reason))
    return reasons


def _names_of(features: set[str]) -> str:
    return " and ".join(name for name in ALL_FEATURES if name in features)


def _features_taken_away() -> list[str]:
    """What COSSIGN_CPU_WITHOUT names: tests run as on a CPU without it."""
    names = os.environ.get("COSSIGN_CPU_WITHOUT", "").replace(",", " ").split()
    for name in names:
        if name not in ALL_FEATURES:
            raise ParameterError("COSSIGN_CPU_WITHOUT", f"must hold names out of {', '.join(ALL_FEATURES)}, not {name}")
    return names


def _engines_here() -> tuple[Engine, ...]:
    """The engines that this CPU can run, fastest first."""
    without = _features_taken_away()
    return _engines_of(tuple(name for name in CPU if name not in without))


@cache
def _engines_of(features: tuple[str, ...]) -> tuple[Engine, ...]:
    return _core.engines_for(features)


@cache
def _is_right(engine: Engine) -> bool:
    """Whether an engine gives hashlib's bytes; tried once, at its first use."""
    if engine.name == "hashlib":
        return True
    hashlib, noise = _engines_of(())[-1], os.urandom(512)
    if _samples(engine, noise) == _samples(hashlib, noise):
        return True
    warnings.warn(
        f"cossign's engine {engine.name!r} is switched off: on this machine it disagrees with hashlib. "
        "Please report this, with the machine's CPU",
        RuntimeWarning,
        stacklevel=3,
    )
    return False


def _samples(engine: Engine, noise: bytes) -> list[Any]:
    """Signatures of HttpStrings, as many and as long as lead through every path of the lanes.

    Then URLs, of plain and of escaped keys: the engine lays the rows out, too. Last, URLs whose methods and expiries
    differ.
    """
    secret = Secret(noise[:18].hex())
    sign_key = secret.sign_key(f"{_START};{_END}")
    http_strings = [noise[number:][: 110 if number < 16 else 11 * number] for number in range(31)]
    keys: list[str | None] = [
        noise[number : 3 * number + 1].hex() + ("", "", " ", "\u4e2d/.x", "\xe9+%")[number % 5] + "a" * (number % 7)
        for number in range(80)
    ]
    http: list[bytes | int] = [b"get\n", KEY, b"\n\nhost=example.com\n"]
    text: list[bytes | int] = [b"https://example.com", KEY, b"?q-signature=", SIGNATURE]
    template = Template(http, text, sign_key, STRICT, "keys", engine)
    return [
        _core.signatures(engine, sign_key, http_strings),
        _core.sign_many(template, keys, (), (), None),
        _urls_that_differ(engine, secret, keys[:30]),
    ]


def _urls_that_differ(engine: Engine, secret: Secret, keys: list[str | None]) -> list[str]:
    """The URLs of some keys. Each key has its own method and expiry."""

    def make(texts: tuple[str | None, ...], absent: tuple[int, ...] = ()) -> Template:
        method, seconds = texts
        key_time = f"{_START};{_START + int(seconds or 0)}"
        times = key_time.replace(";", "%3B")
        http: list[bytes | int] = [f"{method}\n".lower().encode(), KEY, b"\n\nhost=example.com\n"]
        query = f"?a&q-sign-time={times}&q-key-time={times}&q-signature=".encode()
        text: list[bytes | int] = [b"https://example.com", KEY, query, SIGNATURE]
        return Template(http, text, secret.sign_key(key_time), STRICT, "keys", engine)

    columns = ["GET", "PUT", "delete"] * len(keys), [60 * (1 + number % 11) for number in range(len(keys))]
    names = "method", "expires"
    template = make(("GET", "7200"))
    differences = RowDifferences(template, make, names, secret, (_START, 0))
    return _core.sign_many(template, keys, columns, names, None, 1, differences)


def checked_threads(threads: Any) -> None:
    """Refuse a number of threads that a bulk call cannot use."""
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise ParameterError("threads", f"must be an int, not {type(threads).__name__}")
    if threads < 1:
        raise ParameterError("threads", "must be at least 1")
    if threads > _MOST_THREADS:
        raise ParameterError("threads", f"must be at most {_MOST_THREADS}")
