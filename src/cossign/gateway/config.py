"""The gateway's TOML file: its tables and fields, and the line of each error. docs/gateway-toml.md lists them."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from cossign.errors import CosSignError
from cossign.gateway.places import Place, find_lines, line_of
from cossign.key_time import duration

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Config", "ConfigError", "load"]


class ConfigError(CosSignError):
    """A configuration that cannot be used; the message has a line for each problem.

    Attributes:
        problems: ``(line, field, what)``: the line from 1, or 0 where there is none.
    """

    def __init__(self, source: str, problems: list[tuple[int, str, str]]) -> None:
        self.problems = problems
        places = [
            f"{source}:{line}: {field}: {what}" if line else f"{source}: {field}: {what}"
            for line, field, what in problems
        ]
        super().__init__("\n".join(place.replace(": : ", ": ") for place in places))


_LONGEST_BURST = 366 * 86400  # seconds of a caller's rate
_SHORTEST_B = 120  # seconds that links of kind B hold at least: their time is written in whole minutes

# --- Kinds of values


def _digest(value: Any) -> bytes:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise ValueError("must be the token's SHA-256, 64 hexadecimal digits: printf %s TOKEN | sha256sum")
    return bytes.fromhex(value)


def _network(value: Any) -> str:
    if value != "unix":
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            raise ValueError(f'must be an address, a network such as 10.0.0.0/8, or "unix": {error}') from None
    return str(value)


def _listen(value: Any) -> str:
    match = isinstance(value, str) and re.fullmatch(r"unix:/[^\x00]+|(\[[0-9a-fA-F:.]+\]|[^:\s]+):([0-9]{1,5})", value)
    if not match or (match[2] and int(match[2]) > 65535):
        raise ValueError('must be HOST:PORT, such as "127.0.0.1:8080", or "unix:/PATH"')
    if not match[2] and not hasattr(socket, "AF_UNIX"):
        raise ValueError('must be HOST:PORT, such as "127.0.0.1:8080": this system has no Unix sockets')
    return str(value)


def _route_path(value: Any) -> str:
    tricks = r"[\x00-\x1f\x7f?#%\\]|//|/\.\.?/"
    if not isinstance(value, str) or not re.fullmatch("/|/.*/", value) or re.search(tricks, value):
        raise ValueError("must begin and end with a slash, not percent-encoded, without . or .. or an empty segment")
    return value


def _endpoint_path(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(/[\w.~-]+)+", value, re.ASCII):
        raise ValueError("must be a path such as /healthz, without a slash at its end")
    return value


def _header(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w-]+", value, re.ASCII):
        raise ValueError("must be a header's name")
    return value.lower()


def _origin(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?", value):
        raise ValueError(
            'must be "*", or an origin such as "https://app.example.com", in lower case and without a path'
        )
    return value


def _file_path(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be a file's path")
    return value


FilePath = Annotated[str, BeforeValidator(_file_path)]
Duration = Annotated[int, BeforeValidator(duration)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")]
Method = Literal["GET", "HEAD", "PUT", "POST", "DELETE"]
Network = Annotated[str, BeforeValidator(_network)]
EndpointPath = Annotated[str, BeforeValidator(_endpoint_path)]
Header = Annotated[str, BeforeValidator(_header)]
Origin = Annotated[str, BeforeValidator(_origin)]
Host = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?$")]
HeaderPattern = Annotated[str, Field(pattern=r"^[a-z0-9-]+\*?$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# --- Tables


class CredentialsTable(_Table):
    """Where SecretId and SecretKey come from.

    Attributes:
        source: `chain` tries the sources of [Credentials](credentials.md) in their order. `environment` reads
            environment variables, `file` a credentials file, `role` the role of a CVM instance. `sts` asks STS for
            temporary credentials with the credentials of the chain.
        path: for `file`: the file. Default: the usual places.
        profile: for `file`: the profile in it.
        role: for `role`: the role's name. Default: the instance's only role.
        role_arn: for `sts`: the role to assume. Default: a federation token.
        policy: for `sts`: the policy of the temporary credentials, as JSON.
        duration: for `sts`: how long temporary credentials are valid.
        region: for `sts`: the region of STS.
        endpoint: for `sts`: the host of STS.
    """

    source: Literal["chain", "environment", "file", "role", "sts"] = "chain"
    path: str | None = None
    profile: str | None = None
    role: str | None = None
    role_arn: str | None = None
    policy: str | None = None
    duration: Duration = 1800
    region: str = "ap-guangzhou"
    endpoint: str = "sts.tencentcloudapi.com"


class CdnTable(_Table):
    """A CDN that checks links by itself. The values must be those of the CDN's configuration; see [CDN](cdn.md).

    Attributes:
        kind: the kind of the CDN's URL authentication.
        host: the CDN's host.
        key_env: the environment variable that holds the CDN's key. Give this or `key_file`.
        key_file: the file that holds the CDN's key.
        scheme: the scheme of links.
        validity: how long the CDN accepts a link.
        sign_name: kinds A and D: the name of the parameter with the digest.
        time_name: kind D: the name of the parameter with the time.
        hex_time: kind D: whether the time is hexadecimal.
        uid: kind A: the user ID in links.
        authorize: whether `/authorize` and `/sign` accept a request whose URL is a valid link of this route.
    """

    kind: Literal["A", "B", "C", "D"]
    host: str
    key_env: str | None = None
    key_file: str | None = None
    scheme: Literal["https", "http"] = "https"
    validity: Duration = 1800
    sign_name: str = "sign"
    time_name: str = "t"
    hex_time: bool = False
    uid: str = "0"
    authorize: bool = False


class Route(_Table):
    """Requests whose paths begin with the same text, and their bucket.

    Attributes:
        name: the name that rules and `?route=` use.
        path: the beginning of the request paths. It begins and ends with a slash. The longest path that matches
            decides.
        bucket: `<BucketName>-<APPID>`. Needed unless `domain` is given.
        region: such as `ap-beijing`. Needed unless `domain` is given.
        domain: a host of your own, instead of the bucket's.
        accelerate: whether URLs use the global acceleration host.
        prefix: the beginning of the keys. A key is this prefix and the part of the request path after `path`.
        methods: the methods that the route accepts.
        expires: how long a URL is valid.
        round_to: the length of a window in which a URL stays the same; see [Caching](caching.md).
        params: the parameters that requests may have. `*` at the end of a name stands for any rest.
        unusual_keys: whether keys may hold backslashes, two slashes in a row, or percent signs.
        sign_host: `true` signs the URL's host, `false` none, a text that host.
        cdn: makes redirects to links that a CDN checks.
        cors: the origins whose pages may read answers, such as `https://app.example.com`; `*` is any page.
        cache: `public` lets caches share the redirects of the anonymous caller.
        credentials: other credentials than those of the top level.
    """

    name: Name
    path: Annotated[str, BeforeValidator(_route_path)] = "/"
    bucket: str | None = None
    region: str | None = None
    domain: str | None = None
    accelerate: bool = False
    prefix: str = ""
    methods: tuple[Method, ...] = Field(default=("GET", "HEAD"), min_length=1, strict=False)
    expires: Duration = 900
    round_to: Duration | None = None
    params: tuple[str, ...] = Field(default=(), strict=False)
    unusual_keys: bool = False
    sign_host: bool | Host = True
    cdn: CdnTable | None = None
    cors: tuple[Origin, ...] = Field(default=(), strict=False)
    cache: Literal["private", "public"] = "private"
    credentials: CredentialsTable | None = None


def _longer_prefix(one: str, other: str) -> str | None:
    """The longer of two prefixes, if keys can begin with both; otherwise None."""
    return one if one.startswith(other) else other if other.startswith(one) else None


class Allow(_Table):
    """A rule: one set of requests that the caller may make. All fields of a rule must match.

    Attributes:
        routes: the names of routes; `["*"]` is all of them.
        prefixes: the beginnings of whole keys, with the route's prefix. End them with a slash.
        methods: the methods.
        params: the parameters, as far as the route accepts them. `*` at the end of a name stands for any rest.
        max_expires: the longest validity of a URL, and of a caller's own signature.
        headers: for SDKs: headers that may be signed, in lower case. `*` at the end stands for any rest.
        bulk: whether `POST /presign` is allowed.
        lists: for SDKs: whether lists of the keys below `prefixes` are allowed.
        temporary_keys: for SDKs: whether `POST /sdk/credentials` is allowed.
    """

    routes: tuple[str, ...] = Field(min_length=1, strict=False)
    prefixes: tuple[str, ...] = Field(min_length=1, strict=False)
    methods: tuple[Method, ...] = Field(default=("GET", "HEAD"), min_length=1, strict=False)
    params: tuple[str, ...] = Field(default=(), strict=False)
    max_expires: Duration | None = None
    headers: tuple[HeaderPattern, ...] = Field(default=(), strict=False)
    bulk: bool = False
    lists: bool = False
    temporary_keys: bool = False

    def prefixes_in(self, route: Route) -> Iterator[str]:
        """The beginnings of keys that both the rule and a route allow."""
        for prefix in self.prefixes:
            both = _longer_prefix(prefix, route.prefix)
            if both is not None:
                yield both

    def takes(self, name: str, route: Route) -> bool:
        """Whether both the rule and a route allow a parameter."""
        return all(
            any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in params)
            for params in (self.params, route.params)
        )


class Caller(_Table):
    """A caller: how the gateway recognizes it, and what it may do. Give one of `token_sha256`, `certificate`,
    `secret_id` and `anonymous`, or several.

    Attributes:
        name: the name in logs and in `X-Cossign-Caller`.
        token_sha256: the SHA-256 of the bearer token, 64 hexadecimal digits.
        certificate: the subject of the client certificate, as the trusted proxy sends it.
        secret_id: the SecretId with which the caller signs its requests for the gateway's host.
        secret_key_env: the environment variable that holds the SecretKey of `secret_id`.
        secret_key_file: the file that holds it.
        anonymous: whether requests without any identity are this caller's.
        rate: requests a second. Default: no limit.
        burst: requests that may come at once. Default: those of one second.
        allow: the rules, `[[caller.allow]]`. Without any, the caller may do nothing.
    """

    name: Name
    token_sha256: Annotated[bytes, BeforeValidator(_digest)] | None = None
    certificate: str | None = Field(default=None, min_length=1)
    secret_id: str | None = None
    secret_key_env: str | None = None
    secret_key_file: str | None = None
    anonymous: bool = False
    rate: float | None = Field(default=None, gt=0, le=1e6, strict=False)
    burst: int | None = Field(default=None, ge=1, le=10_000_000)
    allow: tuple[Allow, ...] = Field(default=(), strict=False)


class ClientCertificate(_Table):
    """The headers in which a trusted proxy sends the client certificate.

    Attributes:
        subject_header: the header with the certificate's subject.
        verified_header: the header that must be `SUCCESS`. Otherwise the subject is ignored.
    """

    subject_header: Header = "x-client-subject"
    verified_header: Header = "x-client-verify"


class Bulk(_Table):
    """Limits of `POST /presign`.

    Attributes:
        max_rows: the most rows of a request.
        max_bytes: the most bytes of a request's body.
        concurrent: requests at the same time, for each worker. One place stays free for other callers.
        threads: threads that sign, for each request.
    """

    max_rows: int = Field(default=10_000_000, ge=1)
    max_bytes: int = Field(default=1 << 30, ge=1)
    concurrent: int = Field(default=4, ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=64)


class Tls(_Table):
    """HTTPS, with TLS 1.2 or newer. Workers read the files when they start.

    Attributes:
        certificate: the PEM file of the certificate, with its chain.
        key: the PEM file of its private key, without a password.
    """

    certificate: FilePath
    key: FilePath


class SdkTable(_Table):
    """Where `POST /sdk/credentials` gets temporary keys.

    Attributes:
        role_arn: the role to assume. Default: a federation token.
        sts_region: the region of STS.
        sts_endpoint: the host of STS.
    """

    role_arn: str | None = None
    sts_region: str = "ap-guangzhou"
    sts_endpoint: str = "sts.tencentcloudapi.com"


class Endpoints(_Table):
    """Other paths for the gateway's own endpoints.

    Attributes:
        authorize: answers the sub-request of a proxy.
        sign: the same, with a signature.
        presign: presigns many keys.
        sdk_authorization: signs one request of an SDK.
        sdk_credentials: returns temporary keys for an SDK.
        healthz: 200 while the worker runs.
        readyz: 200 while it has credentials.
        metrics: metrics for Prometheus.
    """

    authorize: EndpointPath = "/authorize"
    sign: EndpointPath = "/sign"
    presign: EndpointPath = "/presign"
    sdk_authorization: EndpointPath = "/sdk/authorization"
    sdk_credentials: EndpointPath = "/sdk/credentials"
    healthz: EndpointPath = "/healthz"
    readyz: EndpointPath = "/readyz"
    metrics: EndpointPath = "/metrics"


class Config(_Table):
    """Fields before the first table.

    Attributes:
        listen: `HOST:PORT`, or `unix:/PATH`. A change needs a restart.
        workers: the number of processes. A change needs a restart.
        graceful_timeout: how long requests may take to end after SIGTERM. A change needs a restart.
        trusted_proxies: addresses of proxies that may use `/authorize` and `/sign` and send client certificates:
            addresses, networks such as `10.0.0.0/8`, or `"unix"` for the peer of a Unix socket.
        metrics_from: addresses that may read the metrics.
        hosts: hosts that callers may sign requests for. Default: any.
        forward_auth: the proxy, which decides the names of headers. `nginx` sends X-Original-URI and X-Original-Method,
            `traefik` and `caddy` send X-Forwarded-Uri, X-Forwarded-Method and X-Forwarded-Host.
        access_log: a file, or `"-"` for stdout. Default: no log.
        explain_url: the address of [the catalogue of causes](signature-does-not-match.md), which refusals link to.
        credentials: the table `[credentials]`.
        client_certificate: the table `[client_certificate]`.
        tls: the table `[tls]`. Without it the gateway speaks plain HTTP.
        bulk: the table `[bulk]`.
        sdk: the table `[sdk]`.
        endpoints: the table `[endpoints]`.
        route: the tables `[[route]]`. There must be at least one.
        caller: the tables `[[caller]]`.
    """

    listen: Annotated[str, BeforeValidator(_listen)] = "127.0.0.1:8080"
    workers: int = Field(default=1, ge=1, le=256)
    graceful_timeout: Duration = 30
    trusted_proxies: tuple[Network, ...] = Field(default=(), strict=False)
    metrics_from: tuple[Network, ...] = Field(default=("127.0.0.1", "::1", "unix"), strict=False)
    hosts: tuple[str, ...] = Field(default=(), strict=False)
    forward_auth: Literal["nginx", "traefik", "caddy"] = "nginx"
    access_log: FilePath | None = None
    explain_url: str | None = Field(default=None, pattern=r"^https?://[!-;=?-~]+$")
    credentials: CredentialsTable = CredentialsTable()
    client_certificate: ClientCertificate | None = None
    tls: Tls | None = None
    bulk: Bulk = Bulk()
    sdk: SdkTable = SdkTable()
    endpoints: Endpoints = Endpoints()
    route: tuple[Route, ...] = Field(min_length=1, strict=False)
    caller: tuple[Caller, ...] = Field(default=(), strict=False)
    _source: str = PrivateAttr("config")
    _text: str = PrivateAttr("")

    @property
    def text(self) -> str:
        """The text of its file."""
        return self._text

    def rules(self, caller: Caller) -> Iterator[tuple[Allow, tuple[Route, ...]]]:
        """A caller's rules, each with its routes."""
        for rule in caller.allow:
            yield rule, tuple(route for route in self.route if "*" in rule.routes or route.name in rule.routes)

    def make_error(self, problems: list[tuple[Place, str]]) -> ConfigError:
        """The error for these problems, with the line of each."""
        return _error(self._source, self._text, problems)


