"""Verifier: checks requests as COS does, with terms that are prepared once."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cossign._core import encode_component
from cossign._verify import Judge, Judgement, Terms, Verified
from cossign.credentials import Clock, Credentials, CredentialsSource
from cossign.credentials.base import as_provider
from cossign.engine import checked_threads, chosen_engine
from cossign.errors import ParameterError
from cossign.key_time import Duration, seconds_of, whole_seconds
from cossign.request import checked_headers, checked_mapping, checked_method

if TYPE_CHECKING:
    from cossign.post import VerifiedPost

__all__ = ["Accepted", "Verifier"]

Accepted = CredentialsSource | Iterable[CredentialsSource] | Mapping[str, Credentials]
Revoked = Container[str] | Callable[[Any], object]

_LONGEST_SKEW = 366 * 86_400

Sequence.register(Judgement)  # pyright: ignore[reportAttributeAccessIssue]


class Verifier:
    """Checks presigned URLs, requests and forms. It never changes, and threads can share it.

    It accepts both forms of a URL (percent-encoded, or as the SDKs write it), the ``sign=`` parameter, and lists and
    parameters in any order and case. The comparison takes constant time.

    Args:
        credentials: whose signatures are accepted: Credentials, a provider, several of them (while keys are rotated),
            or a mapping of SecretId to Credentials.
        skew: seconds by which the signer's clock may differ from this one's.
        require_headers: names of headers that must be signed, such as ``("host",)``. Not checked for forms.
        require_params: names of parameters that must be signed. Not checked for forms.
        max_expires: the longest validity of a signature, from KeyTime's start to its end: seconds, a timedelta, or text
            such as "15m".
        revoked: SecretIds and signatures that are not accepted any more; or a function, which is called with each
            Verified and returns whether it is revoked.
        engine: "auto", or one of `engines()`.
        clock: another clock, if this machine's clock may be wrong; see `Clock`.

    Raises:
        ParameterError: a parameter is not valid; the message names it.

    Source: Tencent Cloud, COS, "Request Signature" (product 436, page 7778).

    >>> from cossign import Credentials, Signer
    >>> credentials = Credentials("AKIDEXAMPLE", "example-key")
    >>> verifier = Verifier(credentials, require_headers=["host"], max_expires=900)
    >>> verifier.verify(Signer(credentials, bucket="b-1250000000", region="ap-beijing").presign("a.txt")).key
    'a.txt'
    """

    __slots__ = ("_accepted_getter", "_clock", "_engine", "_last", "_skew", "_terms")

    def __init__(
        self,
        credentials: Accepted,
        *,
        skew: int = 0,
        require_headers: Sequence[str] = (),
        require_params: Sequence[str] = (),
        max_expires: Duration | None = None,
        revoked: Revoked | None = None,
        engine: str = "auto",
        clock: Clock | None = None,
    ) -> None:
        self._accepted_getter = _accepted_getter(credentials)
        self._skew = _checked_skew(skew)
        self._terms = _checked_terms(require_headers, require_params, max_expires, revoked)
        self._engine = chosen_engine(engine)
        self._clock = clock
        # The credentials, the method and the Judge of the last requests without headers: one value, shared by threads.
        self._last: tuple[list[Credentials], str, Judge] | None = None

    def verify(self, url: str, *, method: str = "GET", headers: Mapping[str, Any] | None = None) -> Verified:
        """Check a presigned URL, or a request with an Authorization.

        Args:
            url: the URL as it was requested; or its target (``/key?...``) with Host among the headers.
            method: the request's method.
            headers: the request's headers. Host is taken from the URL unless it is given.

        Returns:
            Verified: who signed what, and for how long.

        Raises:
            MalformedSignature: the signature is missing or malformed.
            UnknownSecretId: signed with a SecretId that is not accepted.
            SignatureMismatch: another request was signed, or with another SecretKey.
            SignatureNotYetValid, SignatureExpired: the signature is right, but not valid now.
            SignatureRefused: it is right, but does not sign something that it must, or is valid for too long.
            SignatureRevoked: it is right, but revoked.

        >>> from cossign import Credentials
        >>> Verifier(Credentials("AKIDEXAMPLE", "example-key")).verify("https://b/a.txt")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        cossign.errors.MalformedSignature: there is no signature: neither q-signature nor sign in the URL, nor an ...
        """
        if not isinstance(url, str):
            raise ParameterError("url", f"must be a str, not {type(url).__name__}")
        return self._judge(method, headers).verify(str(url), self._now())

    def verify_many(
        self, urls: Iterable[str], *, method: str = "GET", headers: Mapping[str, Any] | None = None, threads: int = 1
    ) -> Judgement:
        """Check many URLs at the same time. A bad one becomes a BadSignature, which is not raised.

        Args:
            urls: any iterable of str.
            method: as in `verify`, for all of them.
            headers: as in `verify`, for all of them.
            threads: the number of threads.

        Returns:
            A sequence with a Verified or a BadSignature for each URL, in order, made when you read it. ``bad`` lists
            the rows of the bad ones.

        >>> from cossign import Credentials
        >>> Verifier(Credentials("AKIDEXAMPLE", "example-key")).verify_many(["https://b/a.txt"]).bad
        [0]
        """
        if isinstance(urls, (str, bytes)) or not isinstance(urls, Iterable):
            raise ParameterError("urls", f"must be an iterable of str, not {type(urls).__name__}")
        checked_threads(threads)
        return self._judge(method, headers).verify_many(list(urls), self._now(), threads)

    def verify_post(
        self,
        fields: Mapping[str, str],
        *,
        bucket: str | None = None,
        size: int | None = None,
        filename: str | None = None,
    ) -> VerifiedPost:
        """Check the form of a POST Object by its policy; as `Signer.verify_post`.

        Args:
            fields: the form's fields, without the file.
            bucket: the bucket that the form is sent to, for a policy that names one.
            size: the file's size in bytes; needed if the policy limits it.
            filename: the file's name; needed if the key has ``${filename}``.

        Returns:
            VerifiedPost: who signed what, for how long, and the fields that the policy does not cover.

        >>> from cossign import Credentials, Signer
        >>> credentials = Credentials("AKIDEXAMPLE", "example-key")
        >>> form = Signer(credentials, bucket="b-1250000000", region="ap-beijing").post_policy(key_prefix="avatars/")
        >>> Verifier(credentials).verify_post({**form.fields, "key": "avatars/me.png"}, bucket="b-1250000000").key
        'avatars/me.png'
        """
        from cossign import post

        return post.judge_form(
            checked_mapping(fields, "fields"),
            _secrets(self._accepted_getter()),
            bucket=bucket,
            now=self._now(),
            skew=self._skew,
            size=size,
            filename=filename,
            terms=self._terms,
        )

    def _judge(self, method: str, headers: Mapping[str, Any] | None) -> Judge:
        credentials = self._accepted_getter()
        if headers is None:
            last = self._last
            if last is not None and last[1] == method and (last[0] is credentials or last[0] == credentials):
                return last[2]
        judge = Judge(
            checked_method(method), header_texts(headers), _secrets(credentials), self._engine, self._skew, self._terms
        )
        if headers is None:
            self._last = credentials, method, judge
        return judge

    def _now(self) -> int:
        return int(time.time() if self._clock is None else self._clock.now())


def _accepted_getter(credentials: Any) -> Callable[[], list[Credentials]]:
    """What gives the Credentials whose signatures are accepted now."""
    if isinstance(credentials, Mapping):
        for name, each in credentials.items():
            if not isinstance(each, Credentials):
                raise ParameterError("credentials", f"must map SecretIds to Credentials, not {type(each).__name__}")
            if name != each.secret_id:
                raise ParameterError("credentials", "must map each SecretId to its own Credentials")
        credentials_list = list(credentials.values())
        return lambda: credentials_list
    if isinstance(credentials, Iterable) and not isinstance(credentials, (str, bytes)):
        providers = [as_provider(each, f"credentials[{place}]") for place, each in enumerate(credentials)]
        return lambda: [each.get() for each in providers]
    provider = as_provider(credentials)
    return lambda: [provider.get()]


def accepted_now(credentials: Any) -> list[Credentials]:
    """The Credentials that a provider, several of them, or a mapping give now."""
    return _accepted_getter(credentials)()


def _secrets(credentials: Iterable[Credentials]) -> dict[str, Any]:
    """What a Judge looks SecretIds up in."""
    return {each.secret_id: each.secrets() for each in credentials}


def header_texts(headers: Any) -> list[tuple[str, str]]:
    """A request's headers as (name, value) pairs of str."""
    pairs = []
    for name, value in checked_headers(headers, "headers").items():
        if not isinstance(name, str) or not isinstance(value, (str, int)) or isinstance(value, bool):
            raise ParameterError(f"headers[{name!r}]", f"must be a str, not {type(value).__name__}")
        pairs.append((name, str(value)))
    return pairs


