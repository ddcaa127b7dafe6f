"""From a configuration to the Gate that enforces it."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from cossign.cdn import CdnSigner
from cossign.credentials import (
    ChainCredentials,
    Credentials,
    CredentialsProvider,
    CvmRoleCredentials,
    EnvironmentCredentials,
    FileCredentials,
    StsCredentials,
)
from cossign.credentials.base import get_credentials
from cossign.engine import chosen_engine
from cossign.errors import CosSignError, CredentialsError, ParameterError
from cossign.gateway._gate import Board, Caller, Gate, Route, Rule
from cossign.gateway.access_log import make_line_writer
from cossign.gateway.cdn_links import CdnLinks
from cossign.gateway.config import Caller as CallerTable
from cossign.gateway.config import CdnTable, Config, CredentialsTable
from cossign.gateway.config import Route as RouteTable
from cossign.gateway.cors import Cors
from cossign.gateway.temporary import TemporaryKeys, caller_policy
from cossign.signer import Signer

# The headers in which a proxy says which request it asks for: its target, its method, its Host.
_FORWARD_HEADERS = {
    "nginx": (b"x-original-uri", b"x-original-method", None),
    "traefik": (b"x-forwarded-uri", b"x-forwarded-method", b"x-forwarded-host"),
    "caddy": (b"x-forwarded-uri", b"x-forwarded-method", b"x-forwarded-host"),
}


class CredentialsHolder:
    """The latest credentials of the provider: signing never waits.

    Args:
        provider: where they come from.

    Attributes:
        now: the credentials, or None before the provider has given any.
        since: when they last changed, Unix seconds.
        problem: what the provider said when it was asked last and had none; "" if it had some, or was not asked yet.
    """

    def __init__(self, provider: CredentialsProvider) -> None:
        self.provider = provider
        self.now = provider if isinstance(provider, Credentials) else None
        self.since = time.time()
        self.problem = ""

    def get(self) -> Credentials:
        """The credentials.

        Raises:
            CredentialsError: there are none yet.
        """
        if self.now is None:
            raise CredentialsError(self.problem or "the credentials were not asked for yet")
        return self.now

    async def renew(self) -> None:
        """Ask the provider; if it has none, the old ones are used until they expire."""
        try:
            credentials = await get_credentials(self.provider)
            if credentials is not self.now:
                self.now, self.since = credentials, time.time()
            self.problem = ""
        except CosSignError as error:
            self.problem = str(error)
        except Exception as error:  # somebody's own provider
            self.problem = f"the provider failed: {type(error).__name__}"

    def usable(self, now: float) -> bool:
        """Whether there are credentials that have not expired."""
        return self.now is not None and (self.now.expires_at is None or now < self.now.expires_at)


def _provider(table: CredentialsTable) -> CredentialsProvider:
    if table.source == "environment":
        return EnvironmentCredentials()
    if table.source == "file":
        return FileCredentials(table.path, profile=table.profile)
    if table.source == "role":
        return CvmRoleCredentials(table.role)
    if table.source == "sts":
        return StsCredentials(
            ChainCredentials(),
            policy=table.policy,
            role_arn=table.role_arn,
            duration=table.duration,
            region=table.region,
            endpoint=table.endpoint,
        )
    return ChainCredentials()


def make_network_check(networks: Iterable[str]) -> Callable[[str], bool]:
    """A function: whether an address, or "" for a Unix socket, is in one of the networks.

    >>> trusts = make_network_check(["10.0.0.0/8", "unix"])
    >>> trusts("10.1.2.3"), trusts("::ffff:10.1.2.3"), trusts("11.0.0.1"), trusts(""), trusts("nobody")
    (True, True, False, True, False)
    """
    names = tuple(networks)
    ip_networks = [ipaddress.ip_network(name) for name in names if name != "unix"]

    def trusts(address: str) -> bool:
        if not address:
            return "unix" in names
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        ipv4 = getattr(ip, "ipv4_mapped", None)
        return any((ipv4 or ip) in network for network in ip_networks)

    return trusts


def _route(table: RouteTable, holder: CredentialsHolder) -> Route:
    signer = Signer(
        holder,
        bucket=table.bucket,
        region=table.region,
        domain=table.domain,
        accelerate=table.accelerate,
        expires=table.expires,
        round_to=table.round_to,
        sign_host=table.sign_host is not False,
    )
    return Route(
        table.name,
        table.path.encode(),
        table.prefix.encode(),
        table.methods,
        table.params,
        signer,
        table.expires,
        table.unusual_keys,
        table.cache == "public",
        origin=table.sign_host if isinstance(table.sign_host, str) else "",
        cdn=_cdn(table.cdn),
    )


def _cdn(table: CdnTable | None) -> CdnSigner | None:
    if table is None:
        return None
    try:
        key = _secret(table.key_env, table.key_file, "key")
        return CdnSigner(key=key, **table.model_dump(exclude={"key_env", "key_file", "authorize"}))
    except ParameterError as error:
        raise ParameterError("cdn", f"{error.parameter} {error.reason}") from None


def _secret(env: str | None, path: str | None, field: str) -> str:
    """A key that an environment variable or a file holds.

    Raises:
        ParameterError: it cannot be had.
    """
    if env is not None:
        text = os.environ.get(env, "")
        if not text:
            raise ParameterError(f"{field}_env", f"names {env}, which is not set")
        return text
    try:
        return Path(path or "").read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ParameterError(f"{field}_file", f"cannot be read: {type(error).__name__}") from None


def _secrets(table: CallerTable) -> Any:
    """What verifies a caller's own signatures, or None."""
    if table.secret_id is None:
        return None
    secret_key = _secret(table.secret_key_env, table.secret_key_file, "secret_key")
    credentials = Credentials(table.secret_id, secret_key)
    return credentials.secrets()


