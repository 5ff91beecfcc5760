"""Which protocol a connection speaks, told from its first octets and from nothing else: ports lie.

Decides one lower-case name, or "" where nothing fits.  It looks at the first octets of both sides at once, because
a greeting alone is often ambiguous (``220 `` opens SMTP and FTP, ``+OK`` opens POP3 and answers Redis).  What is
then said is left to the watchers; TLS itself is recognised by ``tlswatch`` before anyone asks here.

One regular expression per side does the work: an unknown connection costs about a microsecond.
"""

from __future__ import annotations

import re

#: Octets of each side that are enough to tell.
LOOK = 64

_OPENING = re.compile(
    rb"(?P<http>(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK"
    rb"|REPORT|SEARCH|NOTIFY|SUBSCRIBE|M-SEARCH|PURGE) (?!rtsp:|sip:)|HTTP/[01]\.)"
    rb"|(?P<h2>PRI \* HTTP/2\.0\r\n)"
    rb"|(?P<ssh>SSH-[12]\.)"
    rb"|(?P<greeting>220[ -])"
    rb"|(?P<smtp>(?:EHLO|HELO|MAIL FROM:)[ <])"
    rb"|(?P<lmtp>LHLO )"
    rb"|(?P<imap>\* (?:OK|PREAUTH|BYE)[ \r]"
    rb"|[A-Za-z0-9.]{1,20} (?i:CAPABILITY|STARTTLS|LOGIN|AUTHENTICATE|ID) ?[\r(\"A-Za-z])"
    rb"|(?P<ok>\+OK(?: |\r\n)|-ERR )"
    rb"|(?P<pop3>(?i:CAPA|STLS|APOP [^\r\n]+)\r\n)"
    rb"|(?P<ftp>(?i:AUTH (?:TLS|SSL)|FEAT|SYST|PASV|EPSV)\r\n)"
    rb"|(?P<user>(?i:USER|PASS) )"
    rb"|(?P<irc>(?:NICK |CAP (?:LS|REQ|END)|:[\w.-]+ (?:NOTICE|\d\d\d) |NOTICE AUTH ))"
    rb"|(?P<xmpp>(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,60}\?>\s*)?<stream:stream)"
    rb"|(?P<redis>\*\d{1,6}\r\n\$\d{1,9}\r\n|(?:PING|INFO|AUTH [^\r\n]+)\r\n"
    rb"|(?:SET|DEL|INCR|HSET|LPUSH|RPUSH|SELECT|EXPIRE|PUBLISH|PSUBSCRIBE) [^\r\n/]+\r\n)"
    rb"|(?P<rtsp>RTSP/1\.0 |[A-Z_]{3,13} rtsp:)"
    rb"|(?P<sip>SIP/2\.0 |[A-Z]{3,9} sip:)"
    rb"|(?P<nntp>20[01][ -][^\r\n]*(?i:NNTP|news)|MODE READER\r\n)"
    rb"|(?P<sieve>\"(?i:IMPLEMENTATION)\" )"
    rb"|(?P<vnc>RFB 00\d\.)"
    rb"|(?P<rsync>@RSYNCD: )"
    rb"|(?P<git>[0-9a-f]{4}git-(?:upload|receive)-pack )"
    rb"|(?P<amqp>AMQP[\x00-\x03])"
    rb"|(?P<bittorrent>\x13BitTorrent protocol)"
    rb"|(?P<postgresql>\x00\x00(?s:..)(?:\x00\x03\x00[\x00-\x02]|\x04\xd2\x16[\x2e\x2f\x30]))"
    rb"|(?P<ldap>\x30(?:[\x05-\x7f]|\x81(?s:.)|\x82(?s:..)|\x84(?s:....))\x02[\x01-\x04](?s:.){1,4}?[\x60-\x78\x42\x4a\x50])"
    rb"|(?P<mysql>(?s:..)\x00\x00\x0a[0-9a-zA-Z.+~_-]{3,40}\x00)"
    rb"|(?P<mqtt>\x10(?s:.){1,4}\x00(?:\x04MQTT|\x06MQIsdp))"
    rb"|(?P<smb>\x00[\x00\x01](?s:..)[\xfe\xff]SMB)"
    rb"|(?P<rdp>\x03\x00\x00(?s:.)(?s:.)[\xe0\xd0]\x00\x00)"
    rb"|(?P<telnet>\xff[\xfb-\xfe](?s:.)\xff)"
    rb"|(?P<socks4>\x04[\x01\x02](?s:.{6})[^\x00]{0,50}\x00)"
    rb"|(?P<socks5>\x05(?:\x01[\x00-\x03]|\x02[\x00-\x03]{2}|\x03[\x00-\x03]{3}|\x04[\x00-\x03]{4})(?:\Z|\x05[\x01-\x03]\x00|\x01))"
    rb"|(?P<proxy>PROXY (?:TCP[46]|UNKNOWN)|\r\n\r\n\x00\r\nQUIT\n)"
    rb"|(?P<dns>(?s:..)(?s:..)[\x00-\x07\x80-\x87](?s:.)\x00[\x00\x01]\x00[\x00-\x3f]\x00[\x00-\x3f]\x00[\x00-\x3f]"
    rb"(?:[\x01-\x3f][A-Za-z0-9_*-]|\x00\x00))"
).match