def _find_duplicates(values: list[Any]) -> Iterator[int]:
    seen_values = set()
    for index, value in enumerate(values):
        if value is not None and value in seen_values:
            yield index
        seen_values.add(value)


def _contradictions(config: Config) -> Iterator[tuple[Place, str]]:
    """What is wrong between fields that are each of their form."""
    for field in ("name", "path"):
        for index in _find_duplicates([getattr(route, field) for route in config.route]):
            yield ("route", index, field), "another route has the same"
    for field in ("name", "token_sha256", "certificate", "secret_id"):
        for index in _find_duplicates([getattr(caller, field) for caller in config.caller]):
            yield ("caller", index, field), "another caller has the same"
    for index in _find_duplicates([caller.anonymous or None for caller in config.caller]):
        yield ("caller", index, "anonymous"), "another caller is already anonymous"
    for index in _find_duplicates(list(config.endpoints.model_dump().values())):
        yield ("endpoints", tuple(Endpoints.model_fields)[index]), "another endpoint has the same path"
    for index, route in enumerate(config.route):
        if route.domain is None and (route.bucket is None or route.region is None):
            yield ("route", index), "needs bucket and region, or a domain"
        if route.cdn is not None:
            if (route.cdn.key_env is None) == (route.cdn.key_file is None):
                yield ("route", index, "cdn"), "needs key_env or key_file, and not both"
            if not {"GET", "HEAD"}.issuperset(route.methods):
                yield ("route", index, "methods"), "must be GET and HEAD at most: a CDN's link is for reading"
            if route.cdn.kind == "B" and route.expires < _SHORTEST_B:
                yield ("route", index, "expires"), "must be 2m at least: the CDN's links are of whole minutes"
    for index, caller in enumerate(config.caller):
        yield from (((("caller", index, *place)), what) for place, what in _wrong_caller(config, caller))


