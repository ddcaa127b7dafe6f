"""cossign: the fastest correct signer for Tencent Cloud COS. The public names, nothing else."""

from cossign._core import Verified
from cossign.credentials import (
    ChainCredentials,
    Clock,
    Credentials,
    CvmRoleCredentials,
    EnvironmentCredentials,
    FileCredentials,
    RefreshingCredentials,
    StsCredentials,
)
from cossign.errors import (
    BadSignature,
    CosSignError,
    CredentialsError,
    CredentialsNotFound,
    KeyNameError,
    MalformedSignature,
    ParameterError,
    SignatureExpired,
    SignatureMismatch,
    SignatureNotYetValid,
    SignatureRefused,
    SignatureRevoked,
    UnknownSecretId,
)
from cossign.sdk import COS, getAuthorization
from cossign.signer import BulkResult, Signer, engines

__version__ = "0.1.0"

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
    "CvmRoleCredentials",
    "EnvironmentCredentials",
    "FileCredentials",
    "KeyNameError",
    "MalformedSignature",
    "ParameterError",
    "RefreshingCredentials",
    "SignatureExpired",
    "SignatureMismatch",
    "SignatureNotYetValid",
    "SignatureRefused",
    "SignatureRevoked",
    "Signer",
    "StsCredentials",
    "UnknownSecretId",
    "Verified",
    "engines",
    "getAuthorization",
]
