"""The codes of COS's answers, and the meaning of each.

Source: Tencent Cloud, COS, "Error codes" (product 436, page 7730) and its earlier editions; read in November 2026.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

# What an answer says of the signature: it is wrong, its time is, the credentials are; or the request failed for another
# reason.
Stage = Literal["signature", "time", "credentials", "after"]


class Meaning(NamedTuple):
    """What one code says.

    Attributes:
        stage: what it says of the signature.
        cause: the catalogue's code for it.
        text: what happened.
    """

    stage: Stage
    cause: str
    text: str


_TEXTS: dict[tuple[Stage, str], dict[str, str]] = {
    ("signature", ""): {
        "SignatureDoesNotMatch": "the service computed another signature",
    },
    ("time", "clock-skew"): {
        "RequestTimeTooSkewed": "the service's clock and the request's time differ by more than 15 minutes",
    },
    ("time", "expired"): {
        "Request has expired": "the signature's time is over, or a clock is wrong",
    },
    ("credentials", "secret-id-refused"): {
        "InvalidAccessKeyId": "the service does not know the SecretId",
        "InvalidSecurity": "the text of the signature is not valid",
    },
    ("credentials", "token-refused"): {
        "ExpiredToken": "the temporary credentials have ended",
        "InvalidToken": "the token is not one that the service knows",
        "InvalidSecurityToken": "the token is not one that the service knows",
        "MissingSecurityHeader": "a required header is missing, such as x-cos-security-token",
    },
    ("after", "access-denied"): {
        "AccessDenied": "a permission refuses the request",
        "AccountProblem": "the account is barred from the operation",
        "PaymentRequired": "the cost quota is used up",
        "NoProcessAuthority": "the permission for image processing is missing",
        "UnauthorizedOperation": "a permission refuses the request",
        "UserNotSourceBucketOwner": "the caller does not own the source bucket",
        "UserNotTargetBucketOwner": "the caller does not own the target bucket",
        "UnavailableForLegalReasons": "the service is stopped: overdue payment or restricted content",
        "DomainAuditFailed": "the custom domain has no ICP licence",
    },
    ("after", "no-such-key"): {
        "NoSuchKey": "no object has this key",
        "NoSuchResource": "no object has this key",
        "NoSuchVersion": "there is no such version of the object",
        "NoSuchUpload": "there is no such multipart upload: it was completed or aborted, or belongs to another key",
        "NoSuchCopySource": "the object to copy does not exist",
    },
    ("after", "cors-refused"): {
        "AccessForbidden": "the bucket's CORS rules refuse the origin, the method or a header",
    },
    ("after", "bucket-in-path"): {
        "PathStyleDomainForbidden": "the bucket must stand in the host, not in the path",
    },
    ("after", "no-such-bucket"): {
        "NoSuchBucket": "there is no bucket of this name in this region",
        "PermanentRedirect": "the bucket is elsewhere",
        "TemporaryRedirect": "the bucket is elsewhere for now",
        "Redirect": "the bucket is elsewhere for now",
        "InvalidRegionName": "the region in the host is wrong",
        "InvalidLocationConstraint": "the region is wrong",
        "InvalidBucketName": "the bucket's name breaks the rules for names",
        "InvalidURI": "the address is not valid",
        "InvalidHostname": "the host is not valid",
        "MissingHost": "the header Host is missing",
        "MissingAppid": "the APPID is missing",
    },
    ("after", "object-archived"): {
        "InvalidObjectState": "the object's storage class or state forbids this: an archived object must be restored first",
        "RestoreAlreadyInProgress": "the object is being restored",
    },
    ("after", "form-refused"): {
        "InvalidPolicyDocument": "the form's policy is not valid JSON, or lacks conditions",
        "MalformedPOSTRequest": "the body is not valid multipart/form-data",
        "IncorrectNumberOfFilesInPostRequest": "a form must have exactly one file",
        "MaxPostPreDataLengthExceededError": "the fields before the file are too long",
        "RequestIsNotMultiPartContent": "the form's Content-Type is not multipart/form-data",
        "EntityTooLarge": "the file is too large",
        "EntityTooSmall": "the file or the part is too small",
        "UserKeyMustBeSpecified": "the form has no field `key`",
    },
    ("after", "service-trouble"): {
        "InternalError": "the service failed",
        "ServiceUnavailable": "the service is not available",
        "SlowDown": "there are too many requests at once",
        "TooManyRequests": "there are too many requests at once",
    },
    ("after", "request-refused"): {
        "ActionAccelerateNotSupported": "the operation cannot be done through the global-acceleration domain",
        "AttachmentFull": "no more ACL or policy grants fit; the limit is reached",
        "BadDigest": "the body's MD5 is not the Content-MD5 that was sent",
        "BadRequest": "a parameter is wrong",
        "BucketAccelerateNotEnabled": "the bucket has no global acceleration switched on",
        "BucketNameTooLong": "the bucket name exceeds the length limit",
        "BucketVersionNotOpen": "versioning is not enabled on the bucket",
        "DNSRecordVerifyFailed": "the custom domain's CNAME or TXT record could not be verified",
        "EntitySizeNotMatch": "the body's length differs from Content-Length",
        "ImageResolutionExceed": "the picture has too many pixels, or the animation too many frames",
        "ImageTooLarge": "the picture file is too big",
        "IncompleteBody": "fewer body bytes arrived than Content-Length promised",
        "InvalidArgument": "a request argument is invalid or not accepted here",
        "InvalidCopySource": "the copy source is invalid",
        "InvalidDelimiter": "the delimiter must be a single character",
        "InvalidDigest": "the Content-MD5 value itself is malformed",
        "InvalidImageFormat": "the picture format is invalid",
        "InvalidImageSource": "the picture source is invalid",
        "InvalidObjectName": "the object key breaks the naming rules",
        "InvalidPart": "one or more of the listed parts do not exist",
        "InvalidPartOrder": "the part numbers are not in order",
        "InvalidPicOperations": "the Pic-Operations header is invalid",
        "InvalidRequest": "the request is invalid",
        "InvalidTag": "a tag is invalid",
        "InvalidTargetBucketForLogging": "the log target bucket is unfit",
        "InvalidUploadStatus": "a versioned bucket refuses uploads by the old JSON API",
        "InventoryFull": "the bucket already has its 1,000 inventory jobs",
        "JsonAPINotSupportOnMAZBucket": "the JSON API cannot work on a multi-AZ bucket",
        "KeyTooLong": "the object key is too long",
        "KmsException": "the key-management service reported an error",
        "KmsKeyDisabled": "the KMS key is disabled",
        "KmsKeyNotExist": "the KMS key does not exist",
        "ListPartUploadIdIsEmpty": "List Parts was called with an empty UploadId",
        "LoggingConfExists": "a logging configuration already exists",
        "LoggingPrefixInvalid": "the log prefix is invalid",
        "MalformedPolicy": "the bucket policy's format is invalid",
        "MalformedXML": "the XML body has wrong syntax",
        "MAZOperationNotSupportOnOAZBucket": "a single-AZ bucket does not support multi-AZ operations",
        "MissingRequestBodyError": "the request body is missing",
        "MultiAZFeatureNotSupport": "the region has no multi-AZ feature",
        "MultiBucketNotSupport": "replication takes one target bucket only",
        "NotifyRuleEventConflict": "notification rules clash in their events",
        "NotifyRulePrefixConflict": "notification rules clash in their prefixes",
        "NotifyRuleSuffixConflict": "notification rules clash in their suffixes",
        "NotSupportedStorageClass": "the storage class is not supported",
        "OAZOperationNotSupportOnMAZBucket": "a multi-AZ bucket does not support single-AZ operations",
        "PolicyFull": "no more ACLs or policies fit; the limit is reached",
        "PolicyVersionFull": "too many policy versions",
        "RequestTimeout": "the request timed out",
        "SsecDecryptHeaderInvalid": "the object is SSE-C encrypted and the same key must be sent",
        "SSEContentNotSupported": "this encryption method is not supported",
        "SSEHeaderNotAllowed": "the operation does not accept this SSE header",
        "TargetBucketNameInvalid": "the target bucket name is invalid",
        "TooManyBuckets": "the account has its maximum of 200 buckets",
        "UnexpectedContent": "the request does not take this content",
        "UserCnameInvalid": "the given CNAME does not exist or is invalid",
        "UserNetworkTooSlow": "the client's network is too slow",
        "VerifyAlgorithmNotSupported": "the checksum algorithm is not supported",
        "WebsiteURLInvalid": "the custom URL is invalid",
        "XMLSizeLimit": "the XML body is too long",
        "InventoryConfigurationNotFoundError": "no such inventory configuration",
        "NoBucketQuotaPolicy": "the bucket has no quota policy",
        "NoSuchCORSConfiguration": "the bucket has no CORS configuration",
        "NoSuchEncryptionConfiguration": "the bucket has no encryption configuration",
        "NoSuchJob": "the batch job does not exist",
        "NoSuchLifecycleConfiguration": "the bucket has no lifecycle configuration",
        "NoSuchObjectLockConfiguration": "the bucket has no object-lock configuration",
        "NoSuchPolicyVersion": "no such policy version",
        "NoSuchTagSet": "no tag set exists",
        "NoSuchWebsiteConfiguration": "the bucket has no static-website configuration",
        "OriginConfigurationNotFoundError": "the bucket has no origin-pull configuration",
        "ReplicationConfigurationNotFoundError": "the bucket has no replication configuration",
        "MethodNotAllowed": "the resource does not support this HTTP method",
        "RestoreNonArchiveObject": "only archived objects can be restored",
        "UploadIdNotSupported": "the UploadId comes from the JSON API and cannot be used with the XML API",
        "AppendPositionErr": "the append position is not the object's length",
        "BucketAlreadyExists": "the bucket name is taken",
        "BucketAlreadyOwnedByYou": "the bucket exists and is this account's own",
        "BucketLocked": "the bucket is locked; replication and lifecycle are refused",
        "BucketNotEmpty": "the bucket still holds objects",
        "DomainConfigConflict": "the domain settings clash",
        "InvalidBucketState": "the bucket's state clashes with the request",
        "InvalidLockedTime": "the lock time is invalid",
        "ObjectLocked": "the object is locked and cannot be overwritten, deleted or changed",
        "PathConflict": "simultaneous writes to one key clashed",
        "QuotaConflict": "two quotas clash",
        "QuotaOperationConflict": "the bucket's state does not allow the quota operation",
        "RecordAlreadyExist": "a DNS record clashes; delete it or add a CNAME/TXT record",
        "UploadConflict": "the same key was uploaded too many times at once",
        "ObjectNotAppendable": "the object was not made by append",
        "MissingContentLength": "the Content-Length header is missing",
        "PreconditionFailed": "a precondition header did not hold",
        "InvalidRange": "the requested byte range is invalid",
        "KmsInternalException": "internal error of the key-management service",
        "NotImplemented": "the function is not implemented",
        "KmsFreqControl": "KMS is called too often",
        "InlineDataTooLarge": "inline data is too large",
        "LifeCycleIdNotUnique": "a lifecycle rule ID occurs twice",
        "LifeCycleRuleConflicted": "lifecycle rules clash",
        "MalformedACLError": "the ACL's XML is wrong",
        "MaxMessageLengthExceeded": "the request is too long",
        "MetadataTooLarge": "the metadata is too large",
        "NoLifecycle": "no lifecycle exists",
        "UnresolvableGrantByUID": "the UID of a grant does not exist",
        "InvalidObjectStorage": "the storage class is invalid",
        "OperationAborted": "the operation is not supported here, or the transfer broke",
        "InvalidAddressingHeader": "anonymous access is required",
    },
}
MEANINGS: dict[str, Meaning] = {
    code: Meaning(stage, cause, text) for (stage, cause), texts in _TEXTS.items() for code, text in texts.items()
}
# Older spellings.
MEANINGS.update(
    BadRquest=MEANINGS["BadRequest"],
    RequestTimeOut=MEANINGS["RequestTimeout"],
    InvaildAccessKeyId=MEANINGS["InvalidAccessKeyId"],
    ImcompleteBody=MEANINGS["IncompleteBody"],
)
