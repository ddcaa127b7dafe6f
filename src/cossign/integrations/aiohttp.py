"""aiohttp: a client middleware that signs each request as it is sent.

>>> from cossign import Credentials, Signer
>>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
>>> async def fetch(key):
...     async with aiohttp.ClientSession(middlewares=(CosAuth(signer),)) as session:
...         async with session.get(signer.object_url(key)) as response:
...             return await response.read()
"""

from __future__ import annotations

import aiohttp

from cossign.integrations import wire
from cossign.signer import Signer

__all__ = ["CosAuth"]


class CosAuth:
    """Signs requests: ``aiohttp.ClientSession(middlewares=(CosAuth(signer),))``, from aiohttp 3.12 on.

    It signs the request that aiohttp really sends, and adds the credentials' token. Waiting for credentials does not
    block the event loop. Redirected requests to the same host are signed; those to other hosts have no signature or
    token. With ``Signer(clock=Clock())``, if COS refuses a request because this machine's clock is wrong, the request
    is signed with the server's time and sent once more.

    Args:
        signer: a Signer. With a bucket, it signs only for that bucket's host. A request to another bucket is an error.
            Requests to other services are sent as they are. Without a bucket, it signs for any host.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = wire.check_signer(signer)

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Sign a request; aiohttp calls it."""
        host = wire.sent_host(str(request.url))
        if wire.is_unsigned_bucket(self._signer, host):
            wire.check_host(self._signer, host)
        if not wire.signs_for(self._signer, host):
            return await handler(request)
        await self._sign(request)
        response = await handler(request)
        replayable = isinstance(request.body, aiohttp.payload.BytesPayload) or not request.body
        if replayable and wire.clock_was_wrong(self._signer, response.status, request.headers, response.headers):
            response.release()
            await self._sign(request)
            return await handler(request)
        return response

    async def _sign(self, request: aiohttp.ClientRequest) -> None:
        for name in wire.ADDED_HEADERS:
            request.headers.popall(name, None)
        await self._signer.ready()
        target = request.url.raw_path_qs
        request.headers.update(self._signer.sign_request(request.method, target, request.headers.items()))
