"""Credentials that Tencent's command line tools and SDKs have saved: coscli, coscmd, tccli, the SDKs' profiles."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cossign.credentials.base import (
    Credentials,
    CredentialsProvider,
    get_credentials,
    named_credentials,
    unix_seconds,
)
from cossign.credentials.services import CvmRoleCredentials, StsCredentials
from cossign.errors import CredentialsError, CredentialsNotFound, ParameterError

__all__ = ["FileCredentials"]

_PLAIN_ID = re.compile("(AKID|IKID)[!-~]+")  # as coscli's encryption does not make it: that is base64 of bytes


class FileCredentials:
    """Credentials from a file of coscli, coscmd, tccli or the SDKs, which is read again after a change.

    Without a path, it uses the first of these files with usable credentials:

    1. ``~/.cos.yaml`` (coscli). Secrets that coscli has encrypted cannot be used. It needs PyYAML.
    2. ``~/.cos.conf`` (coscmd).
    3. ``~/.tccli/<profile>.credential`` (tccli; Terraform reads it, too).
    4. the file of TENCENTCLOUD_CREDENTIALS_FILE, or else ``~/.tencentcloud/credentials``, or else
       ``/etc/tencentcloud/credentials`` (the SDKs), its section ``[<profile>]``.

    Args:
        path: one file: coscli's YAML (``.yaml``), tccli's JSON (``.credential``, ``.json``), or else the INI file of
            coscmd (``[common]``) or of the SDKs.
        profile: of tccli and of the SDKs; TCCLI_PROFILE, TENCENTCLOUD_PROFILE or "default" when None. With a profile,
            files without profiles are skipped.

    Source: coscmd (cos_cmd.py, load_conf), tccli (action_caller.py), coscli (util/types.go),
    tencentcloud-sdk-python-common (credential.py, ProfileCredential), tencentcloud-sdk-go (common/profile_provider.go).

    >>> FileCredentials("~/.cos.conf")
    FileCredentials('~/.cos.conf')
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, profile: str | None = None) -> None:
        if profile is not None and (
            not isinstance(profile, str) or not profile or os.path.basename(profile) != profile
        ):
            raise ParameterError("profile", "must be the name of a profile of tccli or of the SDKs")
        self._path = None if path is None else os.fspath(path)
        if self._path is not None and (not self._path or "\0" in self._path):
            raise ParameterError("path", "must be a file's path")
        self._profile = profile
        self._cache: tuple[Any, CredentialsProvider] | None = None
        self._place = ""  # the file that was used last
        if profile is not None and self._path is not None and _form(self._path) is not _read_ini:
            raise ParameterError("profile", "must not be given with this path: its file has no profiles")

    def get(self) -> Credentials:
        """The credentials in the file now.

        Raises:
            CredentialsNotFound: no file exists, or each one cannot be used (encrypted, PyYAML missing).
            CredentialsError: a file cannot be read or is incomplete, or its credentials have ended. The message gives
                the reason, and shows no value.
        """
        provider = self.provider()
        try:
            return provider.get()
        except CredentialsNotFound as error:  # the file exists, and so should its credentials
            raise CredentialsError(f"{self._place}: {error}") from None

    async def get_async(self) -> Credentials:
        """As `get`."""
        provider = self.provider()
        try:
            return await get_credentials(provider)
        except CredentialsNotFound as error:
            raise CredentialsError(f"{self._place}: {error}") from None

    def places(self) -> tuple[str, ...]:
        """The files that are looked for, in order, as the user writes them."""
        if self._path is not None:
            return (self._path,)
        tccli = os.path.join("~", ".tccli", f"{self._profile_name()}.credential")
        own_file = os.environ.get("TENCENTCLOUD_CREDENTIALS_FILE")
        # Where anybody may make a folder beside Windows' own, one there could hold somebody else's key.
        of_all = () if os.name == "nt" else ("/etc/tencentcloud/credentials",)
        sdk = (own_file,) if own_file else ("~/.tencentcloud/credentials", *of_all)
        return (tccli, *sdk) if self._profile else ("~/.cos.yaml", "~/.cos.conf", tccli, *sdk)

    def each(self) -> tuple[FileCredentials, ...]:
        """One provider for each of the files that are looked for."""
        if self._path is not None:
            return (self,)
        own_file = os.environ.get("TENCENTCLOUD_CREDENTIALS_FILE")
        return tuple(
            FileCredentials(place, profile=self._profile_name() if place == own_file else self._profile)
            if _form(place) is _read_ini
            else FileCredentials(place)
            for place in self.places()
        )

    def _profile_name(self) -> str:
        name = self._profile or os.environ.get("TCCLI_PROFILE") or os.environ.get("TENCENTCLOUD_PROFILE") or "default"
        if os.path.basename(name) != name:
            raise CredentialsError("TCCLI_PROFILE or TENCENTCLOUD_PROFILE is not the name of a profile")
        return name

    def provider(self) -> CredentialsProvider:
        """What the file says: Credentials, or how to get them."""
        reasons = []
        profile = self._profile_name()
        for place in self.places():
            name = os.path.expanduser(place)
            sections = self._sections(name, profile)
            try:
                status = os.stat(name)
                version = name, sections, status.st_mtime_ns, status.st_size, status.st_ino
                cache = self._cache
                if cache is None or cache[0] != version:
                    self._cache = cache = version, _read(place, name, sections)
            except (FileNotFoundError, NotADirectoryError) as error:
                if place == os.environ.get("TENCENTCLOUD_CREDENTIALS_FILE"):
                    raise CredentialsError(f"TENCENTCLOUD_CREDENTIALS_FILE names {place}: {error.strerror}") from None
                reasons.append(f"there is no {place}")
            except CredentialsNotFound as error:
                reasons.append(str(error))
            except OSError as error:
                raise CredentialsError(f"{place}: {error.strerror}") from None
            else:
                self._place = place
                _check_end(place, cache[1])
                return cache[1]
        raise CredentialsNotFound("; ".join(reasons))

    def _sections(self, name: str, profile: str) -> tuple[str, ...]:
        """The sections of an INI file that are looked for: coscmd's has one of its own, the SDKs' has one a profile."""
        if os.path.basename(name) == ".cos.conf" and not self._profile:
            return ("common",)
        if self._profile or os.path.basename(name) == "credentials":
            return (profile,)
        return "common", profile

    def __repr__(self) -> str:
        arguments = [] if self._path is None else [repr(self._path)]
        arguments += [] if self._profile is None else [f"profile={self._profile!r}"]
        return f"FileCredentials({', '.join(arguments)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._path, self._profile)


