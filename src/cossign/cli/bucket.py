"""The bucket and region of a command: from options, the environment, and files of coscmd, coscli and tccli."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from cossign.cli.hints import address
from cossign.credentials import ChainCredentials, CredentialsProvider, FileCredentials
from cossign.credentials.files import coscli_fields, coscmd_fields
from cossign.endpoint import check_bucket
from cossign.errors import CosSignError, CredentialsError, ParameterError
from cossign.signer import Signer

_COSCMD, _COSCLI = "~/.cos.conf", "~/.cos.yaml"


class ConfiguredBucket(NamedTuple):
    """A bucket that a file of another tool names.

    Attributes:
        bucket: <BucketName>-<APPID>.
        region: its region; None if the file does not name it.
        alias: coscli's short name; None elsewhere.
    """

    bucket: str
    region: str | None
    alias: str | None = None


def split_address(key: str) -> tuple[str | None, str]:
    """The bucket and the key of an argument: ``cos://BUCKET/KEY``, or a key alone."""
    if key == "-":
        raise ParameterError(
            "KEY", "'-' is not stdin here: cossign presign - signs the keys of stdin; the key '-' is cos://BUCKET/-"
        )
    if re.match("(?i)'(cos|https?)://", key):
        raise ParameterError("KEY", f"{key} begins with a single quote: use double quotes in cmd.exe")
    if key.startswith("cos://"):
        bucket, slash, name = key.removeprefix("cos://").partition("/")
        if not bucket or not slash or not name:
            raise ParameterError("KEY", f"{key} does not name an object: write cos://BUCKET/KEY")
        return bucket, name
    what = address(key)
    if what or re.match("(?i)cos:/", key):
        raise ParameterError("KEY", f"{key} {what or 'is not an address of COS: write cos://BUCKET/KEY'}")
    return None, key


def resolve(
    arguments: argparse.Namespace, bucket: str | None = None, inventory: tuple[str | None, str | None] = (None, None)
) -> tuple[str | None, str | None]:
    """The bucket and the region to sign for.

    Args:
        arguments: those of `arguments.add_bucket`.
        bucket: that of a cos:// address, which -b must not contradict; None without one.
        inventory: the bucket and the region that an inventory's manifest names, where no option and no variable does.

    Returns:
        (bucket, region); None for what a domain of one's own makes unnecessary.

    Raises:
        ParameterError: one is missing, or is not valid.
    """
    if bucket and arguments.bucket and bucket != arguments.bucket:
        raise ParameterError("-b", f"is {arguments.bucket}, but the address is in {bucket}: leave one out")
    entries, problems = _configured_buckets()
    region = arguments.region or _profile_region(arguments.profile, problems)
    explicit_bucket = bucket or arguments.bucket
    bucket = explicit_bucket or os.environ.get("COS_BUCKET") or None
    if bucket is None and inventory[0] is not None and re.fullmatch("[a-z0-9-]+-[0-9]+", inventory[0]):
        bucket, region = inventory[0], region or inventory[1]
    if bucket is None and _host_needs("bucket|bucketname|appid", arguments.domain):
        bucket = _only_bucket(entries, problems)
    if bucket is not None:
        alias = bucket
        bucket, found_region = _find_bucket(bucket, entries)
        if explicit_bucket and bucket != alias:
            region = region or found_region  # an alias names its bucket and its region
        _check(bucket, problems)
        region = region or os.environ.get("COS_REGION") or found_region
    region = region or os.environ.get("COS_REGION") or None
    if region is None and _host_needs("region", arguments.domain):
        # coscmd uses its region for every bucket
        region = next((each.region for each in entries if each.alias is None), None)
        if region is None:
            text = f"is missing: give the region of {bucket}, such as ap-beijing, or set COS_REGION"
            raise ParameterError("-r", _with_problems(text, problems))
    return bucket, region


def _host_needs(names: str, domain: str | None) -> bool:
    """Whether a host has to be made of what is called so: the default one, or a template with one of these names."""
    return domain is None or re.search(rf"(?i)\{{({names})\}}", domain) is not None


def find_bucket(bucket: str) -> tuple[str, str | None]:
    """A bucket that is given by its name or by an alias of coscli, and its region, if a file tells it."""
    return _find_bucket(bucket, _configured_buckets()[0])