def _callers(
    config: Config, board: Board, problems: list[tuple[tuple[str | int, ...], str]]
) -> list[tuple[CallerTable, Caller, Any]]:
    """The configuration's callers, and what verifies their signatures; what is wrong with one is added to a list."""
    callers: list[tuple[CallerTable, Caller, Any]] = []
    for index, caller in enumerate(config.caller):
        rules = [
            Rule(
                None if "*" in rule.routes else rule.routes,
                [prefix.encode() for prefix in rule.prefixes],
                rule.methods,
                None if "*" in rule.params else rule.params,
                rule.max_expires,
                rule.bulk,
                lists=rule.lists,
                headers=rule.headers,
            )
            for rule in caller.allow
        ]
        rate = caller.rate or 0
        try:
            gate_caller = Caller(caller.name, rules, rate, caller.burst or max(1, int(rate)), board, caller.anonymous)
            callers.append((caller, gate_caller, _secrets(caller)))
        except (CosSignError, MemoryError) as error:
            parameter = getattr(error, "parameter", "secret_id" if caller.secret_id else "rate")
            problems.append((("caller", index, parameter), getattr(error, "reason", str(error))))
    return callers


class Policy:
    """A configuration, made ready.

    Args:
        config: the configuration.
        board: where requests are counted.
        credentials: instead of those that the configuration names.
        old_policy: the policy whose place this one takes: credentials that it has are not asked for again.

    Attributes:
        config: the configuration.
        gate: what judges.
        holders: the credentials of its routes.
        temporary_keys: of each caller who may have them: where they come from.
        cors: what lets pages of other origins read answers, or None.

    Raises:
        ConfigError: a route or a caller cannot be made of the configuration.
    """

    def __init__(
        self,
        config: Config,
        board: Board,
        credentials: CredentialsProvider | None = None,
        old_policy: Policy | None = None,
    ) -> None:
        self.config = config
        self._sources: dict[CredentialsTable, CredentialsHolder] = {}
        self._old_policy = old_policy
        self._credentials = credentials
        problems: list[tuple[tuple[str | int, ...], str]] = []
        routes = self._routes(problems)
        callers = _callers(config, board, problems)
        if problems:
            raise config.make_error(problems)
        self.temporary_keys = self._lend()
        self._old_policy = None
        self.holders = tuple(self._sources.values())
        target, method_header, host = _FORWARD_HEADERS[config.forward_auth]
        headers = {b"authorization": "authorization", target: "target", method_header: "asked", b"host": "host"}
        if host is not None:
            headers[host] = "original_host"
        if config.client_certificate is not None:
            headers[config.client_certificate.subject_header.encode()] = "subject"
            headers[config.client_certificate.verified_header.encode()] = "verified"
        trusts = make_network_check(config.trusted_proxies)
        signers = zip(config.route, (route.cdn for route in routes), strict=True)
        links = CdnLinks(signers, target, (config.endpoints.authorize, config.endpoints.sign), trusts, board)
        self.gate: Gate = Gate(
            routes=routes,
            endpoints={path: name for name, path in config.endpoints.model_dump().items()},
            headers=headers,
            by_token={
                **{table.token_sha256: caller for table, caller, _ in callers if table.token_sha256},
                **links.by_token,
            },
            by_certificate={table.certificate.encode(): caller for table, caller, _ in callers if table.certificate},
            by_secret_id={table.secret_id: (caller, secrets) for table, caller, secrets in callers if table.secret_id},
            anonymous=next((caller for table, caller, _ in callers if table.anonymous), None),
            hosts=[host.lower().encode() for host in config.hosts],
            trusts=trusts,
            nginx=config.forward_auth == "nginx",
            board=board,
            log=None if config.access_log is None else make_line_writer(trusts),
            lines=[] if old_policy is None else old_policy.gate.lines,
            engine=chosen_engine(),
            help=config.explain_url,
        )
        self.shows_metrics = make_network_check(config.metrics_from)
        doors = (config.endpoints.sdk_authorization, config.endpoints.sdk_credentials)
        has_cors = any(route.cors for route in config.route)
        answer = links.answering(self.gate) if links.by_token else self.gate.answer
        self.cors = Cors(answer, config.route, doors) if has_cors else None
        self.answer = answer if self.cors is None else self.cors.answer

    def sources(self) -> Iterator[tuple[str, CredentialsHolder]]:
        """(routes, credentials): which routes sign with which credentials."""
        for table, holder in self._sources.items():
            names = [
                route.name for route in self.config.route if (route.credentials or self.config.credentials) == table
            ]
            yield f"the route{'s' if len(names) > 1 else ''} {', '.join(names)}", holder

    def _routes(self, problems: list[tuple[tuple[str | int, ...], str]]) -> list[Route]:
        """The configuration's routes; what is wrong with one is added to a list, with its place."""
        routes = []
        for index, route in enumerate(self.config.route):
            try:
                routes.append(_route(route, self._source(route.credentials or self.config.credentials)))
            except CosSignError as error:
                parameter = getattr(error, "parameter", "credentials")
                is_field = parameter in type(route).model_fields
                place = ("route", index, *([parameter] if is_field else []))
                problems.append((place, getattr(error, "reason", str(error))))
        return routes

    def _lend(self) -> dict[str, TemporaryKeys]:
        old_keys = {} if self._old_policy is None else self._old_policy.temporary_keys
        keys_by_caller = {}
        for caller in self.config.caller:
            lent = caller_policy(self.config, caller)
            if not lent.routes:
                continue
            source = self._source(lent.routes[0].credentials or self.config.credentials)
            keys = TemporaryKeys(source, lent, self.config.sdk)
            old = old_keys.get(caller.name)
            keys_by_caller[caller.name] = old if old is not None and old.is_like(keys) else keys
        return keys_by_caller

    def _source(self, table: CredentialsTable) -> CredentialsHolder:
        if table not in self._sources:
            holder = None if self._old_policy is None else self._old_policy._sources.get(table)
            self._sources[table] = holder or CredentialsHolder(self._credentials or _provider(table))
        return self._sources[table]