def wrong_tls(table: Tls) -> Iterator[tuple[Place, str]]:
    """What is wrong with a certificate and its key: (place, what)."""
    for field in ("certificate", "key"):
        try:
            Path(getattr(table, field)).read_bytes()
        except OSError as error:
            yield ("tls", field), f"cannot be read: {error.strerror}"
            return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, or else it would be asked for on the terminal.
        context.load_cert_chain(table.certificate, table.key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        what = f"does not go with the certificate: both must be PEM, and the key must have no password ({error})"
        yield ("tls", "key"), what


def _wrong_caller(config: Config, caller: Caller) -> Iterator[tuple[Place, str]]:
    identities = (caller.token_sha256, caller.certificate, caller.secret_id, caller.anonymous or None)
    if all(value is None for value in identities):
        yield (), "needs token_sha256, certificate, secret_id or anonymous = true, or nobody can be this caller"
    if caller.certificate is not None and (config.client_certificate is None or not config.trusted_proxies):
        yield ("certificate",), "needs [client_certificate] and trusted_proxies: the headers, and who may send them"
    has_key = [name for name in ("secret_key_env", "secret_key_file") if getattr(caller, name) is not None]
    if caller.secret_id is None and has_key:
        yield (has_key[0],), "needs a secret_id"
    elif caller.secret_id is not None and not has_key:
        yield ("secret_id",), "needs secret_key_env or secret_key_file"
    elif len(has_key) > 1:
        yield ("secret_key_file",), "must not be given with secret_key_env"
    if caller.burst is not None and caller.rate is None:
        yield ("burst",), "needs a rate"
    if caller.rate is not None and max(1, caller.burst or 1) / caller.rate > _LONGEST_BURST:
        yield ("rate",), "is too low: the burst, or one request, would take more than a year"
    names = {route.name for route in config.route}
    lent = [route for rule, routes in config.rules(caller) if rule.temporary_keys for route in routes]
    if any((route.credentials or config.credentials) != (lent[0].credentials or config.credentials) for route in lent):
        yield ("allow",), "has temporary_keys for routes of different credentials: one of them lends all keys"
    for number, (rule, routes) in enumerate(config.rules(caller)):
        place = ("allow", number)
        for name in rule.routes:
            if name != "*" and name not in names:
                yield (*place, "routes"), f"there is no route {name!r}"
        for prefix in rule.prefixes:
            if routes and all(_longer_prefix(prefix, route.prefix) is None for route in routes):
                yield (*place, "prefixes"), f"no key of these routes begins with {prefix!r}"
        for route in routes:
            is_short = rule.max_expires is not None and rule.max_expires < _SHORTEST_B
            if is_short and route.cdn is not None and route.cdn.kind == "B":
                yield (*place, "max_expires"), "must be 2m at least: the CDN's links are of whole minutes"
            if rule.bulk and route.cdn is not None:
                yield (*place, "bulk"), f"must not be true for the route {route.name!r}: bulk does not make CDN links"
            if rule.max_expires is not None and rule.max_expires <= (route.round_to or 0):
                yield (*place, "max_expires"), f"must be longer than round_to of the route {route.name!r}"


def warnings_of(config: Config) -> Iterator[str]:
    """Warnings about fields that are valid but never take effect."""
    used_names = {name for caller in config.caller for rule in caller.allow for name in rule.routes}
    for route in config.route:
        has_links = route.cdn is not None and route.cdn.authorize
        if not has_links and "*" not in used_names and route.name not in used_names:
            yield f"nobody may use the route {route.name}: no caller's rule names it"
    for caller in config.caller:
        if not caller.allow:
            yield f"the caller {caller.name} may do nothing: it has no [[caller.allow]]"
        for number, (rule, routes) in enumerate(config.rules(caller)):
            methods = {method for route in routes for method in route.methods}
            if routes and not methods & set(rule.methods):
                yield (
                    f"rule {number + 1} of the caller {caller.name} never takes effect: its routes accept "
                    f"{', '.join(sorted(methods))}, and it allows {', '.join(rule.methods)}"
                )
            if rule.lists and not any(rule.takes("prefix", route) for route in routes):
                yield (
                    f"rule {number + 1} of the caller {caller.name} lists no keys: its params and those of its routes "
                    "must have prefix, and for SDKs delimiter, marker, max-keys and encoding-type"
                )


# --- Reading


def _field(place: Place) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")


def parse_config(data: Mapping[str, Any], source: str = "config", text: str = "") -> Config:
    """A configuration from the parsed file.

    Raises:
        ConfigError: it cannot be used. The message lists all problems.
    """
    try:
        config = Config.model_validate(dict(data))
    except ValidationError as error:
        plain_words = {"extra_forbidden": "there is no such field", "missing": "is missing"}
        errors = error.errors(include_url=False, include_input=False)
        problems = [
            (tuple(each["loc"]), plain_words.get(each["type"], each["msg"].removeprefix("Value error, ")))
            for each in errors
            # A list whose items are wrong is also said to be too short.
            if each["type"] != "too_short"
            or not any(other is not each and other["loc"][: len(each["loc"])] == each["loc"] for other in errors)
        ]
        raise _error(source, text, problems) from None
    config._source, config._text = source, text
    contradictions = list(_contradictions(config))
    if contradictions:
        raise config.make_error(contradictions)
    return config


def _error(source: str, text: str, problems: list[tuple[Place, str]]) -> ConfigError:
    lines = find_lines(text)
    return ConfigError(source, sorted((line_of(place, lines), _field(place), what) for place, what in problems))


def load(path: str | os.PathLike[str]) -> Config:
    """A configuration from a TOML file.

    Raises:
        ConfigError: it cannot be read or used; the message has a line for each problem.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(os.fspath(path), [(0, "", error.strerror or str(error))]) from None
    except UnicodeDecodeError:
        raise ConfigError(os.fspath(path), [(0, "", "is not UTF-8")]) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"line (\d+)", str(error))
        line = int(match[1]) if match else text.count("\n") + 1
        raise ConfigError(os.fspath(path), [(line, "", f"is not TOML: {error}")]) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets within brackets
        raise ConfigError(os.fspath(path), [(0, "", f"cannot be read as TOML: {error}")]) from None
    return parse_config(data, os.fspath(path), text)
