"""Short cuts of a Signer: verify, check a form, explain a signature that does not match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cossign._verify import Judgement, Verified
from cossign.key_time import Duration
from cossign.request import Headers, checked_method
from cossign.settings import Settings
from cossign.verifier import Accepted, Revoked, Verifier, accepted_now, header_texts

if TYPE_CHECKING:
    from cossign.explain import Explanation
    from cossign.post import VerifiedPost


class ShortCuts(Settings):
    """What a `Signer` does by `Verifier` and `explain`, with its own credentials, engine and clock."""

    __slots__ = ()

    def verifier(self, credentials: Accepted | None = None, **terms: Any) -> Verifier:
        """A Verifier of this Signer's signatures, or of those of other credentials, with its engine and clock.

        Args:
            credentials: as `Verifier` accepts them; the Signer's own when None.
            terms: skew, require_headers, require_params, max_expires, revoked: as in `Verifier`.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.verifier(require_headers=["host"]).verify(signer.presign("a.txt")).key
        'a.txt'
        """
        accepted_credentials = self.credentials if credentials is None else credentials
        return Verifier(accepted_credentials, engine=self.engine, clock=self.clock, **terms)

    def verify(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Headers | None = None,
        credentials: Accepted | None = None,
        skew: int = 0,
        require_headers: Sequence[str] = (),
        require_params: Sequence[str] = (),
        max_expires: Duration | None = None,
        revoked: Revoked | None = None,
    ) -> Verified:
        """Check a presigned URL, or a request with an Authorization, as COS does.

        It accepts both forms of URLs (percent-encoded, or as the SDKs write them) and the ``sign=`` parameter. Lists
        and parameters may have any order and case. The comparison takes constant time.

        Args:
            url: the URL as it was requested; or its target (``/key?...``) with Host among the headers.
            method: the request's method.
            headers: the request's headers. Host is taken from the URL unless it is given.
            credentials: instead of the Signer's own: Credentials, a provider, several of them (while keys are rotated),
                or a mapping of SecretId to Credentials.
            skew: seconds by which the signer's clock may differ from this one's.
            require_headers: names of headers that must be signed, such as ``("host",)``.
            require_params: names of parameters that must be signed.
            max_expires: the longest validity in seconds, from KeyTime's start to its end.
            revoked: SecretIds and signatures to refuse; or a function of a Verified that returns whether it is revoked.

        Returns:
            Verified: who signed what, and for how long.

        Raises:
            MalformedSignature: there is no signature, or it is malformed.
            UnknownSecretId: signed with a SecretId that is not in `credentials`.
            SignatureMismatch: another request was signed, or with another SecretKey.
            SignatureNotYetValid, SignatureExpired: the signature is right, but not valid now.
            SignatureRefused: it is right, but does not sign something that it must, or is valid for too long.
            SignatureRevoked: it is right, but revoked.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.verify(signer.presign("a.txt")).key
        'a.txt'
        """
        has_usual_terms = revoked is None and max_expires is None and type(skew) is int and skew == 0
        has_usual_terms = has_usual_terms and all(
            type(names) is tuple and not names for names in (require_headers, require_params)
        )
        if has_usual_terms and credentials is None:
            return self._verifier.verify(url, method=method, headers=headers)
        return self.verifier(
            credentials,
            skew=skew,
            require_headers=require_headers,
            require_params=require_params,
            max_expires=max_expires,
            revoked=revoked,
        ).verify(url, method=method, headers=headers)

    def verify_many(
        self,
        urls: Iterable[str],
        *,
        method: str = "GET",
        headers: Headers | None = None,
        credentials: Accepted | None = None,
        skew: int = 0,
        require_headers: Sequence[str] = (),
        require_params: Sequence[str] = (),
        max_expires: Duration | None = None,
        revoked: Revoked | None = None,
        threads: int = 1,
    ) -> Judgement:
        """Check many URLs at the same time. A bad one becomes a BadSignature, which is not raised.

        Args: as in `verify`, for all of `urls`; and `threads`, the number of threads. A function as `revoked` is
        called for each URL.

        Returns:
            A sequence with a Verified or a BadSignature for each URL, in order, made when you read it. ``bad`` lists
            the rows of the bad ones.

        >>> from cossign import Credentials, Signer, Verified
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> results = signer.verify_many([signer.presign("a.txt"), "https://b/a.txt"])
        >>> [isinstance(result, Verified) for result in results], results.bad
        ([True, False], [1])
        """
        return self.verifier(
            credentials,
            skew=skew,
            require_headers=require_headers,
            require_params=require_params,
            max_expires=max_expires,
            revoked=revoked,
        ).verify_many(urls, method=method, headers=headers, threads=threads)

    def verify_post(
        self,
        fields: Mapping[str, str],
        *,
        size: int | None = None,
        filename: str | None = None,
        credentials: Accepted | None = None,
        skew: int = 0,
        max_expires: Duration | None = None,
        revoked: Revoked | None = None,
    ) -> VerifiedPost:
        """Check the form of a POST Object by its policy, as COS does.

        A form with a ``Signature`` field instead of a policy, as the Mini Program SDK's ``postObject`` sends it, is a
        request to ``/`` with that Authorization: give it to `verify`.

        Args:
            fields: the form's fields, without the file.
            size: the file's size in bytes; needed if the policy limits it.
            filename: the file's name; needed if the key has ``${filename}``.
            credentials, skew, max_expires, revoked: as in `verify`.

        Returns:
            VerifiedPost: who signed what, for how long, and the fields that the policy does not cover.

        Raises:
            MalformedSignature: a field is missing, or the policy is malformed.
            SignatureMismatch: another policy was signed, or with another SecretKey; or a field breaks a condition.
            UnknownSecretId, SignatureNotYetValid, SignatureExpired, SignatureRefused, SignatureRevoked: as in `verify`.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> form = signer.post_policy(key_prefix="avatars/", size=(1, 5_000_000))
        >>> signer.verify_post({**form.fields, "key": "avatars/me.png"}, size=4711).key
        'avatars/me.png'
        """
        verifier = self.verifier(credentials, skew=skew, max_expires=max_expires, revoked=revoked)
        return verifier.verify_post(fields, bucket=self.bucket, size=size, filename=filename)

    def explain(
        self,
        request: str,
        *,
        method: str | None = None,
        headers: Headers | None = None,
        credentials: Accepted | None = None,
        error: str | None = None,
        show_secrets: bool = False,
    ) -> Explanation:
        """Find out why a signature does not match. The causes are confirmed by recomputing it.

        Args:
            request: a presigned URL; or a request from curl -v, a browser (HAR, "Copy as cURL"), a log or the wire.
            method: the request's method, if `request` does not contain it. Default: GET.
            headers: the request's headers, if `request` does not contain them.
            credentials: as in `verify`; all are tried.
            error: the answer of COS: XML, JSON, or a line of a log with its code.
            show_secrets: show SignKey, tokens and whole signatures.

        Returns:
            Explanation: the findings, each with a fix. Print it, or call ``.json()`` or ``.html()``.

        Raises:
            ParameterError: the text is not a request, or not an answer.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.explain(signer.presign("a.txt"), method="HEAD").codes
        ('method-changed',)
        """
        from cossign.explain import explain

        host = self.host
        return explain(
            request,
            method=None if method is None else checked_method(method),
            headers=dict(header_texts(headers)),
            credentials=accepted_now(self.credentials if credentials is None else credentials),
            error=error,
            now=self.now(),
            hosts=[host] if host else [],
            bucket=self.bucket or "",
            show_secrets=show_secrets,
        )
