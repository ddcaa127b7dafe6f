"""Bucket and region to host: the default domain, the legacy regions, acceleration, and Domain templates."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from cossign.errors import MissingParameter, ParameterError

_BUCKET = re.compile(r"[a-z0-9-]+-[0-9]+")
_REGION = re.compile(r"[a-z0-9-]+")
_SCHEME = re.compile(r"([a-zA-Z]+)://")
_HOST = re.compile(r"[A-Za-z0-9._~-]+(:[0-9]+)?")
_WHOLE_HOST = re.compile(r"(?!\.)(?!.*\.\.)[a-z0-9._~-]+(:[0-9]+)?")  # no part of it is empty, as of a template
# The official SDKs' words, with which the documented facade refuses its parameters Bucket and Region.
_SDK_BUCKET = 'should format as "test-1250000000"'
_SDK_REGION = 'should not be start with "cos."'
# The regions of COS's first years, whose hosts have no "cos." (cos-wx-sdk-v5, src/base.js, getUrl).
LEGACY_REGIONS = frozenset({"cn-south", "cn-south-2", "cn-north", "cn-east", "cn-southwest", "sg"})


# COS's regions as of November 2026 (product 436, page 6224); private clouds have others.
REGIONS = (
    "ap-bangkok", "ap-beijing", "ap-beijing-1", "ap-beijing-fsi", "ap-chengdu", "ap-chongqing", "ap-guangzhou",
    "ap-hongkong", "ap-jakarta", "ap-mumbai", "ap-nanjing", "ap-seoul", "ap-shanghai", "ap-shanghai-fsi",
    "ap-shenzhen-fsi", "ap-singapore", "ap-tokyo", "eu-frankfurt", "eu-moscow", "na-ashburn", "na-siliconvalley",
    "na-toronto", "sa-saopaulo", "accelerate",
)  # fmt: skip
_SHORT_REGIONS = {
    "bj": "ap-beijing", "sh": "ap-shanghai", "gz": "ap-guangzhou", "cd": "ap-chengdu", "cq": "ap-chongqing",
    "nj": "ap-nanjing", "hk": "ap-hongkong", "sgp": "ap-singapore",
}  # fmt: skip


def nearest_region(region: str) -> str:
    """The region that is probably meant by one that COS is not known to have; "" if none is near.

    >>> nearest_region("ap-bejing"), nearest_region("shanghai"), nearest_region("ap-beijing"), nearest_region("private")
    ('ap-beijing', 'ap-shanghai', '', '')
    """
    if region in REGIONS or region in LEGACY_REGIONS:
        return ""
    import difflib

    if region in _SHORT_REGIONS:
        return _SHORT_REGIONS[region]
    cities = {name.partition("-")[2]: name for name in REGIONS}
    near = difflib.get_close_matches(region, REGIONS, 1, 0.85) or difflib.get_close_matches(region, cities, 1, 0.85)
    return cities.get(near[0], near[0]) if near else ""


class Endpoint(NamedTuple):
    """Where objects live.

    Attributes:
        base: the URL up to the object's path, without a last slash: ``https://examplebucket-...myqcloud.com``.
        host: the value of the Host header.
    """

    base: str
    host: str


def check_bucket(bucket: Any, parameter: str = "bucket") -> str:
    """The bucket, if it is ``<BucketName>-<APPID>``; otherwise a ParameterError."""
    if not isinstance(bucket, str):
        raise ParameterError(parameter, f"must be a str, not {type(bucket).__name__}")
    if not _BUCKET.fullmatch(bucket):
        says = _SDK_BUCKET if parameter == "Bucket" else "must be <BucketName>-<APPID>, such as example-1250000000"
        raise ParameterError(parameter, f"{says}: lower-case letters, digits and hyphens, then the APPID")
    if len(bucket) > 60:
        raise ParameterError(parameter, f"must have at most 60 characters with its APPID, not {len(bucket)}")
    return bucket


def check_region(region: Any, parameter: str = "region") -> str:
    """The region, if it has the form of a region; otherwise a ParameterError."""
    if not isinstance(region, str):
        raise ParameterError(parameter, f"must be a str, not {type(region).__name__}")
    if "cos." in region:
        says = _SDK_REGION if parameter == "Region" else 'must not contain "cos."'
        raise ParameterError(parameter, f'{says}: give the region alone, such as "ap-beijing"')
    if not _REGION.fullmatch(region):
        says = "format error: " if parameter == "Region" else "must have "
        raise ParameterError(parameter, f'{says}lower-case letters, digits and hyphens only, such as "ap-beijing"')
    return region


def endpoint(
    bucket: str | None,
    region: str | None,
    *,
    domain: str | None = None,
    scheme: str = "https",
    accelerate: bool = False,
    names: tuple[str, str, str] = ("bucket", "region", "domain"),
) -> Endpoint:
    """The endpoint of a bucket.

    Args:
        bucket: ``<BucketName>-<APPID>``; None only with a `domain` that does not need it.
        region: for example ``ap-beijing``; None with a domain.
        domain: a host of your own, with or without a scheme; a template of {Bucket}, {BucketName}, {AppId} and
            {Region}, in single or double braces ({{Bucket}} is the name without the APPID), in any case. Unknown
            names are removed.
        scheme: "https" or "http", unless `domain` names one.
        accelerate: use the global acceleration host.
        names: the names of bucket, region and domain in errors.

    Raises:
        ParameterError: a part is missing, or not valid.

    >>> endpoint("examplebucket-1250000000", "ap-beijing").host
    'examplebucket-1250000000.cos.ap-beijing.myqcloud.com'
    >>> endpoint("examplebucket-1250000000", "ap-beijing", domain="{BucketName}.example.com").base
    'https://examplebucket.example.com'
    """
    if not domain:
        if bucket is None:
            raise MissingParameter(names[0], 'such as "examplebucket-1250000000"')
        if region is None:
            raise MissingParameter(names[1], 'such as "ap-beijing"')
    elif not isinstance(domain, str):
        raise ParameterError(names[2], f"must be a str, not {type(domain).__name__}")
    if scheme not in ("https", "http"):
        raise ParameterError("scheme", 'must be "https" or "http"')
    bucket = "" if bucket is None else check_bucket(bucket, names[0])
    region = "" if region is None else check_region(region, names[1])
    if accelerate:
        region = "accelerate"
    if not domain:
        host = f"{bucket}.{region}.myqcloud.com" if region in LEGACY_REGIONS else f"{bucket}.cos.{region}.myqcloud.com"
        return Endpoint(f"{scheme}://{host}", host)

    short, _, appid = bucket.rpartition("-")
    once = {"{appid}": appid, "{bucketname}": short, "{bucket}": bucket, "{region}": region}
    twice = {"{{appid}}": appid, "{{bucket}}": short, "{{region}}": region}
    url = re.sub(r"\{\{.*?\}\}", lambda name: twice.get(name[0].lower(), ""), domain)
    url = re.sub(r"\{.*?\}", lambda name: once.get(name[0].lower(), ""), url)
    match = _SCHEME.match(url)
    if not match:
        url = f"{scheme}://{url}"
    elif match[1].lower() not in ("https", "http"):
        raise ParameterError(names[2], "must be an https:// or http:// host")
    url = url.removesuffix("/")
    host, slash, _ = url.partition("://")[2].partition("/")
    form = _HOST
    if names[2] == "domain":  # a Signer's; the facade does as the SDK
        if slash:
            raise ParameterError("domain", "must be a host without a path: write the path at the beginning of the keys")
        url, host = url.lower(), host.lower()  # as HTTP clients send a Host
        form = _WHOLE_HOST
    if not form.fullmatch(host):
        raise ParameterError(
            names[2], "must be a host name in ASCII, with or without a port; write an international name as xn--..."
        )
    if not re.fullmatch(r"[!-~]*", url) or "?" in url or "#" in url:
        raise ParameterError(names[2], "must not hold spaces, control characters, '?' or '#'")
    return Endpoint(url, host)


# --- Reading a host ---------------------------------------------------------------------------------------------------

# The names of COS's hosts: a bucket, a service, a region (product 436, page 6224; read in November 2026).
_COS_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9-]+-[0-9]+)\.)?"
    rf"(?P<service>cos-internal|cos-website|cos-dualstack|{'|'.join(sorted(LEGACY_REGIONS, reverse=True))}"
    r"|[a-z]{2,8}[0-9]?)"
    r"(?:\.(?P<region>[a-z]+(?:-[a-z0-9]+)*))?\.(?:myqcloud\.com|tencentcos\.cn|myqcloud\.com\.cn)(?::[0-9]+)?"
)


class CosHost(NamedTuple):
    """The parts of one of COS's own hosts; "" where it has none.

    Attributes:
        bucket: ``<BucketName>-<APPID>``.
        service: ``cos``, ``cos-internal``, ``pic``, ... or a short name of a region, such as ``picbj``.
        region: such as ``ap-beijing``.
    """

    bucket: str
    service: str
    region: str


def read_host(host: str) -> CosHost | None:
    """A host taken apart; None if it is not one of COS's own.

    >>> read_host("examplebucket-1250000000.cos.ap-beijing.myqcloud.com")
    CosHost(bucket='examplebucket-1250000000', service='cos', region='ap-beijing')
    """
    match = _COS_HOST.fullmatch(host.lower())
    if match is None:
        return None
    if match["service"] in LEGACY_REGIONS and match["region"] is None:
        return CosHost(match["bucket"] or "", "cos", match["service"])
    return CosHost(match["bucket"] or "", match["service"], match["region"] or "")


def bucket_in(host: str) -> str:
    """The bucket that a host of COS names; "" if it names none.

    >>> bucket_in("examplebucket-1250000000.cos.ap-beijing.myqcloud.com"), bucket_in("cdn.example.com")
    ('examplebucket-1250000000', '')
    """
    name = read_host(host)
    return "" if name is None else name.bucket
