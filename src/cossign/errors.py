"""The exceptions and warnings. All exceptions have one base, so that a handler can catch all or some.

No message, and no attribute, ever holds a SecretKey, a SignKey, a token or an expected signature.
"""

from __future__ import annotations

import sys

__all__ = [
    "BadSignature",
    "CosSignError",
    "CredentialsError",
    "CredentialsNotFound",
    "CredentialsWarning",
    "KeyNameError",
    "MalformedSignature",
    "ParameterError",
    "SignatureExpired",
    "SignatureMismatch",
    "SignatureNotYetValid",
    "SignatureRefused",
    "SignatureRevoked",
    "StorageError",
    "UnknownSecretId",
    "UnsignedHeaderWarning",
]


class CosSignError(ValueError):
    """The base of all errors of cossign."""


class ParameterError(CosSignError):
    """A parameter is missing, unknown, or has a wrong type or form. The message names it.

    Attributes:
        parameter: the name of the parameter, in the caller's spelling (``"Expires"``, ``"query['a']"``).
        index: in bulk calls the number of the row, from 0; otherwise None.
        reason: the message without the parameter and the row.
    """

    def __init__(self, parameter: str, reason: str, index: int | None = None) -> None:
        self.parameter = parameter
        self.reason = reason
        self.index = index
        where = parameter if index is None else f"{parameter}[{index}]"
        super().__init__(f"{where} {reason}")

    def __reduce__(self) -> tuple[type[ParameterError], tuple[str, str, int | None]]:
        return type(self), (self.parameter, self.reason, self.index)


class StorageError(CosSignError):
    """A bucket cannot be listed, read or written. The message names the object, the request, and what to do.

    Attributes:
        action: the permission that the request needs, such as ``name/cos:GetObject``.
        bucket: the bucket.
        key: the object, or the prefix of a list.
        status: COS's HTTP status; 0 if COS did not answer.
        code: COS's code, such as NoSuchKey.
        was_repeated: whether the request was sent more than once.
    """

    def __init__(
        self, message: str, action: str = "", bucket: str = "", key: str = "", status: int = 0, code: str = ""
    ) -> None:
        super().__init__(message)
        self.action = action
        self.bucket = bucket
        self.key = key
        self.status = status
        self.code = code
        self.was_repeated = False

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, str, str, str, int, str]]:
        return type(self), (str(self), self.action, self.bucket, self.key, self.status, self.code)


class MissingParameter(ParameterError):
    """A documented parameter is missing. The message has the words of the official SDKs."""

    def __init__(self, parameter: str, reason: str, index: int | None = None) -> None:
        super().__init__(parameter, reason, index)
        where = "" if index is None else f" (row {index})"
        self.args = (f"missing param {parameter}{where}: {reason}",)


class KeyNameError(ParameterError):
    """A key that COS does not allow, or that clients cannot send. In bulk calls ``index`` is its row."""


class CredentialsError(CosSignError):
    """There are no usable SecretId and SecretKey. The message names the source and the reason."""


class CredentialsNotFound(CredentialsError):
    """A source has no usable credentials. A chain tries the next source."""


class CredentialsWarning(UserWarning):
    """COS will refuse signatures of these credentials. The message gives the reason."""


class UnsignedHeaderWarning(UserWarning):
    """A documented call got a header that the SDK does not sign. It is not signed here either."""


class BadSignature(CosSignError):
    """A URL or a request whose signature is not valid.

    Attributes:
        http_string: the HttpString of the URL or request, or None if it could not be read.
        string_to_sign: the StringToSign, or None.
        key_time: ``(start, end)`` in Unix seconds, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        http_string: str | None = None,
        string_to_sign: str | None = None,
        key_time: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.http_string = http_string
        self.string_to_sign = string_to_sign
        self.key_time = key_time

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self.args, self.__dict__


class MalformedSignature(BadSignature):
    """Fields of the signature are missing, doubled or malformed."""


class SignatureMismatch(BadSignature):
    """The signature belongs to another request or another SecretKey."""


class SignatureExpired(BadSignature):
    """The signature is right, but its KeyTime has ended."""


class SignatureNotYetValid(BadSignature):
    """The signature is right, but its KeyTime has not started."""


class SignatureRefused(BadSignature):
    """The signature is right, but this verifier refuses it: it does not sign something, or is valid for too long."""


class SignatureRevoked(SignatureRefused):
    """The signature is right, but the signature or its SecretId is revoked."""


class UnknownSecretId(BadSignature):
    """The verifier has no credentials for this SecretId (q-ak)."""


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of what the first caller outside of cossign did: Python shows a warning once for each line of code."""
    import warnings

    level, frame = 1, sys._getframe()
    while frame.f_back is not None and f"{frame.f_globals.get('__name__')}.".startswith("cossign."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
