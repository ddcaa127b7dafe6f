"""requests: an `auth` that signs each request as it is sent.

>>> from cossign import Credentials, Signer
>>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
>>> request = requests.Request("GET", signer.object_url("a b.txt"), auth=CosAuth(signer)).prepare()
>>> request.headers["Authorization"].partition("&")[0]
'q-sign-algorithm=sha1'
"""

from __future__ import annotations

from typing import Any

import requests
from requests.auth import AuthBase

from cossign.integrations import wire
from cossign.request import signed_by_sdk
from cossign.signer import Signer

__all__ = ["CosAuth"]


class CosAuth(AuthBase):
    """Signs requests: ``requests.get(url, auth=CosAuth(signer))``, or a Session's ``auth``.

    It signs the request that requests really sends: its form of the path and the parameters, and the headers that the
    SDKs sign. It adds the credentials' token. After a redirect to the same host, the next request is signed for its
    own path. To another host it goes without signature and token. With ``Signer(clock=Clock())``, if COS refuses a
    request because this machine's clock is wrong, the request is signed with the server's time and sent once more.

    Args:
        signer: a Signer. With a bucket, it signs only for that bucket's host, and any other URL is an error. Without a
            bucket, it signs for any host.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = wire.check_signer(signer)
        self._own_prefixes = () if signer.host is None else (f"https://{signer.host}/", f"http://{signer.host}/")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a prepared request; requests calls it."""
        if not str(request.url).startswith(self._own_prefixes):
            wire.check_host(self._signer, wire.sent_host(str(request.url)))
        self._sign(request)
        request.hooks["response"].append(self._handle_response)
        return request

    def _sign(self, request: requests.PreparedRequest) -> None:
        headers = request.headers
        sent_headers = [(name, _encode_value(headers[name])) for name in headers if signed_by_sdk(name) is not None]
        added_headers = self._signer.sign_request(str(request.method), str(request.url), sent_headers)
        for name, value in added_headers.items():
            headers[name] = value

    def _handle_response(self, response: requests.Response, **sending: Any) -> requests.Response:
        """Look at a response, before requests follows it."""
        if response.status_code < 300:
            return response
        if response.is_redirect:
            self._prepare_redirect(response)
        elif wire.clock_was_wrong(
            self._signer, response.status_code, response.request.headers, response.headers
        ) and _rewind_body(response.request):
            return self._send_again(response, **sending)
        return response

    def _prepare_redirect(self, response: requests.Response) -> None:
        """requests follows with a copy of the request: let it have the headers that the next one needs."""
        request = response.request
        session = requests.Session()
        next_request = next(session.resolve_redirects(response, request, yield_requests=True))
        response.request = request.copy()  # the history keeps what was sent
        strips_auth = session.should_strip_auth(str(request.url), str(next_request.url))  # type: ignore[no-untyped-call]
        _unsign(request)
        if not strips_auth:
            self._sign(next_request)
            request.headers.update(
                {name: next_request.headers[name] for name in wire.ADDED_HEADERS if name in next_request.headers}
            )

    def _send_again(self, response: requests.Response, **sending: Any) -> requests.Response:
        request = response.request.copy()
        _ = response.content  # read to its end, so that the connection can be used again
        response.close()
        _unsign(request)
        self._sign(request)
        second_response: requests.Response = response.connection.send(request, **sending)
        second_response.history.append(response)
        second_response.request = request
        return second_response


def _encode_value(value: str | bytes) -> str | bytes:
    """A header's value as http.client sends it: in Latin-1."""
    return value if isinstance(value, bytes) or value.isascii() else value.encode("latin-1", "replace")


def _unsign(request: requests.PreparedRequest) -> None:
    for name in wire.ADDED_HEADERS:
        request.headers.pop(name, None)


def _rewind_body(request: requests.PreparedRequest) -> bool:
    """Whether a request's body can be sent again, from its beginning."""
    untyped_request: Any = request
    body = untyped_request.body
    if body is None or isinstance(body, (str, bytes)):
        return True
    try:
        body.seek(untyped_request._body_position)
    except (AttributeError, OSError, TypeError):
        return False
    return True
