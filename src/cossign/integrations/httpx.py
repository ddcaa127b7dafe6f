"""httpx: an `auth` that signs each request as it is sent, for Client and AsyncClient.

>>> from cossign import Credentials, Signer
>>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
>>> transport = httpx.MockTransport(lambda request: httpx.Response(200, text=request.headers["Authorization"]))
>>> with httpx.Client(auth=CosAuth(signer), transport=transport) as client:
...     client.get(signer.object_url("a b.txt")).text.partition("&")[0]
'q-sign-algorithm=sha1'
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import httpx

from cossign.integrations import wire
from cossign.signer import Signer

__all__ = ["CosAuth"]

_TOKEN = "x-cos-security-token"  # noqa: S105


class CosAuth(httpx.Auth):
    """Signs requests: ``httpx.Client(auth=CosAuth(signer))``, or the ``auth`` of one call.

    It signs the request that httpx really sends: its form of the path and the parameters, and the headers that the SDKs
    sign. It adds the credentials' token. With an AsyncClient, waiting for credentials does not block the event
    loop. The signature is an ordinary Authorization header, which httpx removes after a redirect to another host.
    No copy has the token. After a redirect to the same host, the first answer is a refusal; the request is then
    signed for its own path and sent again. With ``Signer(clock=Clock())``, if COS refuses a request because this
    machine's clock is wrong, the request is signed with the server's time and sent once more.

    Args:
        signer: a Signer. With a bucket, it signs only for that bucket's host, and any other URL is an error. Without a
            bucket, it signs for any host.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = wire.check_signer(signer)
        self._host = None if signer.host is None else signer.host.lower().encode()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request and its repetitions; httpx calls it."""
        self._sign(request)
        response = yield request
        if response.status_code in (401, 403):
            yield from self._after_refusal(request, response)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The same for an AsyncClient."""
        await self._signer.ready()
        self._sign(request)
        response = yield request
        if response.status_code in (401, 403):
            await self._signer.ready()
            flow = self._after_refusal(request, response)
            next_request = next(flow, None)
            while next_request is not None:
                response = yield next_request
                await self._signer.ready()
                try:
                    next_request = flow.send(response)
                except StopIteration:
                    return

    def _after_refusal(
        self, request: httpx.Request, response: httpx.Response
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign what a redirect led to, if that is of the same origin; or sign anew by the right time."""
        origin = request.url.scheme, request.url.netloc
        signed_request = request
        for _ in range(20):  # httpx's own limit of redirects
            sent_request = response.request
            if not isinstance(sent_request.stream, httpx.ByteStream):
                return  # a body that is gone
            if response.status_code not in (401, 403) or (sent_request.url.scheme, sent_request.url.netloc) != origin:
                return
            if sent_request is signed_request:  # it was signed for its own path
                break
            self._sign(sent_request)
            signed_request = sent_request
            response = yield sent_request
        if wire.clock_was_wrong(self._signer, response.status_code, sent_request.headers, response.headers):
            self._sign(sent_request)
            yield sent_request

    def _sign(self, request: httpx.Request) -> None:
        if self._host is not None and request.url.netloc != self._host:
            wire.check_host(self._signer, request.url.netloc.decode("ascii"))
        headers = request.headers
        target = request.url.raw_path.decode("ascii")
        added_headers = self._signer.sign_request(request.method, target, _raw(headers))
        headers["Authorization"] = added_headers["Authorization"]
        token = added_headers.get(_TOKEN)
        if token is None:
            headers.__class__ = httpx.Headers  # the credentials before had one
        else:
            _ = headers.encoding  # asked for while they are plain: it is found out by looking at all that is sent
            # In its place: a copy of a request's headers takes as long as the signature.
            headers.__class__ = _HeadersWithToken
            headers.token = token  # type: ignore[attr-defined]  # by vars() it would make each later look slower


_raw = httpx.Headers.raw.__get__


class _HeadersWithToken(httpx.Headers):
    """Headers with a token that is sent and can be looked up, but is in no copy and in nothing that is shown.

    httpx makes the headers of a redirect's next request of a copy. It takes the Authorization off that if it is for
    another origin, and would leave the token there.
    """

    token: str

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        return [*super().raw, (_TOKEN.encode(), self.token.encode())]

    def __getitem__(self, key: str) -> str:
        return self.token if key.lower() == _TOKEN else super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return (isinstance(key, str) and key.lower() == _TOKEN) or super().__contains__(key)
