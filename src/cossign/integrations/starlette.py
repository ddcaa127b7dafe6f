"""A dependency for FastAPI and Starlette that lets only requests with a COS signature pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from cossign._verify import Verified
from cossign.errors import BadSignature, SignatureRefused
from cossign.signer import Signer

__all__ = ["verify_cos_signature"]


def verify_cos_signature(signer: Signer, **terms: Any) -> Callable[[Request], Awaitable[Verified]]:
    """A function that checks a request as `Signer.verify` does, by its URL or its Authorization.

    Args:
        signer: a Signer; its credentials are accepted.
        terms: other parameters of `Signer.verify`: ``credentials``, ``skew``, ``require_headers`` (by default Host,
            without which a signature is valid for any server), ``require_params``, ``max_expires``, ``revoked``.

    Returns:
        A dependency: an async function of a Request that returns the Verified, or raises HTTPException: 401 without a
        valid signature, 403 if the signature is valid but the terms refuse it. The answer names the kind of error.

    >>> from fastapi import Depends, FastAPI
    >>> from cossign import Credentials, Signer
    >>> app = FastAPI()
    >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), domain="https://files.example.com")
    >>> @app.get("/{key:path}")
    ... async def file(key: str, verified=Depends(verify_cos_signature(signer, max_expires=3600))):
    ...     return {"key": verified.key, "caller": verified.secret_id}
    """
    terms = {"require_headers": ("host",), **terms}

    async def verify_request(request: Request) -> Verified:
        target = request.scope["raw_path"].decode("latin-1")
        if request.url.query:
            target += "?" + request.scope["query_string"].decode("latin-1")
        try:
            return signer.verify(target, method=request.method, headers=dict(request.headers), **terms)
        except BadSignature as error:
            status = 403 if isinstance(error, SignatureRefused) else 401
            raise HTTPException(status, f"{type(error).__name__}: {error}") from None

    return verify_request
