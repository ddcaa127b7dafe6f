"""Credentials from the first source that has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cossign.credentials.base import Credentials, CredentialsProvider, EnvironmentCredentials, get_credentials
from cossign.credentials.files import FileCredentials
from cossign.credentials.services import CvmRoleCredentials, WebIdentityCredentials
from cossign.errors import CredentialsError, CredentialsNotFound

__all__ = ["ChainCredentials"]

_log = logging.getLogger("cossign.credentials")


class ChainCredentials:
    """Credentials from the first provider that has some, and from the same one from then on.

    A place without credentials is skipped. So is one that cannot be used: it is encrypted, or a library is missing. The
    reason is kept. A place whose credentials are broken or incomplete is an error, so that a typing error does not make
    another identity sign.

    Args:
        providers: in the order to ask. By default: the environment (`EnvironmentCredentials`), TKE's service account
            (`WebIdentityCredentials`), the files of coscli, coscmd, tccli and the SDKs (`FileCredentials`), and the
            instance's role (`CvmRoleCredentials`).

    Attributes:
        tried: ``(provider, outcome)`` as text, for each provider of the last search.

    >>> chain = ChainCredentials(EnvironmentCredentials(), Credentials("AKIDEXAMPLE", "example-key"))
    >>> chain.get().secret_id
    'AKIDEXAMPLE'
    >>> chain.tried[-1]
    ("Credentials(secret_id='AKIDEXAMPLE', secret_key=<secret>)", 'used')
    """

    def __init__(self, *providers: CredentialsProvider) -> None:
        self._arguments = providers
        self._providers = providers or None
        self._places: dict[int, tuple[CredentialsProvider, ...]] = {}  # of the default ones
        self._choice: CredentialsProvider | None = None
        self.tried: tuple[tuple[str, str], ...] = ()

    def get(self) -> Credentials:
        """The credentials to use now.

        Raises:
            CredentialsNotFound: no provider has credentials; the message lists the reason of each.
            CredentialsError: those of one provider are broken, or could not be renewed.
        """
        if self._choice is not None:
            return self._choice.get()
        outcomes: list[tuple[str, str]] = []
        for provider in self._each():
            try:
                credentials = provider.get()
            except CredentialsError as error:
                self._pass_over(outcomes, provider, error)
            else:
                return self._choose(outcomes, provider, credentials)
        raise self._not_found_error(outcomes)

    async def get_async(self) -> Credentials:
        """As `get`, without blocking the event loop."""
        if self._choice is not None:
            return await get_credentials(self._choice)
        outcomes: list[tuple[str, str]] = []
        for provider in self._each():
            try:
                credentials = await get_credentials(provider)
            except CredentialsError as error:
                self._pass_over(outcomes, provider, error)
            else:
                return self._choose(outcomes, provider, credentials)
        raise self._not_found_error(outcomes)

    def _each(self) -> Iterator[CredentialsProvider]:
        """The providers in order; the default ones are made, and read the environment, when they are asked for."""
        if self._providers is not None:
            yield from self._providers
            return
        makers: tuple[Callable[[], Iterable[CredentialsProvider]], ...] = (
            lambda: [EnvironmentCredentials()],
            lambda: [WebIdentityCredentials()],
            lambda: FileCredentials().each(),
            lambda: [CvmRoleCredentials(seconds=1)],
        )
        for number, make in enumerate(makers):
            if number not in self._places:
                self._places.setdefault(number, tuple(make()))  # another thread's are taken if it was faster
            yield from self._places[number]

    def _pass_over(
        self, outcomes: list[tuple[str, str]], provider: CredentialsProvider, error: CredentialsError
    ) -> None:
        outcomes.append((repr(provider), str(error)))
        if not isinstance(error, CredentialsNotFound):
            self.tried = tuple(outcomes)
            raise type(error)(f"{provider!r}: {error}") from None

    def _choose(
        self, outcomes: list[tuple[str, str]], provider: CredentialsProvider, credentials: Credentials
    ) -> Credentials:
        self.tried = (*outcomes, (repr(provider), "used"))
        self._choice = provider
        _log.debug("credentials are those of %r", provider)
        return credentials

    def _not_found_error(self, outcomes: list[tuple[str, str]]) -> CredentialsError:
        self.tried = tuple(outcomes)
        return CredentialsNotFound("".join(["no credentials", *(f"\n  {name}: {why}" for name, why in outcomes)]))

    def __repr__(self) -> str:
        return f"ChainCredentials({', '.join(map(repr, self._arguments))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ChainCredentials, self._arguments