#: (what one side's opening looks like, what the other's does) -> the protocol.
_PAIRS = {
    ("greeting", "smtp"): "smtp",
    ("greeting", "lmtp"): "lmtp",
    ("greeting", "user"): "ftp",
    ("greeting", "ftp"): "ftp",
    ("ok", "user"): "pop3",
    ("ok", "pop3"): "pop3",
    ("ok", "redis"): "redis",
    ("irc", "user"): "irc",
}
#: An opening that does not tell alone -> the likeliest protocol.
_ALONE = {"ok": "pop3", "user": ""}
_FTP_WORDS = re.compile(rb"(?i)ftp|filezilla|serv-u").search


def opening(head: bytes) -> str:
    """What the first octets of one side look like; "" for nothing known.  Some names are not protocols yet."""
    found = _OPENING(head)
    if found is None or found.lastgroup is None:
        return ""
    if found.lastgroup == "dns":
        length = head[0] << 8 | head[1]
        return "dns" if 17 <= length <= 4096 or length + 2 == len(head) else ""
    return found.lastgroup


def protocol(first: bytes, second: bytes) -> tuple[str, int]:
    """The protocol of two sides' first octets, and which of them (0 or 1) speaks as its client, as far as it shows."""
    one = opening(first) if first else ""
    two = opening(second) if second else ""
    if not one and not two:
        return "", 0
    if (one, two) in _PAIRS:
        return _PAIRS[one, two], 1
    if (two, one) in _PAIRS:
        return _PAIRS[two, one], 0
    if "greeting" in (one, two):
        server = 0 if one == "greeting" else 1
        return ("ftp" if _FTP_WORDS((first, second)[server]) else "smtp"), 1 - server
    if one in ("socks4", "socks5", "proxy", "h2", "postgresql", "rdp"):
        return one, 0
    if two in ("socks4", "socks5", "proxy", "h2", "postgresql", "rdp"):
        return two, 1
    if one and not _answers(one, first):
        return _ALONE.get(one, one), 0
    if two and not _answers(two, second):
        return _ALONE.get(two, two), 1
    return (_ALONE.get(one, one), 1) if one else (_ALONE.get(two, two), 0)


def _answers(name: str, head: bytes) -> bool:
    """Whether these octets are what a server of ``name`` says first, rather than a client."""
    if name in ("ok", "sieve", "mysql", "rsync"):
        return True
    return head.startswith((b"HTTP/", b"* ", b":", b"NOTICE", b"RTSP/", b"SIP/", b"20"))
