"""The TCP endpoint, sans-I/O: RFC 9293 with its friends, as functions of packets, time and entropy.

A ``Host`` (addresses, ports, listeners, connections) and a ``Connection`` have the same five verbs: ``receive`` a
packet, ``next_timer``, ``timer_fired``, ``take_output``, ``next_event``.  ``now`` is an integer of nanoseconds that the
caller counts, and unguessable numbers come from a secret the caller gives; so the same code runs in ``sim`` and in the
world.

Transitions are rows of ``spec.tcp_states``; the steps of SEGMENT ARRIVES are functions of ``arrives`` in the RFC's
order; ``recovery`` decides what was lost and ``output`` what goes out.  Payload is views of buffers, not copied between
user and packet.

Where RFCs leave a choice, or disagree with habit, this endpoint does the following.

* A bad ACK in SYN_SENT is answered by a RST, and the SYN is sent again by its timer, not at once (3.10.7.3).
* RFC 5961's checks are on.  A RST counts at exactly RCV.NXT, is challenged elsewhere in the window, and is outside of
  it at RCV.NXT+RCV.WND.  Challenges are counted for each connection, ten in five seconds: a count shared by all would
  tell a stranger what it answers.  Answers to empty segments outside the window are counted too.
* A bad ACK in SYN_RECEIVED is answered by a RST (3.5.2 group 2), not by RFC 5961's ACK, whose check begins where a
  connection stands.
* A SYN in the window sends a passive opener in SYN_RECEIVED back to LISTEN (3.10.7.4, fourth), others challenge it.
* In a simultaneous open the SYN-ACK that brings the peer's SYN a second time opens the connection (figure 7), though
  the letter of the first step finds its number outside of the window.
* Octets and FIN that come with a SYN, a segment of them at most, are kept until the connection stands, and not
  acknowledged before (3.10.7.2).  A cookie keeps nothing: the peer sends them again.
* Text that runs over the number of a FIN that came ahead goes first, and the FIN is forgotten ("in SEG.SEQ order",
  3.10.7.4); of two the nearer counts.
* TS.Recent is taken from segments whose ACK was acceptable, with text for a closed window too.
* A SYN that comes again with octets or FIN in SYN_RECEIVED loses the SYN to the window's edge (3.10.7.4, first); the
  rest counts if it has an ACK.
* An active OPEN in LISTEN makes the listening socket connect from its port (3.10.1).
* An option whose length lies ends the reading of options; the segment counts (MUST-7).  Of two of a kind the first
  counts.  A window scale above 14 is taken as 14 (RFC 7323 2.3).
* Calls that the RFC answers with "connection closing" or "does not exist" take and give nothing; the state says why.
  What had come in order before a RST can still be read, though 3.10.7.4 would flush it.
* CLOSE in SYN_RECEIVED sends the FIN at once when nothing waits to be sent (3.10.4).
* ABORT sends <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>: ACK is set as in every segment of a standing connection (3.1).
* A RST ends TIME_WAIT, as 3.10.7.4 says; RFC 1337 would ignore it.
* A SYN in TIME_WAIT that is surely new begins a new connection (RFC 6191); others are challenged, not dropped.  If
  its handshake fails, TIME_WAIT goes on (3.6.1).
* A segment without timestamps on a connection that uses them is dropped in silence (RFC 7323 3.2), unless it is a RST,
  or a SYN, which is challenged (3.10.7.4).
* The retransmission timeout starts at 1 s and never is less (RFC 6298 2.4); 3 s after a SYN that was sent again (5.7).
* MSL is two minutes (3.4.2).  The user timeout is five minutes (3.9.1), for a SYN three (3.8.3) if not less.  It
  sends no RST.
* ``close`` with unread data, and data after ``close``, are answered by a RST (3.6.1); ``shutdown`` is the RFC's CLOSE.
  After ``close`` FIN_WAIT_2 lasts a minute at most.
* The Nagle algorithm holds back neither urgent data nor what a FIN ends.  What a silly window held back goes after one
  timeout (3.8.6.2.1 wants 0.1 to 1 s).
* In slow start the window grows by at most two segments an acknowledgment (RFC 3465), by one after a timeout.
* Hard ICMP errors end a connection that is being opened, and are soft in all other states (RFC 5461, RFC 5927 5.2);
  of ICMPv6 type 1 codes 1 and 4 are hard.  Redirects and source quench are not TCP's.
  Messages must quote a number in flight.  No ICMP makes packets smaller than 552 octets (IPv6: 1280).
* After three retransmissions in vain (R1) of a long segment the path is taken for a black hole: packets have 1024
  octets (IPv6: 1280), and probes find what fits (RFC 4821).  ``Config.black_hole`` says when, or never.
* Timestamps, SACK and window scaling are offered; ECN is granted when asked for, not asked for.
* After three retransmissions the user is told by a soft error (R1), by default after five minutes it ends (R2).
* The user timeout option (RFC 5482) is off; where it is on, the longer wish counts, between 100 s and an hour.
* In recovery the rate is reduced in proportion (RFC 9937).  A loss that was none is taken back by F-RTO, by timestamps
  (RFC 3522) or by D-SACK (RFC 3708).  HyStart++ is not done.
* An MSS below 48 counts as 48.  Fragments are joined by the host within bounds; source routes are not built.
* A super-segment waits for a third of the congestion window while acknowledgments are on their way.
* A connection in TIME_WAIT that its user has let go is kept as a small record (``rest``).
* SACK blocks go in segments without data; one that has both is sent as two.
* What a peer reported by SACK counts as lost again when a timeout finds the first octets outstanding among it.
"""

from __future__ import annotations

from synfin.tcp.config import Config
from synfin.tcp.connection import Connection, Event
from synfin.tcp.host import Host
from synfin.tcp.listeners import Listener
from synfin.tcp.names import Kind, Place, Step, Timer
from synfin.tcp.packet import Icmp, Packet, parse
from synfin.tcp.sockets import Socket

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
    "Socket",
    "Step",
    "Timer",
    "parse",
]
