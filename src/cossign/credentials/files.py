"""Credentials that Tencent's command line tools have saved: coscli, coscmd, tccli."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from cossign.credentials.base import Credentials, CredentialsProvider, get_credentials
from cossign.credentials.services import CvmRoleCredentials, StsCredentials
from cossign.errors import CredentialsError, CredentialsNotFound, ParameterError

__all__ = ["FileCredentials"]


class FileCredentials:
    """Credentials from a configuration file of coscli, coscmd or tccli, read again when it has changed.

    Args:
        path: the file: coscli's YAML (``.yaml``), tccli's JSON (``.credential``), or else coscmd's INI. None for the
            first that there is of ``~/.cos.yaml``, ``~/.cos.conf`` and ``~/.tccli/<profile>.credential``.
        profile: tccli's; TCCLI_PROFILE or "default" when None. With one, tccli's file is the only one looked for.

    coscli's file needs PyYAML.

    Source: the packages coscmd (cos_cmd.py, load_conf) and tccli (action_caller.py); coscli (util/types.go).

    >>> FileCredentials("~/.cos.conf")
    FileCredentials('~/.cos.conf')
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, profile: str | None = None) -> None:
        if path is not None and profile is not None:
            raise ParameterError("profile", "must not be given with a path")
        if profile is not None and (not profile or os.path.basename(profile) != profile):
            raise ParameterError("profile", "must be the name of a tccli profile")
        self._path = None if path is None else os.fspath(path)
        self._profile = profile
        self._cache: tuple[Any, CredentialsProvider] | None = None

    def get(self) -> Credentials:
        """The credentials that the file holds now.

        Raises:
            CredentialsNotFound: there is no file.
            CredentialsError: the file cannot be read or used; the message says why, and shows no value.
        """
        return self._provider().get()

    async def get_async(self) -> Credentials:
        """As `get`."""
        return await get_credentials(self._provider())

    def _places(self) -> tuple[str, ...]:
        if self._path is not None:
            return (self._path,)
        profile = self._profile or os.environ.get("TCCLI_PROFILE") or "default"
        tccli = os.path.join("~", ".tccli", f"{profile}.credential")
        return (tccli,) if self._profile else ("~/.cos.yaml", "~/.cos.conf", tccli)

    def _provider(self) -> CredentialsProvider:
        for place in self._places():
            name = os.path.expanduser(place)
            try:
                status = os.stat(name)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise CredentialsError(f"{place}: {error.strerror}") from None
            version = name, status.st_mtime_ns, status.st_size, status.st_ino
            cache = self._cache
            if cache is None or cache[0] != version:
                self._cache = cache = version, _read(place, name)
            return cache[1]
        raise CredentialsNotFound(f"there is no {' and no '.join(self._places())}")

    def __repr__(self) -> str:
        if self._path is not None:
            return f"FileCredentials({self._path!r})"
        return f"FileCredentials({f'profile={self._profile!r}' if self._profile else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._path, self._profile)


def _rebuild(path: str | None, profile: str | None) -> FileCredentials:
    return FileCredentials(path, profile=profile)


def _read(place: str, name: str) -> CredentialsProvider:
    """What the file at `name`, which the user calls `place`, says."""
    form: Callable[[str], CredentialsProvider] = _coscmd
    if name.endswith((".yaml", ".yml")):
        form = _coscli
    elif name.endswith((".credential", ".json")):
        form = _tccli
    try:
        with open(name, encoding="utf-8-sig") as file:
            text = file.read(1 << 20)
    except UnicodeDecodeError:
        raise CredentialsError(f"{place}: is not UTF-8") from None
    except OSError as error:
        raise CredentialsError(f"{place}: {error.strerror}") from None
    try:
        return form(text)
    except CredentialsError as error:
        reason = str(error)
    del text
    raise CredentialsError(f"{place}: {reason}")