def _checked_skew(skew: Any) -> int:
    seconds = whole_seconds(skew, "skew")
    if seconds < 0:
        raise ParameterError("skew", "must not be negative")
    if seconds > _LONGEST_SKEW:
        raise ParameterError("skew", f"must be at most {_LONGEST_SKEW} seconds, which is a year")
    return seconds


def _checked_terms(require_headers: Any, require_params: Any, max_expires: Any, revoked: Any) -> Terms | None:
    """What a right signature must keep to; None if the caller asks for nothing."""
    headers = _names("require_headers", require_headers)
    params = _names("require_params", require_params)
    if max_expires is not None:
        max_expires = seconds_of(max_expires, "max_expires")
        if max_expires <= 0:
            raise ParameterError("max_expires", "must be greater than 0 seconds")
    if isinstance(revoked, (str, bytes)) or not (
        revoked is None or callable(revoked) or hasattr(revoked, "__contains__")
    ):
        raise ParameterError("revoked", "must be a collection of SecretIds and signatures, or a function")
    if not headers and not params and max_expires is None and revoked is None:
        return None
    return Terms(headers, params, max_expires, revoked)


def _names(parameter: str, names: Any) -> tuple[tuple[str, str], ...]:
    """Names of headers or parameters: each as it is signed, and as it is given."""
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        raise ParameterError(parameter, f"must be a sequence of names, not {type(names).__name__}")
    pairs = []
    for name in names:
        if not isinstance(name, str):
            raise ParameterError(parameter, f"must hold names as str, not {type(name).__name__}")
        try:
            pairs.append((encode_component(name.encode()).lower().decode(), name))
        except UnicodeEncodeError:
            raise ParameterError(parameter, f"must hold valid Unicode, and {name!r} has a lone surrogate") from None
    return tuple(pairs)
