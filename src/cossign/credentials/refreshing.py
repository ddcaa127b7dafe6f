"""Temporary credentials that renew themselves in the background, before the old ones end."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError  # the built-in one from Python 3.11 on
from typing import Any, ClassVar, NamedTuple

from cossign.credentials.answers import RefusedAnswer, read_answer
from cossign.credentials.base import Credentials
from cossign.credentials.clock import Clock, elapsed_seconds
from cossign.errors import CredentialsError, CredentialsNotFound, ParameterError

__all__ = ["RefreshingCredentials"]

_log = logging.getLogger("cossign.credentials")
_log.addHandler(logging.NullHandler())  # a program that sets up no logging is told by errors alone
_FOREVER = float("inf")
_MOMENT = 0.05  # seconds

FetchResult = Credentials | Mapping[str, Any] | str | bytes


class _State(NamedTuple):
    """What there is, and when it must be renewed; one object, so that readers need no lock.

    Attributes:
        credentials: what there is, or None.
        expires_at, renew_at: Unix seconds by the clock.
        expires_elapsed, renew_elapsed: the same instants of `elapsed_seconds`, in case the machine's clock is set back.
    """

    credentials: Credentials | None = None
    expires_at: float = -_FOREVER
    renew_at: float = -_FOREVER
    expires_elapsed: float = -_FOREVER
    renew_elapsed: float = -_FOREVER

    def is_fresh(self, now: float) -> bool:
        """Whether nothing must be renewed yet."""
        return now < self.renew_at and elapsed_seconds() < self.renew_elapsed

    def holds(self, now: float, margin: float = 0) -> bool:
        """Whether the credentials hold now and for some seconds more."""
        return now + margin < self.expires_at and elapsed_seconds() + margin < self.expires_elapsed


class RefreshingCredentials:
    """Temporary credentials from a function, renewed in the background before they end.

    The function never runs twice at the same time, for any number of threads and tasks. It runs in a separate thread.
    Meanwhile, and after a failure, the current credentials are used until they end. After a failure the next call waits
    up to half a minute, with jittered exponential backoff.

    Args:
        fetch: a function without parameters that returns Credentials with `expires_at`, or the answer of STS, of one of
            its SDKs, or of a getAuthorization callback, as a mapping or as JSON text: TmpSecretId, TmpSecretKey, Token
            (SessionToken, SecurityToken), ExpiredTime or Expiration. It may be a coroutine function, which runs in an
            event loop of that thread. It should end within seconds.
        refresh_before: how many seconds before the end new ones are requested, at most half of the lifetime.
        attempts: how often the function is called before waiting callers get an error.
        timeout: the most seconds that `get` and `get_async` wait for credentials.
        clock: the clock for the expiry; see `Clock`.

    >>> provider = RefreshingCredentials(lambda: Credentials("AKIDEXAMPLE", "key", "token", expires_at=4102444800))
    >>> provider.get().secret_id
    'AKIDEXAMPLE'
    """

    _instances: ClassVar[weakref.WeakSet[RefreshingCredentials]] = weakref.WeakSet()

    def __init__(
        self,
        fetch: Callable[[], FetchResult | Awaitable[FetchResult]],
        *,
        refresh_before: float = 300,
        attempts: int = 3,
        timeout: float = 30,
        clock: Clock | None = None,
    ) -> None:
        if not callable(fetch):
            raise ParameterError("fetch", f"must be a function that returns Credentials, not {type(fetch).__name__}")
        for name, value in (("refresh_before", refresh_before), ("attempts", attempts), ("timeout", timeout)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 10**9:
                raise ParameterError(name, "must be a number greater than 0")
        if not isinstance(attempts, int):
            raise ParameterError("attempts", "must be a whole number")
        self._fetch = fetch
        self._arguments: tuple[Any, ...] = (fetch,)
        self._options: dict[str, Any] = {
            "refresh_before": refresh_before, "attempts": attempts, "timeout": timeout, "clock": clock,
        }  # fmt: skip
        self._refresh_before = refresh_before
        self._attempts = attempts
        self._timeout = timeout
        self._clock = Clock() if clock is None else clock
        self._begin_anew()
        RefreshingCredentials._instances.add(self)

    def _begin_anew(self) -> None:
        """Know of no refresh: at the beginning, and after a fork, which leaves threads and held locks behind."""
        self._lock = threading.Lock()
        self._current_refresh: Future[CredentialsError | None] | None = None
        self._failures = 0
        self._retry_at = 0.0  # time.monotonic() of the next call after a failure
        self._failure: CredentialsError | None = None
        self._state = getattr(self, "_state", _State())

    # --- Asking

    def get(self) -> Credentials:
        """The credentials to use now. It blocks only if there are none that are valid.

        Raises:
            CredentialsError: there are none, and none could be fetched; the message says why.
        """
        credentials, refresh = self._get_or_refresh()
        if credentials is not None:
            return credentials
        assert refresh is not None
        try:
            error = refresh.result(self._timeout)
        except FutureTimeoutError:
            raise self._timeout_error() from None
        return self._outcome(error)

    async def get_async(self) -> Credentials:
        """As `get`, without blocking the event loop. The next `get` will not have to wait."""
        credentials, refresh = self._get_or_refresh(_MOMENT)
        if credentials is not None:
            return credentials
        import asyncio

        assert refresh is not None
        future = asyncio.wrap_future(refresh)
        try:
            error = await asyncio.wait_for(future, self._timeout)
        except asyncio.TimeoutError:
            raise self._timeout_error() from None
        return self._outcome(error)

    def _get_or_refresh(self, margin: float = 0) -> tuple[Credentials | None, Future[CredentialsError | None] | None]:
        """The credentials that hold now and for some seconds ahead, or else the refresh to wait for."""
        state = self._state
        now = self._clock.now()
        if state.is_fresh(now):
            return state.credentials, None
        refresh = self._refresh(state.holds(now, margin))
        state = self._state
        if refresh is None or state.holds(now, margin):
            return state.credentials, None
        return None, refresh

    def _outcome(self, error: CredentialsError | None) -> Credentials:
        """What a refresh that was waited for has brought."""
        state = self._state
        if state.holds(self._clock.now()):
            assert state.credentials is not None
            return state.credentials
        if error is not None:
            raise _copy_error(error)
        raise CredentialsError("the new credentials have already expired")

    def _timeout_error(self) -> CredentialsError:
        return CredentialsError(f"{self!r}: no credentials within {self._timeout:g} s; the call is still running")

    # --- Refreshing

    def _refresh(self, has_credentials: bool) -> Future[CredentialsError | None] | None:
        """The refresh that is under way, begun if need be; None while it is too early after a failure.

        Raises:
            CredentialsError: it is too early, and there is nothing to serve meanwhile.
        """
        with self._lock:
            if self._current_refresh is not None:
                return self._current_refresh
            if self._state.is_fresh(self._clock.now()):  # another thread was faster
                return None
            if time.monotonic() < self._retry_at:
                if has_credentials:
                    return None
                assert self._failure is not None
                raise _copy_error(self._failure)
            refresh: Future[CredentialsError | None] = Future()
            refresh.set_running_or_notify_cancel()  # who gives up waiting must not cancel it for the others
            thread = threading.Thread(target=self._run, args=(refresh,), name="cossign-credentials", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no thread to be had, or the interpreter ends
                if has_credentials:
                    return None
                raise CredentialsError(f"{self!r}: no thread to fetch credentials in: {error}") from None
            self._current_refresh = refresh
            return refresh

    def _run(self, refresh: Future[CredentialsError | None]) -> None:
        """Fetch, in the thread of a refresh."""
        error: CredentialsError | None = None
        credentials: Credentials | None = None
        attempt = 0
        try:
            while True:
                attempt += 1
                try:
                    credentials = self._fetch_credentials()
                    break
                except CredentialsError as failure:
                    error = _copy_error(failure)
                except Exception as failure:
                    error = CredentialsError(f"{self!r}: {_describe_error(failure)}")
                except BaseException as failure:  # SystemExit: nobody must wait for ever
                    error = CredentialsError(f"{self!r}: {_describe_error(failure)}")
                    break
                _log.debug("%r: attempt %d failed: %s", self, attempt, error)
                if attempt >= self._attempts or isinstance(error, (CredentialsNotFound, RefusedAnswer)):
                    break
                time.sleep(random.uniform(0.5, 1) * min(0.1 * 2**attempt, 2))  # noqa: S311
        finally:
            self._end(refresh, credentials, error)

    def _fetch_credentials(self) -> Credentials:
        """New credentials that hold now."""
        answer: Any = self._fetch()
        if isinstance(answer, Awaitable):
            import asyncio

            async def await_answer() -> Any:
                return await answer

            return self._check_answer(asyncio.run(await_answer()))
        return self._check_answer(answer)

    def _check_answer(self, answer: Any) -> Credentials:
        credentials = answer if isinstance(answer, Credentials) else read_answer(answer)
        if credentials.expires_at is not None and credentials.expires_at <= (now := self._clock.now()):
            age = now - credentials.expires_at
            raise CredentialsError(f"{self!r}: the new credentials expired {age:.0f} s ago; is this clock right?")
        return credentials

    def _end(
        self, refresh: Future[CredentialsError | None], credentials: Credentials | None, error: CredentialsError | None
    ) -> None:
        """Take what a refresh has brought, and wake who waits for it."""
        now = self._clock.now()
        with self._lock:
            if credentials is not None:
                expires_at = _FOREVER if credentials.expires_at is None else credentials.expires_at
                lifetime = expires_at - now
                # At most half of what is left: a service may go on giving the same ones for a while.
                renew_after = max(lifetime - self._refresh_before, lifetime / 2)
                elapsed = elapsed_seconds()
                self._state = _State(
                    credentials, expires_at, now + renew_after, elapsed + lifetime, elapsed + renew_after
                )
                self._failures = 0
                self._retry_at = 0.0
                self._failure = None
                _log.debug("%r: new credentials, which hold for %.0f s", self, lifetime)
            else:
                self._failures += 1
                self._failure = error
                self._retry_at = time.monotonic() + random.uniform(0.5, 1) * min(  # noqa: S311
                    0.25 * 2 ** min(self._failures, 8), 30
                )
                seconds_left = self._state.expires_at - now
                if seconds_left > 0:
                    _log.warning("%s; the old credentials serve for %.0f s more", error, seconds_left)
                else:
                    _log.log(logging.DEBUG if isinstance(error, CredentialsNotFound) else logging.WARNING, "%s", error)
            self._current_refresh = None
        refresh.set_result(None if credentials is not None else error)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self._fetch, '__qualname__', type(self._fetch).__name__)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """How to fetch credentials, never the ones that were fetched."""
        return _rebuild, (type(self), self._arguments, self._options)


def _rebuild(kind: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return kind(*arguments, **options)


def _after_fork() -> None:
    for each in RefreshingCredentials._instances:
        each._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _copy_error(error: CredentialsError) -> CredentialsError:
    """The same error for another who waits: without the frames, and what is in them, of where it was raised."""
    return type(error)(*error.args)


def _describe_error(error: BaseException) -> str:
    """What a stranger's function raised, and where; not its text, which may hold the answer."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" at {os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}"
    return f"{type(error).__name__}{place}"
