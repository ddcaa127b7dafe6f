"""Credentials as values, from a function, or from the environment; and the interface of every provider."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cossign._core import Secret, SignKey
from cossign.errors import CredentialsError, CredentialsNotFound, CredentialsWarning, ParameterError, warn_caller

__all__ = ["Credentials", "CredentialsProvider", "EnvironmentCredentials", "FunctionCredentials"]

_VISIBLE_TEXT = re.compile(r"[!-~]+")
_QUOTES = "\"'`“”‘’«»„"  # noqa: RUF001
# Of documents, shells, templates and CI systems; and what a program prints for a value that it does not have.
_PLACEHOLDER = re.compile(
    r"<.*>?|\$[A-Za-z_({].*|%\w+%|%\(\w+\)s|#?\{.*\}|\[.*\]|__\w+__|.*\*\*\*.*|None|null|nil|undefined", re.DOTALL
)
_TEMPORARY_LENGTH = 60  # characters that no permanent SecretId has: those have 36
_MILLISECONDS = 253_402_300_800  # a number from here on is in milliseconds: in seconds it would be the year 10000
_MOST_MILLISECONDS = 10**14


class CredentialsProvider(Protocol):
    """Any object with ``get() -> Credentials``. It is called for each call or batch, so it may refresh them.

    If it may have to wait, give it ``async get_async() -> Credentials``, too; see `Signer.ready`.
    """

    def get(self) -> Credentials:
        """The credentials to use now."""
        ...


CredentialsSource = CredentialsProvider | Callable[[], "Credentials"]


async def get_credentials(provider: CredentialsProvider) -> Credentials:
    """A provider's credentials without blocking the event loop: by its `get_async`, or else in a thread."""
    get_async = getattr(provider, "get_async", None)
    if get_async is None:
        import asyncio

        return await asyncio.to_thread(provider.get)
    credentials: Credentials = await get_async()
    return credentials


def as_provider(source: Any, parameter: str = "credentials") -> CredentialsProvider:
    """Credentials, a provider of them, or a function without parameters that returns them, as a provider.

    Raises:
        ParameterError: it is something else.
    """
    get = getattr(source, "get", None)
    if not isinstance(source, (Mapping, type)) and callable(get) and _needs_nothing(get):
        provider: CredentialsProvider = source
        return provider
    if callable(source) and not isinstance(source, type):
        function: Any = source
        return FunctionCredentials(function)
    raise ParameterError(
        parameter,
        "must be Credentials, a provider with get() -> Credentials, or a function that returns Credentials, "
        f"not {source.__name__ if isinstance(source, type) else type(source).__name__}",
    )


def _needs_nothing(get: Any) -> bool:
    """Whether a method can be called without arguments: those of requests.Session and of dicts cannot."""
    if getattr(type(getattr(get, "__self__", None)), "__module__", "").startswith("cossign."):
        return True
    import inspect

    try:
        inspect.signature(get).bind()
    except TypeError:
        return False
    except ValueError:  # it is not written in Python, and does not say
        return True
    return True


# --- What a value looks like ------------------------------------------------------------------------------------------


def check_visible(name: str, value: object) -> str:
    """A SecretId, SecretKey or token of its form; `name` is what the caller calls it.

    Raises:
        CredentialsError: it is not; the message says what is wrong, and shows no value.
    """
    if not isinstance(value, str):
        fault = f"must be a str, not {type(value).__name__}"
    else:
        fault = _fault(value) if value else "is empty"
        if not fault:
            return value
    del value  # who shows a frame's variables shows none
    raise CredentialsError(f"{name} {fault}")


def _fault(value: str) -> str:
    """What is wrong with a value, and what to do; "" if nothing is."""
    ends = value[0], value[-1]
    if value[0] == "\ufeff":
        return "begins with a byte order mark, as Windows' editors write it: save the file as UTF-8 without it"
    if "\r" in ends or "\n" in ends:
        return "begins or ends with a line break: remove it, for example with strip()"
    if ends[0].isspace() or ends[1].isspace():
        return "begins or ends with white space: remove it"
    if ends[0] in _QUOTES or ends[1] in _QUOTES:
        return "begins or ends with a quote: remove it (docker's --env-file and INI files keep quotes)"
    if _PLACEHOLDER.fullmatch(value):
        return "is a placeholder, such as <SecretId>, ${NAME} or null: put the real value there"
    if not _VISIBLE_TEXT.fullmatch(value):
        return "holds a space, a line break or another character that it cannot have: copy it again"
    return ""


def is_temporary_id(secret_id: str) -> bool:
    """Whether a SecretId is as long as those of temporary credentials are."""
    return len(secret_id) > _TEMPORARY_LENGTH


