"""Hosts that a request may have been signed for, besides the one that it was sent to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cossign.endpoint import LEGACY_REGIONS, REGIONS, read_host

_SERVICES = ("cos", "cos-internal", "cos-website", "pic", "ci")
# Short names of regions in hosts of COS's first years: picbj, cossh.
_SHORT_NAMES = ("bj", "sh", "gz", "cd", "cq", "hk", "sgp", "tj", "ca", "ger", "nj")
# Headers in which proxies and CDNs keep the name that the client asked for.
_ORIGINAL_HOSTS = frozenset(
    ["x-forwarded-host", "x-original-host", "x-host", "x-forwarded-server", "ali-swift-stat-host", "cdn-src-host"]
)


def is_usual_host(host: str) -> bool:
    """Whether a host is one of a bucket's own in its region, which nothing stands before."""
    name = read_host(host)
    return name is not None and name.bucket != "" and name.service == "cos" and name.region in REGIONS


def other_hosts(host: str, bucket: str, given_hosts: Sequence[str], headers: Sequence[tuple[str, str]]) -> list[str]:
    """What may have been signed as Host: the names that were given, those in headers, and all names of the bucket.

    Args:
        host: the request's.
        bucket: ``<BucketName>-<APPID>``, or "".
        given_hosts: the signer's own.
        headers: the request's.
    """
    return list(dict.fromkeys(each for each in _all(host, bucket, given_hosts, headers) if each and each.isascii()))


def _all(host: str, bucket: str, given_hosts: Sequence[str], headers: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from given_hosts
    yield host
    for name, value in headers:
        if name.lower() in _ORIGINAL_HOSTS:
            yield value.strip()
        elif name.lower() == "forwarded":
            forwarded = re.search(r'(?i)host="?([^";,]+)', value)
            yield forwarded[1].strip() if forwarded else ""
    if not bucket:
        return
    own_name = read_host(host)
    region = "" if own_name is None else own_name.region
    for each in dict.fromkeys((*([region] if region else []), *REGIONS, "accelerate-overseas")):
        for service in _SERVICES:
            yield f"{bucket}.{service}.{each}.myqcloud.com"
        yield f"{bucket}.cos.{each}.tencentcos.cn"
    for each in sorted(LEGACY_REGIONS):
        yield f"{bucket}.{each}.myqcloud.com"
    yield f"{bucket}.file.myqcloud.com"
    for each in _SHORT_NAMES:
        yield f"{bucket}.pic{each}.myqcloud.com"
        yield f"{bucket}.cos{each}.myqcloud.com"
    for each in (region, *REGIONS):  # the bucket in the path
        yield f"cos.{each}.myqcloud.com" if each else ""
    yield "service.cos.myqcloud.com"
