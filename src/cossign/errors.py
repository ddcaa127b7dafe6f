"""The exceptions: one ladder, so that a handler can catch as much or as little as it wants; and the warnings.

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
    """The root of everything that cossign raises on purpose."""


class ParameterError(CosSignError):
    """A parameter is missing, unknown, or of a wrong type or shape; the message names it.

    Attributes:
        parameter: the parameter's name, as the caller spells it (``"Expires"``, ``"query['a']"``).
        index: in bulk calls the row's position in the input, counted from 0; otherwise None.
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
    """A bucket cannot be listed, read or written; the message names the object, the request, and what to do.

    Attributes:
        action: the permission that the request needs, such as ``name/cos:GetObject``.
        bucket: the bucket.
        key: the object, or what the listed keys begin with.
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
    """A documented parameter was not given; worded as the official SDKs word it."""

    def __init__(self, parameter: str, reason: str, index: int | None = None) -> None:
        super().__init__(parameter, reason, index)
        where = "" if index is None else f" (row {index})"
        self.args = (f"missing param {parameter}{where}: {reason}",)


class KeyNameError(ParameterError):
    """An object key that COS cannot hold, or that no client can send; in bulk calls ``index`` is its row."""


class CredentialsError(CosSignError):
    """No usable SecretId and SecretKey; the message says where they were looked for."""


class CredentialsNotFound(CredentialsError):
    """A place holds no credentials, or none that can be used, so that a chain looks at the next one."""


class CredentialsWarning(UserWarning):
    """Credentials with which COS will refuse what is signed; the message says why."""


class UnsignedHeaderWarning(UserWarning):
    """The documented facade was given a header that the SDK does not sign, and leaves it unsigned, too."""


class BadSignature(CosSignError):
    """A URL or a request whose signature is not valid.

    Attributes:
        http_string: the HttpString that the URL or request amounts to, or None where it could not be read.
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
    """The signature's parameters are missing, doubled, or not of their documented form."""


class SignatureMismatch(BadSignature):
    """The signature is of another request, or was made with another SecretKey."""


class SignatureExpired(BadSignature):
    """The signature is right, and its KeyTime has ended."""


class SignatureNotYetValid(BadSignature):
    """The signature is right, and its KeyTime has not begun."""


class SignatureRefused(BadSignature):
    """The signature is right, but not as this verifier wants it: it leaves something unsigned, or holds too long."""


class SignatureRevoked(SignatureRefused):
    """The signature is right, but it, or its SecretId, was revoked."""


class UnknownSecretId(BadSignature):
    """The SecretId (q-ak) is none of those that the verifier holds."""


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of what the first caller outside of cossign did: Python shows a warning once for each line of code."""
    import warnings

    level, frame = 1, sys._getframe()
    while frame.f_back is not None and f"{frame.f_globals.get('__name__')}.".startswith("cossign."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
