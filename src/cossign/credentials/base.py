"""Credentials that are given: as values, or in the environment; and what every provider of them looks like."""

from __future__ import annotations

import os
import re
from typing import Protocol

from cossign._core import Secret, SignKey
from cossign.errors import CredentialsError, CredentialsNotFound

__all__ = ["Credentials", "CredentialsProvider", "EnvironmentCredentials"]

_VISIBLE_TEXT = re.compile(r"[!-~]+")


class CredentialsProvider(Protocol):
    """Anything with ``get() -> Credentials``; asked at every call or batch, so it may refresh them.

    One that may have to wait should have ``async get_async() -> Credentials``, too; see `Signer.ready`.
    """

    def get(self) -> Credentials:
        """The credentials to use now."""
        ...


async def get_credentials(provider: CredentialsProvider) -> Credentials:
    """A provider's credentials without blocking the event loop: by its `get_async`, or else in a thread."""
    get_async = getattr(provider, "get_async", None)
    if get_async is None:
        import asyncio

        return await asyncio.to_thread(provider.get)
    credentials: Credentials = await get_async()
    return credentials


def _check_visible(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise CredentialsError(f"{name} must be a str, not {type(value).__name__}")
    if not value:
        raise CredentialsError(f"{name} is empty")
    if not _VISIBLE_TEXT.fullmatch(value):
        raise CredentialsError(
            f"{name} holds a space, a line end or another character that no such value has: copy it again"
        )
    return value


class Credentials:
    """One SecretId with its SecretKey, permanent or temporary; its own provider.

    Args:
        secret_id: SecretId, ``AKID...``.
        secret_key: SecretKey. Kept in one place and wiped when the object dies; never shown and never pickled.
        token: the security token of temporary credentials.
        expires_at: Unix seconds at which temporary credentials end.

    Raises:
        CredentialsError: a value is missing or malformed; the message shows none.

    >>> Credentials("AKIDEXAMPLE", "example-key")
    Credentials(secret_id='AKIDEXAMPLE', secret_key=<secret>)
    """

    __slots__ = ("_secret", "_token", "expires_at", "secret_id")

    secret_id: str
    expires_at: float | None
    _secret: Secret
    _token: Secret | None

    def __init__(
        self, secret_id: str, secret_key: str, token: str | None = None, expires_at: float | None = None
    ) -> None:
        if expires_at is not None and (
            isinstance(expires_at, bool) or not isinstance(expires_at, (int, float)) or expires_at != expires_at
        ):
            raise CredentialsError(f"expires_at must be Unix seconds, not {type(expires_at).__name__}")
        put = object.__setattr__
        put(self, "secret_id", _check_visible("secret_id", secret_id))
        put(self, "_secret", Secret(_check_visible("secret_key", secret_key)))
        put(self, "_token", None if token is None else Secret(_check_visible("token", token)))
        put(self, "expires_at", expires_at)

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
        token = "" if self._token is None else ", token=<secret>"
        expiry = "" if self.expires_at is None else f", expires_at={self.expires_at!r}"
        return f"Credentials(secret_id={self.secret_id!r}, secret_key=<secret>{token}{expiry})"

    def __reduce__(self) -> str:
        raise TypeError(
            "Credentials cannot be pickled: a pickled secret is a leaked secret. "
            "Give the Signer a provider, such as EnvironmentCredentials()"
        )


class EnvironmentCredentials:
    """Credentials from the environment, read anew at every call.

    COS_SECRET_ID, COS_SECRET_KEY and, for temporary ones, COS_SESSION_TOKEN; or else TENCENTCLOUD_SECRET_ID,
    TENCENTCLOUD_SECRET_KEY and TENCENTCLOUD_SESSION_TOKEN.

    >>> EnvironmentCredentials()
    EnvironmentCredentials()
    """

    __slots__ = ("_last",)

    _PREFIXES = ("COS", "TENCENTCLOUD")

    def __init__(self) -> None:
        self._last: Credentials | None = None

    def get(self) -> Credentials:
        """The credentials that the environment holds now.

        Raises:
            CredentialsError: a variable is missing; the message names it.
        """
        for prefix in self._PREFIXES:
            secret_id = os.environ.get(f"{prefix}_SECRET_ID")
            secret_key = os.environ.get(f"{prefix}_SECRET_KEY")
            if not secret_id and not secret_key:
                continue
            if not secret_id or not secret_key:
                missing_name = f"{prefix}_SECRET_KEY" if secret_id else f"{prefix}_SECRET_ID"
                raise CredentialsError(f"the environment variable {missing_name} is not set, though its pair is")
            values = secret_id, secret_key, os.environ.get(f"{prefix}_SESSION_TOKEN") or None
            last = self._last
            if last is None or (last.secret_id, last.secret_key, last.token) != values:
                for name, value in zip(("SECRET_ID", "SECRET_KEY", "SESSION_TOKEN"), values, strict=True):
                    if value is not None:
                        _check_visible(f"the environment variable {prefix}_{name}", value)
                self._last = last = Credentials(*values)
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
