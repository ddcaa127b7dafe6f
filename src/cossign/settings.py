"""The parameters of a Signer: checked once, never changed; copies with other parameters; the clock."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cossign._core import Engine
from cossign.credentials import Clock, Credentials, CredentialsProvider, CredentialsSource
from cossign.credentials.base import as_provider
from cossign.endpoint import Endpoint, check_bucket, check_region, endpoint, nearest_region
from cossign.engine import chosen_engine
from cossign.errors import CredentialsError, ParameterError, warn_caller
from cossign.key_time import Duration, KeyTime, Times, seconds_of, whole_seconds
from cossign.verifier import Verifier

if TYPE_CHECKING:
    from typing_extensions import Self

_MOST_BACKDATE = 86_400
_PARAMETERS = (
    "bucket", "region", "domain", "scheme", "expires", "sign_host", "accelerate", "strict", "engine", "round_to",
    "backdate", "clock",
)  # fmt: skip


class Settings:
    """The parameters of a `Signer`, by which `Signer` itself describes them."""

    __slots__ = (
        *_PARAMETERS, "credentials", "start",
        "_endpoint", "_engine", "_verifier",
    )  # fmt: skip

    credentials: CredentialsProvider
    bucket: str | None
    region: str | None
    domain: str | None
    scheme: str
    expires: int
    sign_host: bool
    accelerate: bool
    strict: bool
    engine: str
    round_to: int | None
    backdate: int
    clock: Clock | None
    start: int | None
    _endpoint: Endpoint | None
    _engine: Engine
    _verifier: Verifier

    def __init__(
        self,
        credentials: CredentialsSource,
        *,
        bucket: str | None = None,
        region: str | None = None,
        domain: str | None = None,
        scheme: str = "https",
        expires: Duration = 900,
        sign_host: bool = True,
        accelerate: bool = False,
        strict: bool = True,
        engine: str = "auto",
        round_to: Duration | None = None,
        backdate: int = 1,
        clock: Clock | None = None,
    ) -> None:
        values = (
            bucket, region, domain, scheme, expires, sign_host, accelerate, strict, engine, round_to, backdate, clock,
        )  # fmt: skip
        self._set(credentials, dict(zip(_PARAMETERS, values, strict=True)))
        _warn_of_region(region)

    @classmethod
    def _create(
        cls, credentials: CredentialsSource, parameters: dict[str, Any], start: int | None, before: Self | None = None
    ) -> Self:
        """A Signer of the parameters of another one, which gave its warnings."""
        signer = cls.__new__(cls)
        signer._set(credentials, parameters, start, before)
        return signer

    def _set(
        self,
        credentials: CredentialsSource,
        parameters: dict[str, Any],
        start: int | None = None,
        before: Self | None = None,
    ) -> None:
        """Check the parameters, and set what calls use."""
        credentials = as_provider(credentials)
        for name in ("sign_host", "accelerate", "strict"):
            if not isinstance(parameters[name], bool):
                raise ParameterError(name, f"must be True or False, not {type(parameters[name]).__name__}")
        clock = parameters["clock"]
        if clock is not None and not isinstance(clock, Clock):
            raise ParameterError("clock", f"must be a cossign.Clock, not {type(clock).__name__}")
        where = _where(parameters)
        expires, round_to, backdate = _checked_times(
            parameters["expires"], parameters["round_to"], parameters["backdate"]
        )
        values = {
            **parameters, "expires": expires, "round_to": round_to, "backdate": backdate,
            "credentials": credentials, "start": start,
            "_endpoint": where, "_engine": chosen_engine(parameters["engine"]),
            "_verifier": Verifier(credentials, engine=parameters["engine"], clock=clock),
        }  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._begin(before)

    def _begin(self, before: Self | None) -> None:
        """Set what calls keep; or take it over from a Signer that differs in its start alone."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Signer is immutable: make a new one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Signer is immutable: make a new one")

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _PARAMETERS}

    def __repr__(self) -> str:
        if not hasattr(self, "start"):  # a parameter was refused
            return "Signer(...)"
        options = ", ".join(f"{name}={value!r}" for name, value in self._parameters().items() if value is not None)
        return f"Signer({self.credentials!r}, {options}){'' if self.start is None else f'.at({self.start})'}"

    def __dask_tokenize__(self) -> str:
        """What Dask names tasks by: a hash of the pickle; or, as literal credentials have no pickle, a new name.

        Source: https://docs.dask.org/en/stable/custom-collections.html, "Implementing Deterministic Hashing".
        """
        import hashlib
        import pickle

        try:
            return hashlib.sha256(pickle.dumps(self)).hexdigest()
        except Exception:  # a provider's own __reduce__ may raise anything
            return os.urandom(16).hex()

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.credentials, Credentials):
            raise TypeError(
                "a Signer with literal credentials cannot be pickled: a pickled secret is a leaked secret. "
                "Give it a provider, such as EnvironmentCredentials()"
            )
        return type(self)._create, (self.credentials, self._parameters(), self.start)

    @property
    def host(self) -> str | None:
        """The Host of its bucket or domain, or None if it was made for no bucket."""
        return None if self._endpoint is None else self._endpoint.host

    def where(self) -> Endpoint:
        """The endpoint of its URLs; a ParameterError if it has no bucket."""
        if self._endpoint is None:
            missing = [name for name in ("bucket", "region") if getattr(self, name) is None]
            how = "is missing: give it" if len(missing) == 1 else "are missing: give them"
            raise ParameterError(" and ".join(missing), f"{how} to Signer, or a domain")
        return self._endpoint

    def replace(self, credentials: CredentialsSource | None = None, **changes: Any) -> Self:
        """A Signer with some of this one's parameters changed: another bucket, other credentials.

        Args:
            credentials: instead of this one's.
            changes: parameters of `Signer` by their names.

        Returns:
            A Signer. If this one was made by `at`, its signatures begin at the same instant.

        Raises:
            ParameterError: a parameter is not one of `Signer`, or is not valid.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.replace(bucket="other-1250000000", expires="1h").host
        'other-1250000000.cos.ap-beijing.myqcloud.com'
        """
        for name in changes:
            if name not in _PARAMETERS:
                raise ParameterError(name, f"is not a parameter of Signer: use one of {', '.join(_PARAMETERS)}")
        provider = self.credentials if credentials is None else credentials
        signer = self._create(provider, {**self._parameters(), **changes}, self.start)
        _warn_of_region(changes.get("region"))
        return signer

    def at(self, start: int | None = None) -> Self:
        """The same Signer with a fixed start, so that several calls, processes and machines make the same signatures.

        Args:
            start: Unix seconds at which KeyTime starts. None: now, or the start that this Signer already has.

        Returns:
            A Signer with this `start`. It also signs after its signatures have ended, and then reproduces them byte for
            byte.

        Raises:
            ParameterError: `start` is not a whole number of Unix seconds.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> "q-sign-time=1557989753;1557990653&" in signer.at(1557989753).authorization("GET", "a.txt")
        True
        """
        start = self._start() if start is None else whole_seconds(start, "start")
        KeyTime.validate(start, start + self.expires, "start")
        return self._create(self.credentials, self._parameters(), start, self)

    # --- What calls ask for

    def valid_credentials(self) -> Credentials:
        """The credentials to sign with now; a CredentialsError if they have ended."""
        credentials = self.credentials.get()
        if not isinstance(credentials, Credentials):
            raise CredentialsError(f"{self.credentials!r} must give Credentials, not {type(credentials).__name__}")
        if credentials.expires_at is not None and self.now() >= credentials.expires_at:
            raise CredentialsError("the temporary credentials have expired: get new ones")
        return credentials

    def now(self) -> float:
        """Unix seconds by its clock."""
        return time.time() if self.clock is None else self.clock.now()

    def times(self) -> Times:
        """What the KeyTimes of signatures that are made now have in common."""
        return self._times(self._start())

    def _start(self) -> int:
        """KeyTime's beginning: `backdate` seconds ago, unless it is fixed."""
        return int(self.now()) - self.backdate if self.start is None else self.start

    def _times(self, start: int) -> Times:
        # `backdate` does not bring a signature's end forward
        return Times(start, self.expires, self.round_to, max(self.backdate - 1, 0))