def _check_end(place: str, provider: CredentialsProvider) -> None:
    """Refuse temporary credentials that have ended: nobody but their tool can renew them."""
    expires_at = provider.expires_at if isinstance(provider, Credentials) else None
    if expires_at is not None and time.time() >= expires_at:
        raise CredentialsError(f"{place}: its temporary credentials have expired: sign in again (tccli auth login)")


def _rebuild(path: str | None, profile: str | None) -> FileCredentials:
    return FileCredentials(path, profile=profile)


def _form(name: str) -> Callable[[str, Sequence[str]], CredentialsProvider]:
    if name.endswith((".yaml", ".yml")):
        return _read_coscli
    return _read_tccli if name.endswith((".credential", ".json")) else _read_ini


def _read(place: str, name: str, sections: Sequence[str]) -> CredentialsProvider:
    """What the file at `name`, which the user calls `place`, says; of an INI file the first of these sections."""
    try:
        with open(name, encoding="utf-8-sig") as file:
            text = file.read(1 << 20)
    except UnicodeDecodeError:
        raise CredentialsError(f"{place}: is not UTF-8") from None
    except OSError as error:
        raise CredentialsError(f"{place}: {error.strerror}") from None
    try:
        return _form(name)(text, sections)
    except CredentialsError as error:
        kind, reason = type(error), str(error)
    del text
    raise kind(f"{place}: {reason}")


def _make_credentials(fields: Mapping[str, Any], names: tuple[str, str, str], expires_at: Any = None) -> Credentials:
    """Credentials out of fields, which errors call by their own names."""
    if not any(fields.get(name) for name in names):
        raise CredentialsNotFound(f"has no {names[0]} and no {names[1]}")
    return named_credentials({name: fields.get(name) for name in names}, expires_at)


# --- coscli -----------------------------------------------------------------------------------------------------------


def coscli_fields(text: str) -> dict[str, Any]:
    """What coscli's YAML file says below ``cos``, as texts; {} for an empty file.

    Raises:
        CredentialsNotFound: PyYAML is not installed.
        CredentialsError: it is not such a file.
    """
    if not text.strip():
        return {}
    try:
        import yaml
    except ImportError:
        raise CredentialsNotFound("a YAML file needs PyYAML: pip install PyYAML") from None
    try:
        # The safest loader there is: every value is a str.
        document = yaml.load(text, Loader=yaml.BaseLoader) or {"cos": {}}  # noqa: S506
    except (yaml.YAMLError, RecursionError):  # whose text quotes the file
        raise CredentialsError("is not valid YAML") from None
    try:
        return dict(document["cos"])
    except (KeyError, TypeError, ValueError):
        raise CredentialsError("has no cos.base, as coscli writes it") from None


