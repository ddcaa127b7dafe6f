"""cossign: the fastest correct signer for Tencent Cloud COS. The public names, nothing else.

Each is imported when it is first asked for, so that `import cossign` costs a program nothing that it does not use.
"""

from __future__ import annotations

from importlib import import_module
from os.path import exists

from cossign.errors import (
    BadSignature,
    CosSignError,
    CredentialsError,
    CredentialsNotFound,
    CredentialsWarning,
    KeyNameError,
    MalformedSignature,
    ParameterError,
    SignatureExpired,
    SignatureMismatch,
    SignatureNotYetValid,
    SignatureRefused,
    SignatureRevoked,
    StorageError,
    UnknownSecretId,
    UnsignedHeaderWarning,
)

TYPE_CHECKING = False  # as type checkers know it; the standard library's typing takes longer to load than the core
if TYPE_CHECKING:
    from typing import Any

    from cossign._arrow import PackedUrls, SignedColumn
    from cossign._verify import Judgement, Verified
    from cossign.bulk import BulkResult
    from cossign.credentials import (
        ChainCredentials,
        Clock,
        Credentials,
        CredentialsProvider,
        CvmRoleCredentials,
        EnvironmentCredentials,
        FileCredentials,
        RefreshingCredentials,
        StsCredentials,
        WebIdentityCredentials,
        check_policy,
        sts_policy,
    )
    from cossign.engine import engines
    from cossign.post import PostPolicy
    from cossign.sdk import COS, getAuthorization
    from cossign.signer import Signer
    from cossign.verifier import Verifier

__version__ = "0.1.0"

if exists(f"{__file__.rpartition('__init__')[0]}cossign.py"):  # that of the other package; ours is called cossigner
    from warnings import warn

    warn(
        "another package called cossign is installed in the same place, and the two overwrite each other's files: "
        "pip uninstall cossign cossigner, then install cossigner again",
        stacklevel=2,
    )

__all__ = [
    "COS",
    "BadSignature",
    "BulkResult",
    "ChainCredentials",
    "Clock",
    "CosSignError",
    "Credentials",
    "CredentialsError",
    "CredentialsNotFound",
    "CredentialsProvider",
    "CredentialsWarning",
    "CvmRoleCredentials",
    "EnvironmentCredentials",
    "FileCredentials",
    "Judgement",
    "KeyNameError",
    "MalformedSignature",
    "PackedUrls",
    "ParameterError",
    "PostPolicy",
    "RefreshingCredentials",
    "SignatureExpired",
    "SignatureMismatch",
    "SignatureNotYetValid",
    "SignatureRefused",
    "SignatureRevoked",
    "SignedColumn",
    "Signer",
    "StorageError",
    "StsCredentials",
    "UnknownSecretId",
    "UnsignedHeaderWarning",
    "Verified",
    "Verifier",
    "WebIdentityCredentials",
    "check_policy",
    "engines",
    "getAuthorization",
    "sts_policy",
]

_MODULES = {
    "COS": "sdk",
    "BulkResult": "bulk",
    "Judgement": "_verify",
    "PackedUrls": "_arrow",
    "PostPolicy": "post",
    "SignedColumn": "_arrow",
    "Signer": "signer",
    "Verified": "_verify",
    "Verifier": "verifier",
    "engines": "engine",
    "getAuthorization": "sdk",
}


def __getattr__(name: str) -> Any:
    if name in ("credentials", "endpoint", "post", "sdk", "signer"):
        return import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'credentials')}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
