"""The gateway: signs, redirects, authorizes and presigns in bulk, as an ASGI application or by `cossign serve`."""

from cossign.gateway.app import Gateway
from cossign.gateway.config import Config, ConfigError, load

__all__ = ["Config", "ConfigError", "Gateway", "load"]