def unix_seconds(value: Any, name: str) -> float:
    """A time in Unix seconds: of seconds or milliseconds as a number or its digits, or of a text in ISO 8601.

    Raises:
        CredentialsError: it is none of these.
    """
    number = value
    if isinstance(value, str):
        if re.fullmatch(r"[0-9]{10,20}(\.[0-9]+)?", value):
            number = float(value)
        else:
            with contextlib.suppress(ValueError, OverflowError):
                return _iso_seconds(value)
            number = None
    if isinstance(number, bool) or not isinstance(number, (int, float)) or number != number:
        raise CredentialsError(f"{name} must be a time: Unix seconds, milliseconds, or ISO 8601 with a time zone")
    if number in (float("inf"), float("-inf")) or abs(number) < _MILLISECONDS:
        return number
    if abs(number) < _MOST_MILLISECONDS:
        return number / 1000
    raise CredentialsError(f"{name} must be in Unix seconds or milliseconds: it is too large for both")


def _iso_seconds(text: str) -> float:
    from datetime import datetime

    if text[-1:] in "Zz":  # which Python 3.10 does not read, nor more digits of a second than six
        text = f"{text[:-1]}+00:00"
    moment = datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+|(\.[0-9]{1,5})(?=[+-])", _six_digits, text))
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.timestamp()


def _six_digits(match: re.Match[str]) -> str:
    return (match[1] or match[2]).ljust(7, "0")


# --- Credentials ------------------------------------------------------------------------------------------------------


class Credentials:
    """One SecretId with its SecretKey, permanent or temporary. It is also a provider.

    A temporary SecretId without its token gives a `CredentialsWarning`, because COS refuses what it signs.

    Args:
        secret_id: SecretId, ``AKID...``.
        secret_key: SecretKey. Kept in one place and wiped when the object dies; never shown and never pickled.
        token: the security token of temporary credentials.
        expires_at: when temporary credentials end: Unix seconds, milliseconds, or ISO 8601 text with a time zone.
            The attribute has Unix seconds.

    Raises:
        CredentialsError: a value is missing or malformed; the message says what is wrong, and shows no value.

    >>> Credentials("AKIDEXAMPLE", "example-key")
    Credentials(secret_id='AKIDEXAMPLE', secret_key=<secret>)
    """

    __slots__ = ("_secret", "_token", "expires_at", "secret_id")

    secret_id: str
    expires_at: float | None
    _secret: Secret
    _token: Secret | None

    def __init__(
        self, secret_id: str, secret_key: str, token: str | None = None, expires_at: float | str | None = None
    ) -> None:
        put = object.__setattr__
        put(self, "secret_id", check_visible("secret_id", secret_id))
        put(self, "_secret", Secret(check_visible("secret_key", secret_key)))
        put(self, "_token", None if token is None else Secret(check_visible("token", token)))
        put(self, "expires_at", None if expires_at is None else unix_seconds(expires_at, "expires_at"))
        if token is None and is_temporary_id(secret_id):
            warn_caller(
                "the SecretId is as long as a temporary one, and there is no token. COS refuses temporary keys without "
                "their token: set COS_SESSION_TOKEN or TENCENTCLOUD_SESSION_TOKEN",
                CredentialsWarning,
            )

    @property
    def secret_key(self) -> str:
        """The SecretKey."""
        return self._secret.reveal()

    @property
    def token(self) -> str | None:
        """The security token, or None."""
        return None if self._token is None else self._token.reveal()

    def sign_key(self, key_time: str) -> SignKey:
        """SignKey = hex(HMAC-SHA1(SecretKey, KeyTime)) for a KeyTime as text, remembered for the next call."""
        return self._secret.sign_key(key_time)

    def secrets(self) -> tuple[Secret, Secret | None]:
        """SecretKey and token as the core keeps them; neither is shown."""
        return self._secret, self._token

    def get(self) -> Credentials:
        """These credentials: a Credentials is its own provider."""
        return self

    async def get_async(self) -> Credentials:
        """As `get`."""
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Credentials are immutable: make new ones")

    def __repr__(self) -> str:
        if not hasattr(self, "expires_at"):  # a value was refused
            return "Credentials(...)"
        token = "" if self._token is None else ", token=<secret>"
        expiry = "" if self.expires_at is None else f", expires_at={self.expires_at!r}"
        return f"Credentials(secret_id={self.secret_id!r}, secret_key=<secret>{token}{expiry})"

    def __reduce__(self) -> str:
        raise TypeError(
            "Credentials cannot be pickled: a pickled secret is a leaked secret. "
            "Give the Signer a provider, such as EnvironmentCredentials()"
        )


def named_credentials(values: Mapping[str, Any], expires_at: Any = None) -> Credentials:
    """Credentials out of named values; errors call them by these names.

    Args:
        values: the SecretId, the SecretKey and perhaps the token, in this order, each by the name of its field,
            variable or column.
        expires_at: when they end, as `Credentials` takes it.

    Raises:
        CredentialsError: one is missing or malformed.
    """
    result = _named_credentials(values, expires_at)
    del values  # who shows a frame's variables shows none
    if isinstance(result, str):
        raise CredentialsError(result)
    return result


