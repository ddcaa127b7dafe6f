"""SecretId, SecretKey and token: what holds them, where they come from, and how they are renewed."""

from cossign.credentials.chain import ChainCredentials
from cossign.credentials.files import FileCredentials
from cossign.credentials.given import Credentials, CredentialsProvider, EnvironmentCredentials
from cossign.credentials.refreshing import Clock, RefreshingCredentials
from cossign.credentials.services import CvmRoleCredentials, StsCredentials

__all__ = [
    "ChainCredentials",
    "Clock",
    "Credentials",
    "CredentialsProvider",
    "CvmRoleCredentials",
    "EnvironmentCredentials",
    "FileCredentials",
    "RefreshingCredentials",
    "StsCredentials",
]
