"""synfin: see, make and judge HTTP and HTTPS connections, from the first SYN to the last FIN.

The names here are what scripts begin with; each is imported when first asked for, so that ``import synfin`` is quick.
Captures are opened by ``synfin.observe.observe`` and judged by ``synfin.judge.engine``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synfin.errors import PeerError, UsageError, WireError
    from synfin.sim import Network
    from synfin.tcp import Host
    from synfin.tls import Client, ClientConfig, Credential, Server, ServerConfig

__all__ = [
    "Client",
    "ClientConfig",
    "Credential",
    "Host",
    "Network",
    "PeerError",
    "Server",
    "ServerConfig",
    "UsageError",
    "WireError",
]
__version__ = "0.1.0"

_HOMES = {"Host": "synfin.tcp", "Network": "synfin.sim"}
_HOMES |= dict.fromkeys(("PeerError", "UsageError", "WireError"), "synfin.errors")


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """One of ``__all__``, imported now; most are the TLS endpoint's."""
        if name not in __all__:
            raise AttributeError(f"module 'synfin' has no attribute {name!r}")
        return getattr(import_module(_HOMES.get(name, "synfin.tls")), name)
