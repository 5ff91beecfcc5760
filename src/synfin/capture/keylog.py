"""TLS key logs: the text that browsers, curl and others write where SSLKEYLOGFILE points.

Follows RFC 9850 (the SSLKEYLOGFILE format) and NSS's older lines: ``CLIENT_RANDOM`` and every TLS 1.3 label go by
client random, ``RSA`` by the first eight octets of the encrypted premaster secret or by session id.  Labels that
are not known are kept.  A bad line is a problem with its number and never stops the reading; where a secret is
given twice the later line wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from synfin.errors import UsageError

_MOST_PROBLEMS = 100
_MOST_OCTETS = 1 << 28

_LABEL = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_SESSION = re.compile(r"RSA\s+Session-ID:\s*([0-9A-Fa-f]*)\s+Master-Key:\s*([0-9A-Fa-f]+)\Z")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+\Z")


@dataclass(slots=True)
class KeyLog:
    """The secrets of any number of connections.  ``problems`` names lines that could not be read."""

    problems: list[str] = field(default_factory=list)
    _secrets: dict[bytes, dict[str, bytes]] = field(default_factory=dict)
    _premasters: dict[bytes, bytes] = field(default_factory=dict)
    _sessions: dict[bytes, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self._secrets.values())) + len(self._premasters) + len(self._sessions)

    def __bool__(self) -> bool:
        return bool(self._secrets or self._premasters or self._sessions)

    @classmethod
    def parse(cls, text: bytes) -> KeyLog:
        """Read key log text; never raises."""
        log = cls()
        for number, line in enumerate(_lines(text), 1):
            if not line or line[0] == "#":
                continue
            why = log._line(line)
            if why and len(log.problems) < _MOST_PROBLEMS:
                log.problems.append(f"line {number}: {why}")
        return log

    def _line(self, line: str) -> str:
        """Keep what one line says; returns what is wrong with it, if anything."""
        parts = line.split()
        if not parts:
            return "not of the form LABEL CLIENT_RANDOM SECRET"
        if parts[0] == "RSA":
            return self._rsa_line(line, parts)
        if len(parts) != 3 or not _LABEL.match(parts[0]):
            return "not of the form LABEL CLIENT_RANDOM SECRET"
        label, random, secret = parts
        if len(random) != 64 or not _HEX.match(random):
            return f"{label}: the client random is not 64 hex digits"
        if not _HEX.match(secret):
            return f"{label}: the secret is not hex digits in pairs"
        if label == "CLIENT_RANDOM" and len(secret) != 96:
            return f"{label}: the master secret is not 96 hex digits"
        self._secrets.setdefault(bytes.fromhex(random), {})[label] = bytes.fromhex(secret)
        return ""

    def _rsa_line(self, line: str, parts: list[str]) -> str:
        session = _SESSION.match(line)
        if session:
            if len(session[2]) != 96 or len(session[1]) % 2:
                return "RSA: the master key is not 96 hex digits"
            self._sessions[bytes.fromhex(session[1])] = bytes.fromhex(session[2])
            return ""
        if len(parts) != 3 or not _HEX.match(parts[1]) or not _HEX.match(parts[2]):
            return "not of the form RSA PREFIX PREMASTER"
        if len(parts[1]) != 16 or len(parts[2]) != 96:
            return "RSA: needs 16 hex digits of the encrypted premaster secret and 96 of the clear one"
        self._premasters[bytes.fromhex(parts[1])] = bytes.fromhex(parts[2])
        return ""

    def merge(self, other: KeyLog) -> None:
        """Take over everything ``other`` knows; where both know a secret, the one of ``other`` wins."""
        for random, secrets in other._secrets.items():
            self._secrets.setdefault(random, {}).update(secrets)
        self._premasters.update(other._premasters)
        self._sessions.update(other._sessions)
        self.problems += other.problems

    def get(self, label: str, client_random: bytes) -> bytes | None:
        """The secret called ``label`` of the connection whose ClientHello had ``client_random`` (32 octets)."""
        secrets = self._secrets.get(client_random)
        return secrets.get(label) if secrets else None

    def labels(self, client_random: bytes) -> set[str]:
        """The labels known for ``client_random``."""
        return set(self._secrets.get(client_random, ()))

    def rsa(self, encrypted_premaster_prefix: bytes) -> bytes | None:
        """The premaster secret whose encrypted form begins with these octets (8 are compared)."""
        return self._premasters.get(encrypted_premaster_prefix[:8])

    def session(self, session_id: bytes) -> bytes | None:
        """The master secret of a TLS 1.2 session, by its session id."""
        return self._sessions.get(session_id)

    def to_text(self) -> bytes:
        """The same secrets as key log text, which ``parse`` reads back."""
        lines = [
            f"{label} {random.hex()} {secret.hex()}"
            for random, secrets in self._secrets.items()
            for label, secret in secrets.items()
        ]
        lines += [f"RSA {prefix.hex()} {secret.hex()}" for prefix, secret in self._premasters.items()]
        lines += [f"RSA Session-ID:{name.hex()} Master-Key:{key.hex()}" for name, key in self._sessions.items()]
        return "".join(f"{line}\n" for line in lines).encode()


def read_keylog(path: str | Path) -> KeyLog:
    """Read a key log file.  Raises UsageError when it cannot be read or holds no key log line at all."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MOST_OCTETS)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; give the key log that SSLKEYLOGFILE named") from None
    except IsADirectoryError:
        raise UsageError(f"{path}: is a directory; give the key log file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path}: cannot be read ({reason})") from None
    log = KeyLog.parse(text)
    if len(log):
        return log
    if not text.strip():
        raise UsageError(f"{path}: is empty; a key log has lines such as CLIENT_RANDOM ...")
    if b"-----BEGIN" in text[:65536]:
        kind = "private key" if b"PRIVATE KEY-----" in text else "certificate"
        raise UsageError(f"{path}: is PEM text (a {kind}), not a TLS key log; give the file that SSLKEYLOGFILE named")
    if text[:4] in (b"\n\r\r\n", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"):
        raise UsageError(f"{path}: is a capture, not a TLS key log; give the file that SSLKEYLOGFILE named")
    first = f" ({log.problems[0]})" if log.problems else ""
    raise UsageError(f"{path}: holds no TLS key log line{first}; give the file that SSLKEYLOGFILE named")


def _lines(text: bytes) -> list[str]:
    """Lines without the blanks around them; key logs from Windows shells may be UTF-16 or begin with a BOM."""
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        decoded = text.decode("utf-16", errors="replace")
    else:
        decoded = text.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    return [line.strip(" \t\r\0") for line in decoded.split("\n")]
