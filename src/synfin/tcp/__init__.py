"""The TCP endpoint, sans-I/O: RFC 9293 with its friends, as functions of packets, time and entropy."""

from __future__ import annotations

from synfin.tcp.config import Config
from synfin.tcp.connection import Connection, Event
from synfin.tcp.host import Host, Listener
from synfin.tcp.names import Kind, Place, Step, Timer
from synfin.tcp.packet import Icmp, Packet, parse

__all__ = [
    "Config",
    "Connection",
    "Event",
    "Host",
    "Icmp",
    "Kind",
    "Listener",
    "Packet",
    "Place",
    "Step",
    "Timer",
    "parse",
]
