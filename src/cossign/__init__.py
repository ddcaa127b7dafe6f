"""cossign: the fastest correct signer for Tencent Cloud COS. The public names, nothing else."""

from cossign._core import Verified
from cossign.credentials import Credentials, EnvironmentCredentials
from cossign.errors import (
    BadSignature,
    CosSignError,
    CredentialsError,
    KeyNameError,
    MalformedSignature,
    ParameterError,
    SignatureExpired,
    SignatureMismatch,
    SignatureNotYetValid,
    UnknownSecretId,
)
from cossign.sdk import COS, getAuthorization
from cossign.signer import BulkResult, Signer, engines

__version__ = "0.1.0"

__all__ = [
    "COS",
    "BadSignature",
    "BulkResult",
    "CosSignError",
    "Credentials",
    "CredentialsError",
    "EnvironmentCredentials",
    "KeyNameError",
    "MalformedSignature",
    "ParameterError",
    "SignatureExpired",
    "SignatureMismatch",
    "SignatureNotYetValid",
    "Signer",
    "UnknownSecretId",
    "Verified",
    "engines",
    "getAuthorization",
]