def _configured_buckets() -> tuple[list[ConfiguredBucket], list[str]]:
    """The buckets that the files of coscmd and coscli name, and why a file was not read."""
    entries: list[ConfiguredBucket] = []
    problems: list[str] = []
    for place, read in ((_COSCMD, _coscmd_buckets), (_COSCLI, _coscli_buckets)):
        try:
            entries += read(place)
        except CosSignError as error:
            problems.append(f"{place} was not read: {error}")
        except OSError as error:
            problems.append(f"{place} was not read: {error.strerror}")
    return entries, problems


def _find_bucket(bucket: str, entries: list[ConfiguredBucket]) -> tuple[str, str | None]:
    matches = [each for each in entries if bucket in (each.bucket, each.alias)]
    return (matches[0].bucket if matches else bucket), next((each.region for each in matches if each.region), None)


def provider(profile: str | None) -> CredentialsProvider:
    """Where the secrets come from: a profile of tccli or of the SDKs, or the first source that has some."""
    return ChainCredentials() if profile is None else FileCredentials(profile=profile)


def signer(
    arguments: argparse.Namespace,
    bucket: str | None = None,
    inventory: tuple[str | None, str | None] = (None, None),
    **options: Any,
) -> Signer:
    """A Signer by the options of `arguments.add_bucket` and `arguments.add_request`; see `resolve`."""
    bucket, region = resolve(arguments, bucket, inventory)
    return Signer(
        provider(arguments.profile),
        bucket=bucket,
        region=region,
        domain=arguments.domain,
        accelerate=arguments.accelerate,
        strict=not arguments.no_strict,
        round_to=arguments.round_to,
        **options,
    )


def _with_problems(text: str, problems: list[str]) -> str:
    return f"{text} ({'; '.join(problems)})" if problems else text


def _only_bucket(entries: list[ConfiguredBucket], problems: list[str]) -> str:
    """The one bucket that the files name."""
    buckets = list(dict.fromkeys(each.bucket for each in entries))
    if not buckets:
        example = "give <BucketName>-<APPID>, such as -b examplebucket-1250000000, or set COS_BUCKET"
        raise ParameterError("-b", _with_problems(f"is missing: {example}", problems))
    coscmd = [each.bucket for each in entries if each.alias is None]
    if len(buckets) > 1 and not coscmd:
        raise ParameterError("-b", f"is missing, and {_COSCLI} names several buckets: {', '.join(buckets)}")
    return coscmd[0] if coscmd else buckets[0]


def _check(bucket: str, problems: list[str]) -> None:
    if "://" in bucket:
        raise ParameterError("-b", f"must be a bucket's name, not an address: write -b {bucket.partition('://')[2]}")
    try:
        check_bucket(bucket)
    except ParameterError as error:
        raise ParameterError(
            "-b", _with_problems(f"{bucket} {error.reason}; it is not an alias of coscli", problems)
        ) from None


def _profile_region(profile: str | None, problems: list[str]) -> str | None:
    """The region of a tccli profile, if it has one."""
    if profile is None:
        return None
    place = f"~/.tccli/{profile}.configure"
    try:
        fields = json.loads(_text(place) or "{}")
        region = fields.get("_sys_param", fields).get("region") or None
    except OSError as error:
        problems.append(f"{place} was not read: {error.strerror}")
        return None
    except (CosSignError, ValueError, AttributeError, RecursionError):
        region = fields = ()
    if region is not None and not isinstance(region, str):
        problems.append(f"{place} was not read: it is not as tccli writes it")
        return None
    return region


def _coscmd_buckets(place: str) -> Iterator[ConfiguredBucket]:
    fields = coscmd_fields(_text(place))
    bucket, appid, region = (fields.get(name) or "" for name in ("bucket", "appid", "region"))
    if bucket:
        full_name = bucket if not appid or bucket.endswith(f"-{appid}") else f"{bucket}-{appid}"
        yield ConfiguredBucket(full_name, region or None)


def _coscli_buckets(place: str) -> Iterator[ConfiguredBucket]:
    fields = coscli_fields(_text(place))
    for each in fields.get("buckets") or ():
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            endpoint = str(each.get("endpoint") or "")
            endpoint_region = endpoint.removeprefix("cos.").removesuffix(".myqcloud.com")
            region, alias = each.get("region"), each.get("alias")
            if not region or not isinstance(region, str):
                region = endpoint_region if endpoint == f"cos.{endpoint_region}.myqcloud.com" else None
            yield ConfiguredBucket(each["name"], region, alias if alias and isinstance(alias, str) else each["name"])


def _text(place: str) -> str:
    try:
        with open(os.path.expanduser(place), encoding="utf-8-sig") as file:
            return file.read(1 << 20)
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise CredentialsError("it is not UTF-8") from None
