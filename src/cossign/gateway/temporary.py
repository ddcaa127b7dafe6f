"""Temporary keys for a caller: keys of STS with a policy that allows exactly what the caller's rules allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cossign.credentials import CredentialsProvider, StsCredentials, sts_policy
from cossign.gateway.config import Allow, Caller, Config, Route, SdkTable

__all__ = ["TemporaryKeys", "caller_policy", "warnings_of_keys"]

# Calls of COS: the action's name, its method, the parameters that it cannot do without.
_ACTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("GetObject", "GET", ()),
    ("HeadObject", "HEAD", ()),
    ("PutObject", "PUT", ()),
    ("PostObject", "POST", ()),
    ("DeleteObject", "DELETE", ()),
    ("InitiateMultipartUpload", "POST", ("uploads",)),
    ("UploadPart", "PUT", ("partNumber", "uploadId")),
    ("ListParts", "GET", ("uploadId",)),
    ("CompleteMultipartUpload", "POST", ("uploadId",)),
    ("AbortMultipartUpload", "DELETE", ("uploadId",)),
)
_LIST_ACTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("GetBucket", ("prefix",)),
    ("ListMultipartUploads", ("prefix", "uploads")),
)


class Lent(NamedTuple):
    """What a caller's temporary keys may do.

    Attributes:
        policy: what STS is asked to allow; without a statement if no rule of the caller gives temporary keys.
        duration: seconds that they hold: the shortest time that one of the rules allows.
        longest: seconds that a signature of the caller's own may hold, or None.
        routes: the routes that they are for.
    """

    policy: dict[str, Any]
    duration: int
    longest: int | None
    routes: tuple[Route, ...]


class TemporaryKeys:
    """Keys from STS for one caller, asked for when he needs them, and again when half of their time is over.

    Args:
        source: the credentials whose permission is lent.
        lent: what they may do.
        table: where STS is, and which role is assumed.

    Attributes:
        lent: what they may do.
        provider: where they come from.
    """

    def __init__(self, source: CredentialsProvider, lent: Lent, table: SdkTable) -> None:
        self.lent = lent
        self._lender = (source, table)
        self.provider = StsCredentials(
            source,
            policy=lent.policy,
            duration=lent.duration,
            refresh_before=lent.duration / 2,
            role_arn=table.role_arn,
            region=table.sts_region,
            endpoint=table.sts_endpoint,
        )

    def is_like(self, other: TemporaryKeys) -> bool:
        """Whether two give the same keys, so that a reload need not ask for others."""
        return (self._lender, self.lent) == (other._lender, other.lent)


def caller_policy(config: Config, caller: Caller) -> Lent:
    """What a caller's rules with `temporary_keys` allow."""
    statements: list[dict[str, Any]] = []
    durations: list[int] = []
    limits: list[int] = []
    lent_routes: list[Route] = []
    for rule, routes in config.rules(caller):
        for route in routes if rule.temporary_keys else ():
            more = list(_statements(rule, route))
            if more:
                statements += more
                lent_routes.append(route)
                durations.append(min(route.expires, rule.max_expires or route.expires))
                limits += [] if rule.max_expires is None else [rule.max_expires]
    policy = {"version": "2.0", "statement": statements}
    return Lent(policy, min(durations, default=0), min(limits, default=None), tuple(lent_routes))


def _statements(rule: Allow, route: Route) -> Iterator[dict[str, Any]]:
    if route.bucket is None or route.region is None:
        return
    prefixes = [prefix for prefix in rule.prefixes_in(route) if _is_usable(prefix)]
    methods = set(rule.methods) & set(route.methods)
    actions = [name for name, method, params in _ACTIONS if method in methods and _takes(rule, route, params)]
    patterns = [f"{prefix}*" for prefix in prefixes]
    if patterns and actions:
        yield from sts_policy(route.bucket, route.region, patterns, actions)["statement"]
    actions = [name for name, params in _LIST_ACTIONS if rule.lists and _takes(rule, route, params)]
    if patterns and actions and "GET" in methods:
        condition = {"string_like": {"cos:prefix": patterns}}
        yield from sts_policy(route.bucket, route.region, patterns, actions, condition=condition)["statement"]


def _takes(rule: Allow, route: Route, params: tuple[str, ...]) -> bool:
    return all(rule.takes(name, route) for name in params)


def _is_usable(prefix: str) -> bool:
    """Whether a policy can name a prefix: a star, a question mark and a dollar sign mean something else in it."""
    return not prefix.startswith("/") and not any(letter in prefix for letter in "*?$")


def warnings_of_keys(config: Config) -> Iterator[str]:
    """What temporary keys leave out of the rules, in words for the log."""
    for caller in config.caller:
        for number, (rule, routes) in enumerate(config.rules(caller)):
            for route in routes if rule.temporary_keys else ():
                place = f"rule {number + 1} of the caller {caller.name} gives no temporary keys"
                if route.bucket is None or route.region is None:
                    yield f"{place} for the route {route.name}, which has no bucket and region"
                for prefix in rule.prefixes_in(route):
                    if not _is_usable(prefix):
                        yield f"{place} for the prefix {prefix!r}, which a policy of STS cannot name"