def _read_coscli(text: str, _: Sequence[str]) -> CredentialsProvider:
    fields = coscli_fields(text)
    if not fields:
        raise CredentialsNotFound("has nothing below cos")
    try:
        base = {str(name).lower(): value for name, value in fields["base"].items()}
    except (AttributeError, KeyError):
        raise CredentialsError("has no cos.base, as coscli writes it") from None
    if base.get("mode") == "CvmRole":
        return CvmRoleCredentials(base.get("cvmrolename") or None)
    secret_id = str(base.get("secretid") or "")
    # A file that was written by hand has no flag, and coscli reads it as it is.
    is_plain = str(base.get("disableencryption")).lower() == "true" or _PLAIN_ID.fullmatch(secret_id) is not None
    if secret_id and not is_plain and not _has_fault(secret_id):
        raise CredentialsNotFound(
            "coscli has encrypted its secrets there, so they cannot be used: store them without encryption by "
            "'coscli config set --disable_encryption true', or give COS_SECRET_ID and COS_SECRET_KEY in the environment"
        )
    return _make_credentials(base, ("secretid", "secretkey", "sessiontoken"))


def _has_fault(value: str) -> bool:
    """Whether a value cannot be one that coscli has encrypted, either: it has quotes or blanks, or is a placeholder."""
    return re.fullmatch("[A-Za-z0-9+/=_-]+", value) is None


# --- coscmd and the SDKs ----------------------------------------------------------------------------------------------


def _sections(text: str) -> dict[str, dict[str, str]]:
    """The sections of an INI file, each with its values as they are written.

    Raises:
        CredentialsError: it is not an INI file.
    """
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:  # whose text quotes the file
        line = getattr(error, "lineno", None)
        raise CredentialsError(f"is not a valid INI file{f': line {line}' if line else ''}") from None
    return {name: dict(parser.items(name)) for name in parser.sections()}


def coscmd_fields(text: str) -> dict[str, str]:
    """What coscmd's INI file says below ``[common]``; {} for an empty file.

    Raises:
        CredentialsError: it is not such a file.
    """
    if not text.strip():
        return {}
    sections = _sections(text)
    if "common" not in sections:
        raise CredentialsError("has no section [common], as coscmd writes it")
    return _interpolate(sections["common"])


def _interpolate(fields: dict[str, str]) -> dict[str, str]:
    """Values of coscmd, which writes "%%" for "%"."""
    if any("%" in value.replace("%%", "") for value in fields.values()):
        raise CredentialsError("holds a '%' that is not written '%%', as coscmd reads it")
    return {name: value.replace("%%", "%") for name, value in fields.items()}


def _read_ini(text: str, names: Sequence[str]) -> CredentialsProvider:
    """coscmd's file, whose section is [common], or that of the SDKs, whose sections are profiles."""
    sections = _sections(text)
    name = next((each for each in names if each in sections), None)
    if name is None:
        choices = " or ".join(f"[{each}]" for each in names)
        others = ", ".join(f"[{each}]" for each in sections if len(each) < 20) or "none of a usual name"
        kind = CredentialsNotFound if {*names} <= {"common", "default"} else CredentialsError
        raise kind(f"has no section {choices}: it has {others if sections else 'none'}")
    fields = _interpolate(sections[name]) if name == "common" else sections[name]
    if "secret_id" not in fields and "access_id" in fields:  # the name that older versions of coscmd wrote
        fields["secret_id"] = fields["access_id"]
    return _make_credentials(fields, ("secret_id", "secret_key", "token"))


# --- tccli ------------------------------------------------------------------------------------------------------------


def _read_tccli(text: str, _: Sequence[str]) -> CredentialsProvider:
    if not text.strip():
        raise CredentialsNotFound("is empty")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):  # which keep the file's text
        fields = None
    if not isinstance(fields, dict):
        raise CredentialsError("is not a JSON object, as tccli writes it")
    if fields.get("type") == "cvm-role":
        return CvmRoleCredentials()
    expires_at = fields.get("expiresAt")
    if expires_at is not None:
        expires_at = unix_seconds(expires_at, "expiresAt")
    credentials = _make_credentials(fields, ("secretId", "secretKey", "token"), expires_at)
    if fields.get("role-arn") and fields.get("role-session-name"):
        return StsCredentials(credentials, role_arn=fields["role-arn"], name=fields["role-session-name"])
    return credentials
