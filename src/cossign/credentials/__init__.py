"""SecretId, SecretKey and token: what holds them, where they come from, and how they are renewed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cossign.credentials.base import (
    Credentials,
    CredentialsProvider,
    CredentialsSource,
    EnvironmentCredentials,
    FunctionCredentials,
)
from cossign.credentials.clock import Clock

if TYPE_CHECKING:
    from cossign.credentials.chain import ChainCredentials
    from cossign.credentials.files import FileCredentials
    from cossign.credentials.policy import check_policy, sts_policy
    from cossign.credentials.refreshing import RefreshingCredentials
    from cossign.credentials.services import CvmRoleCredentials, StsCredentials, WebIdentityCredentials

__all__ = [
    "ChainCredentials",
    "Clock",
    "Credentials",
    "CredentialsProvider",
    "CredentialsSource",
    "CvmRoleCredentials",
    "EnvironmentCredentials",
    "FileCredentials",
    "FunctionCredentials",
    "RefreshingCredentials",
    "StsCredentials",
    "WebIdentityCredentials",
    "check_policy",
    "sts_policy",
]

# Imported when they are first asked for: sockets, threads and logging take longer to load than everything else.
_MODULES = {
    "ChainCredentials": "chain",
    "CvmRoleCredentials": "services",
    "FileCredentials": "files",
    "RefreshingCredentials": "refreshing",
    "StsCredentials": "services",
    "WebIdentityCredentials": "services",
    "check_policy": "policy",
    "sts_policy": "policy",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value
