"""A network in memory: hosts with TCP, links with chosen faults, sniffers, and the truth beside what they see.

Every run is a function of what was built and of one seed, to the octet.  ``Network`` holds the clock and the nodes,
``Conditions`` say what a direction of a link does, ``Tap`` writes captures, ``Truth`` knows each packet's fate.
``middle`` has NAT, firewalls and a tamperer, ``dirty`` a sniffer with the defects of real ones.
Packets are the records of ``tcp.packet``; octets are made only where a sniffer writes them or a fault damages them.
"""

from __future__ import annotations

from synfin.sim.dirty import Dirt, DirtyTap
from synfin.sim.link import Conditions, Fate
from synfin.sim.middle import Action, Firewall, Nat, Rule, Tamperer
from synfin.sim.network import HostNode, Network, Router
from synfin.sim.talk import Talk, Talks
from synfin.sim.tap import Tap
from synfin.sim.truth import Truth

__all__ = [
    "Action",
    "Conditions",
    "Dirt",
    "DirtyTap",
    "Fate",
    "Firewall",
    "HostNode",
    "Nat",
    "Network",
    "Router",
    "Rule",
    "Talk",
    "Talks",
    "Tamperer",
    "Tap",
    "Truth",
]