def _warn_of_region(region: str | None) -> None:
    """Warn the caller of a public call of a region that is nearly one of COS's."""
    if region is not None and (near := nearest_region(region)):
        warn_caller(f"region {region!r} is not a known region of COS: did you mean {near!r}?")


def _where(parameters: Mapping[str, Any]) -> Endpoint | None:
    """Where a Signer's URLs lead; None if it has no bucket, no region and no domain."""
    bucket, region, domain = parameters["bucket"], parameters["region"], parameters["domain"]
    if domain or (bucket is not None and region is not None):
        return endpoint(bucket, region, domain=domain, scheme=parameters["scheme"], accelerate=parameters["accelerate"])
    if bucket is not None:
        check_bucket(bucket)
    if region is not None:
        check_region(region)
    return None


def _checked_times(expires: Any, round_to: Any, backdate: Any) -> tuple[int, int | None, int]:
    """The three parameters in seconds."""
    expires = seconds_of(expires, "expires")
    KeyTime.validate(0, expires, "expires")
    if round_to is not None:
        round_to = seconds_of(round_to, "round_to")
        if round_to <= 0:
            raise ParameterError("round_to", "must be greater than 0 seconds")
    backdate = whole_seconds(backdate, "backdate")
    if not 0 <= backdate <= _MOST_BACKDATE:
        raise ParameterError("backdate", f"must be from 0 to {_MOST_BACKDATE} seconds")
    return expires, round_to, backdate