def _make_credentials(
    fields: Mapping[str, Any], names: tuple[str, str, str], expires_at: float | None = None
) -> Credentials:
    """Credentials out of fields, which errors call by their own names."""
    values: list[Any] = [*(fields.get(name) or None for name in names), expires_at]
    for name, value in zip(names[:2], values[:2], strict=True):
        if value is None:
            raise CredentialsError(f"{name} is missing or empty")
    try:
        return Credentials(*values)
    except CredentialsError as error:
        reason = str(error)
    for parameter, name in zip(("secret_id", "secret_key", "token"), names, strict=True):
        if reason.startswith(parameter):
            reason = name + reason.removeprefix(parameter)
    raise CredentialsError(reason)


def coscli_fields(text: str) -> dict[str, Any]:
    """What coscli's YAML file says below ``cos``, as texts; {} for an empty file.

    Raises:
        CredentialsError: PyYAML is not installed, or it is not such a file.
    """
    if not text.strip():
        return {}
    try:
        import yaml
    except ImportError:
        raise CredentialsError("a YAML file needs PyYAML: pip install PyYAML") from None
    try:
        # The safest loader there is: every value is a str.
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError):  # whose text quotes the file
        raise CredentialsError("is not valid YAML") from None
    try:
        return dict(document["cos"])
    except (KeyError, TypeError, ValueError):
        raise CredentialsError("has no cos.base, as coscli writes it") from None


def _coscli(text: str) -> CredentialsProvider:
    try:
        base = {str(name).lower(): value for name, value in coscli_fields(text)["base"].items()}
    except (AttributeError, KeyError):
        raise CredentialsError("has no cos.base, as coscli writes it") from None
    if base.get("mode") == "CvmRole":
        return CvmRoleCredentials(base.get("cvmrolename") or None)
    if base.get("disableencryption") != "true":
        raise CredentialsError(
            "coscli keeps its secrets encrypted there, and they cannot be signed with: have them written plainly by "
            "'coscli config set --disable_encryption true', or give COS_SECRET_ID and COS_SECRET_KEY in the environment"
        )
    return _make_credentials(base, ("secretid", "secretkey", "sessiontoken"))


def coscmd_fields(text: str) -> dict[str, str]:
    """What coscmd's INI file says below ``[common]``; {} for an empty file.

    Raises:
        CredentialsError: it is not such a file.
    """
    import configparser

    if not text.strip():
        return {}
    parser = configparser.ConfigParser()  # with "%%" for "%", as coscmd reads it
    try:
        parser.read_string(text)
        if not parser.has_section("common"):
            raise CredentialsError("has no section [common], as coscmd writes it")
        return dict(parser.items("common"))
    except configparser.InterpolationError:  # whose text, like the next one's, quotes the file
        raise CredentialsError("holds a '%' that is not written '%%', as coscmd reads it") from None
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        raise CredentialsError(f"is not a valid INI file{f': line {line}' if line else ''}") from None


def _coscmd(text: str) -> CredentialsProvider:
    fields = coscmd_fields(text)
    if not fields:
        raise CredentialsError("has no section [common], as coscmd writes it")
    if "secret_id" not in fields and "access_id" in fields:  # older versions' name
        fields["secret_id"] = fields["access_id"]
    return _make_credentials(fields, ("secret_id", "secret_key", "token"))


def _tccli(text: str) -> CredentialsProvider:
    try:
        fields = json.loads(text)
    except ValueError:  # which keeps the file's text
        fields = None
    if not isinstance(fields, dict):
        raise CredentialsError("is no JSON object, as tccli writes it")
    if fields.get("type") == "cvm-role":
        return CvmRoleCredentials()
    expires_at = fields.get("expiresAt")
    if expires_at is not None and (isinstance(expires_at, bool) or not isinstance(expires_at, (int, float))):
        raise CredentialsError("expiresAt must be Unix seconds")
    credentials = _make_credentials(fields, ("secretId", "secretKey", "token"), expires_at)
    if fields.get("role-arn") and fields.get("role-session-name"):
        return StsCredentials(credentials, role_arn=fields["role-arn"], name=fields["role-session-name"])
    return credentials