def _named_credentials(values: Mapping[str, Any], expires_at: Any) -> Credentials | str:
    """Those credentials, or what is wrong with a value."""
    for place, (name, value) in enumerate(values.items()):
        if value is None or value == "":
            if place < 2:
                return f"{name} is missing or empty"
            continue
        try:
            check_visible(name, value)
        except CredentialsError as error:
            return str(error)
    secret_id, secret_key, *tokens = values.values()
    try:
        return Credentials(secret_id, secret_key, (tokens[0] or None) if tokens else None, expires_at)
    except CredentialsError as error:
        return str(error)


# --- Providers --------------------------------------------------------------------------------------------------------


class FunctionCredentials:
    """Credentials from a function without parameters, which is called at every call.

    `Signer` makes one from a function. If the function asks a server, use `RefreshingCredentials`: it keeps them.

    Args:
        function: returns Credentials.

    >>> FunctionCredentials(lambda: Credentials("AKIDEXAMPLE", "example-key")).get().secret_id
    'AKIDEXAMPLE'
    """

    __slots__ = ("_function", "_last")

    def __init__(self, function: Callable[[], Credentials]) -> None:
        self._function = function
        self._last: Credentials | None = None

    def get(self) -> Credentials:
        """What the function returns now.

        Raises:
            CredentialsError: it returns something else.
        """
        credentials = self._function()
        if not isinstance(credentials, Credentials):
            kind = type(credentials).__name__
            del credentials  # who shows a frame's variables shows none
            raise CredentialsError(
                f"{self!r} must return Credentials, not {kind}: for an answer of STS, or a "
                "coroutine function, use RefreshingCredentials(function)"
            )
        last = self._last
        if last is not None and _values(last) == _values(credentials):
            return last  # with its SignKey
        self._last = credentials
        return credentials

    def __reduce__(self) -> tuple[Any, ...]:
        return FunctionCredentials, (self._function,)

    def __repr__(self) -> str:
        return f"FunctionCredentials({getattr(self._function, '__qualname__', type(self._function).__name__)})"


def _values(credentials: Credentials) -> tuple[Any, ...]:
    return credentials.secret_id, credentials.secret_key, credentials.token, credentials.expires_at


class EnvironmentCredentials:
    """Credentials from the environment, read anew at every call.

    The first pair that is set: COS_SECRET_ID and COS_SECRET_KEY; TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY; or
    TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY, as cloud functions have them. The token of temporary credentials
    is taken from variables of the same family: COS_SESSION_TOKEN, COS_SECURITY_TOKEN or COS_TOKEN;
    TENCENTCLOUD_SESSION_TOKEN, TENCENTCLOUD_SECURITY_TOKEN or TENCENTCLOUD_TOKEN; TENCENTCLOUD_SESSIONTOKEN.

    Source: the command line tccli, Terraform's provider, the documents of cloud functions (SCF).

    >>> EnvironmentCredentials()
    EnvironmentCredentials()
    """

    __slots__ = ("_last",)

    _FAMILIES = (
        ("COS_SECRET_ID", "COS_SECRET_KEY", ("COS_SESSION_TOKEN", "COS_SECURITY_TOKEN", "COS_TOKEN")),
        (
            "TENCENTCLOUD_SECRET_ID",
            "TENCENTCLOUD_SECRET_KEY",
            ("TENCENTCLOUD_SESSION_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN", "TENCENTCLOUD_TOKEN"),
        ),
        ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", ("TENCENTCLOUD_SESSIONTOKEN",)),
    )

    def __init__(self) -> None:
        self._last: Credentials | None = None

    def get(self) -> Credentials:
        """The credentials that the environment holds now.

        Raises:
            CredentialsNotFound: no pair of variables is set.
            CredentialsError: half of a pair is missing, a value is malformed, or two variables have different tokens;
                the message names the variables, and shows no value.
        """
        for id_name, key_name, token_names in self._FAMILIES:
            if not os.environ.get(id_name) and not os.environ.get(key_name):
                continue
            for name, other_name in ((id_name, key_name), (key_name, id_name)):
                if not os.environ.get(name):
                    raise CredentialsError(f"the environment variable {name} is not set, but {other_name} is")
            names = id_name, key_name, _token_name(token_names)
            last = self._last
            if last is None or (last.secret_id, last.secret_key, last.token) != tuple(
                os.environ.get(name) or None for name in names
            ):
                last = named_credentials({f"the environment variable {name}": os.environ.get(name) for name in names})
                self._last = last
            return last
        raise CredentialsNotFound(
            "no credentials: set the environment variables COS_SECRET_ID and COS_SECRET_KEY "
            "(or TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY)"
        )

    async def get_async(self) -> Credentials:
        """As `get`."""
        return self.get()

    def __repr__(self) -> str:
        return "EnvironmentCredentials()"

    def __reduce__(self) -> tuple[type[EnvironmentCredentials], tuple[()]]:
        return EnvironmentCredentials, ()


def _token_name(names: tuple[str, ...]) -> str:
    """The name of the variable that has the token; the first of the names if there is none."""
    set_names = [name for name in names if os.environ.get(name)]
    if len({os.environ[name] for name in set_names}) > 1:
        raise CredentialsError(f"the environment variables {' and '.join(set_names)} have different tokens: unset one")
    return set_names[0] if set_names else names[0]
