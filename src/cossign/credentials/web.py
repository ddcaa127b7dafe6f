"""One HTTP request that ends in time, even if the server does not answer: to STS, or to the metadata service."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from cossign.errors import CredentialsError

if TYPE_CHECKING:
    from http import client  # is imported when it is needed: with TLS it takes as long as all of cossign

_MAX_BYTES = 1 << 16  # bytes of an answer; real ones have two thousand


class UnknownHost(CredentialsError):
    """A host's name is not known; it may be later, as name services fail in passing."""


class WebAnswer(NamedTuple):
    """What came.

    Attributes:
        status: HTTP's.
        body: at most 65,536 bytes.
        date: the header Date, or None.
        seconds: how long the answer took.
    """

    status: int
    body: bytes
    date: str | None
    seconds: float

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
        UnknownHost: its name, or that of the proxy, is not known now.
        CredentialsError: it cannot be reached, or does not answer in time, in HTTP, or in 65,536 bytes; or the proxy is
            not one of HTTP.
    """
    from http import client

    start = time.monotonic()
    end = start + seconds
    parts = urlsplit(url)
    route = _route(parts, proxies)
    origin = f"{parts.scheme}://{parts.netloc}{route.by}"
    # A timeout of the socket begins anew with each byte, so the connection is shut when the time is over.
    sockets: list[socket.socket] = []
    connection = route.kind(route.host, timeout=seconds)
    alarm = threading.Timer(seconds, _shut, (connection, sockets))
    alarm.daemon = True
    alarm.start()
    try:
        addresses = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
        connection.timeout = max(0.01, (end - time.monotonic()) / len(addresses))  # for each of them in turn
        if route.tunnel:
            connection.set_tunnel(route.tunnel, headers=route.headers)
        connection.connect()
        sockets.append(connection.sock)  # which is not the connection's any more while it reads to the end
        if time.monotonic() >= end:  # there was nothing to shut
            raise TimeoutError
        sent_headers = headers if route.tunnel else {**route.headers, **headers}
        connection.request("GET" if body is None else "POST", route.target, body, sent_headers)
        response = connection.getresponse()
        body_read, date = response.read(_MAX_BYTES + 1), response.getheader("Date")
        answer = WebAnswer(response.status, body_read, date, time.monotonic() - start)
        if time.monotonic() >= end:
            raise TimeoutError
        size = response.getheader("Content-Length") or ""
        if size.isdigit() and len(answer.body) < min(int(size), _MAX_BYTES):
            raise client.IncompleteRead(b"")
    except (OSError, client.HTTPException, ValueError, AttributeError) as failure:  # the last two: shut in mid-read
        if isinstance(failure, socket.gaierror):
            raise UnknownHost(f"{origin}: there is no such host") from None
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


class _Route(NamedTuple):
    """How a server is reached: straight, or by a proxy.

    Attributes:
        kind: the connection's class.
        host: what to connect to.
        target: what to ask for.
        tunnel: the server that a proxy leads to by CONNECT; "" without one.
        headers: the proxy's own.
        by: words about the proxy, for errors.
    """

    kind: type[client.HTTPConnection]
    host: str
    target: str
    tunnel: str
    headers: dict[str, str]
    by: str


def _route(parts: SplitResult, proxies: bool) -> _Route:
    from http import client
    from urllib import request

    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    kind = client.HTTPSConnection if parts.scheme == "https" else client.HTTPConnection
    # Of the environment alone: what macOS says of proxies must not be asked after a fork, and Windows may ask the DNS.
    address = request.getproxies_environment().get(parts.scheme) if proxies else None
    if address is None or request.proxy_bypass_environment(parts.netloc):  # type: ignore[attr-defined]
        return _Route(kind, parts.netloc, target, "", {}, "")
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    user, _, host = proxy.netloc.rpartition("@")
    if proxy.scheme != "http" or not re.fullmatch(r"[^:]+(:[0-9]{1,5})?|\[.+\](:[0-9]{1,5})?", host):
        raise CredentialsError(
            f"the environment's proxy for {parts.scheme} must be http://HOST:PORT: other kinds are not supported"
        )
    headers = {"Proxy-Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if user else {}
    by = f" by the proxy {host}"
    if parts.scheme == "http":
        return _Route(kind, host, parts.geturl(), "", headers, by)
    return _Route(kind, host, target, parts.netloc, headers, by)


def _shut(connection: client.HTTPConnection, sockets: list[socket.socket]) -> None:
    for each in (*sockets, connection.sock):
        with contextlib.suppress(OSError, AttributeError):  # the latter: it is not connected
            each.shutdown(socket.SHUT_RDWR)
