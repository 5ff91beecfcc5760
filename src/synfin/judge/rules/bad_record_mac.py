"""TLS501: a record did not authenticate: its octets changed on the way, or the keys differ.

 What it sees.  bad_record_mac (20) or decrypt_error (51, decryption_failed 21) from one side; or, with TLS secrets,
records that do not authenticate although their TCP checksums hold.

Why it matters.  "decryption failed or bad record mac", "Tag mismatch!", ERR_SSL_BAD_RECORD_MAC_ALERT: TLS has
caught data that was changed after it was sent: faulty memory or network card, an offload that computes a new
checksum over damaged octets, a middlebox that rewrites payload.

How to fix.  Capture at both ends and compare the octets of the record: where they differ first is the culprit's
side. Switch offloads off as a test.

Confused with.  A TLS implementation with a bug; a key log that does not belong to this connection (then only we
fail to decrypt, and nobody sends an alert).

References.  RFC 8446 5.2 and 6.2, RFC 9293 3.1 (the TCP checksum is weak).
"""

from __future__ import annotations

from synfin.judge.alerts import alert_name
from synfin.judge.engine import Context
from synfin.judge.facts import deciding_alert
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection

CODE = "TLS501"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on an alert that says a record did not authenticate."""
    tls = connection.tls
    alert = deciding_alert(connection)
    if tls is None or alert is None or alert.description not in (20, 21):
        return None
    sender = 1 - alert.sender
    before = [r for r in tls.records if r.sender == sender and r.protected and r.time <= alert.time]
    suspect = f", most probably that of packet {before[-1].packet}" if before else ""
    return finding(
        CODE,
        f"{end(connection, alert.sender)} received a record that does not authenticate: data changed on the way",
        f"{at(connection, alert.time).capitalize()} {end(connection, alert.sender)} sent the alert "
        f"{alert_name(alert.description)} (packet {alert.packet}): a record of {end(connection, sender)}{suspect} was "
        "not "
        "what its sender had sealed.",
        "Network's operator: capture at both ends and compare the record's octets; look at network cards, their "
        "offloads, and at middleboxes that rewrite payload.",
        [*(record.packet for record in before[-1:]), alert.packet],
        sure=Confidence.LIKELY,
        reason="the receiver's TLS says so; a bug in one of the two TLS implementations could do it too",
        disproof="the same octets of that record at both ends",
        next_capture="at both ends at once, to compare the record",
    )
