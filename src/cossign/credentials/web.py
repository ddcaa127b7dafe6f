"""One HTTP request that ends in time, whatever the server does: to STS, or to the metadata service."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from http import client
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from cossign.errors import CredentialsError, CredentialsNotFound

_MAX_BYTES = 1 << 16  # bytes of an answer; real ones have two thousand


class WebAnswer(NamedTuple):
    """What came.

    Attributes:
        status: HTTP's.
        body: at most 65,536 bytes.
        date: the header Date, or None.
    """

    status: int
    body: bytes
    date: str | None

    def json(self, sender: str) -> Mapping[str, Any]:
        """The body as a JSON object.

        Raises:
            CredentialsError: it is something else; the message names the sender, and shows nothing of the body.
        """
        try:
            data = json.loads(self.body)
        except (ValueError, RecursionError):  # its text, and that of the error, may hold a secret
            data = None
        if not isinstance(data, dict):
            raise CredentialsError(f"{sender}: status {self.status}, and the answer is not a JSON object")
        return data


def send_request(
    url: str, seconds: float, *, headers: Mapping[str, str], body: bytes | None = None, proxies: bool = True
) -> WebAnswer:
    """Send a request, a POST if it has a body, and read the answer. Redirects are not followed.

    Args:
        url: http:// or https://.
        seconds: how long it may take from here to the answer's end, however slowly it comes.
        headers, body: what is sent.
        proxies: whether the environment's proxies are used.

    Raises:
        CredentialsNotFound: there is no such host.
        CredentialsError: it cannot be reached, or does not answer in time, in HTTP, or in 65,536 bytes.
    """
    end = time.monotonic() + seconds
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    # A timeout of the socket begins anew with each byte, so the connection is shut when the time is over.
    connection, target, added_headers = _make_connection(parts, seconds, proxies)
    alarm = threading.Timer(seconds, _shut, (connection,))
    alarm.daemon = True
    alarm.start()
    try:
        connection.connect()
        if time.monotonic() >= end:  # there was nothing to shut
            raise TimeoutError
        connection.request("GET" if body is None else "POST", target, body, {**added_headers, **headers})
        response = connection.getresponse()
        answer = WebAnswer(response.status, response.read(_MAX_BYTES + 1), response.getheader("Date"))
        if time.monotonic() >= end:
            raise TimeoutError
    except (OSError, client.HTTPException, ValueError, AttributeError) as failure:  # the last two: shut in mid-read
        if isinstance(failure, socket.gaierror):
            raise CredentialsNotFound(f"{origin}: there is no such host") from None
        if time.monotonic() >= end or isinstance(failure, TimeoutError):
            raise CredentialsError(f"{origin}: no answer within {seconds:g} s") from None
        message = getattr(failure, "strerror", None) or type(failure).__name__
        raise CredentialsError(f"{origin}: {message}") from None
    finally:
        alarm.cancel()
        connection.close()
    if len(answer.body) > _MAX_BYTES:
        raise CredentialsError(f"{origin}: the answer is longer than {_MAX_BYTES} bytes")
    return answer


def _make_connection(
    parts: SplitResult, seconds: float, proxies: bool
) -> tuple[client.HTTPConnection, str, dict[str, str]]:
    """A connection to a server, or to the proxy for it; what to ask it for, and the proxy's own headers."""
    from urllib import request

    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    kinds = {"http": client.HTTPConnection, "https": client.HTTPSConnection}
    address = request.getproxies().get(parts.scheme) if proxies else None
    if address is None or request.proxy_bypass(parts.netloc):
        return kinds[parts.scheme](parts.netloc, timeout=seconds), target, {}
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    user, _, host = proxy.netloc.rpartition("@")
    headers = {"Proxy-Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if user else {}
    connection = kinds[parts.scheme](host, timeout=seconds)
    if parts.scheme == "http":
        return connection, parts.geturl(), headers
    connection.set_tunnel(parts.netloc, headers=headers)
    return connection, target, {}


def _shut(connection: client.HTTPConnection) -> None:
    with contextlib.suppress(OSError, AttributeError):  # the latter: it is not connected
        connection.sock.shutdown(socket.SHUT_RDWR)
