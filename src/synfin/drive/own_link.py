"""Our own TCP with a faulty link before the device: what it sends and what it gets meets chosen conditions.

The device must leave offload alone (``Tun.open(offload=False)``), so that packets are what a wire would carry.  ``up``
of the link is what we send.  The truth is in the link's counts.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

from synfin.drive.own import BULK, OwnStack
from synfin.drive.tun import Tun
from synfin.drive.wire_link import Link
from synfin.errors import UsageError
from synfin.tcp import Config, Packet


class LinkedStack(OwnStack):
    """An ``OwnStack`` whose packets pass ``link``."""

    def __init__(self, tun: Tun, addresses: Sequence[str], link: Link, config: Config = BULK) -> None:
        if tun.offload:
            raise UsageError(
                f"device {tun.name} carries super-segments, which no link does: open it with offload=False"
            )
        super().__init__(tun, addresses, config)
        self.link = link
        self._pump: asyncio.TimerHandle | None = None
        self._pump_at = 0

    def arrived(self, data: memoryview, now: int) -> None:
        """From the device onto the link."""
        self.link.send(False, bytes(data), now)
        self._deliver()

    def transmit(self, packet: Packet) -> None:
        """From the host onto the link."""
        if packet.again:
            self.count(packet)
        self.link.send(True, packet.write(), time.monotonic_ns())
        self._arm()

    def _deliver(self) -> None:
        """What has come through the link goes on: to the device or to the host."""
        self._pump = None
        now = time.monotonic_ns()
        for arrival in self.link.due(now):
            if not arrival.upward:
                super().arrived(memoryview(arrival.data), now)
                continue
            try:
                os.write(self.tun.fd, arrival.data)
            except OSError:
                continue  # as if a wire behind the link had lost it
            self.packets_out += 1
        self._arm()

    def _arm(self) -> None:
        when = self.link.next_time()
        if when is None or self.tun.fd < 0:
            return
        if self._pump is not None:
            if self._pump_at <= when:
                return
            self._pump.cancel()
        self._pump_at = when
        self._pump = self.loop.call_later(max(when - time.monotonic_ns(), 0) / 1e9, self._deliver_and_turn)

    def _deliver_and_turn(self) -> None:
        if self.tun.fd >= 0:
            self._deliver()
            self.turn()
