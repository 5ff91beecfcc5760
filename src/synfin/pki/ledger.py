"""The ledger of an authority: one line of JSON for each certificate it issued, and how people ask for one.

The ledger is the truth from which CRLs and OCSP answers are made.  This module reads and writes its lines and finds
certificates in them; ``store`` keeps the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from synfin.errors import UsageError
from synfin.pki.revocation import REASONS, Revoked
from synfin.spec.certnames import a_label


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; times are ISO 8601 in UTC, ``serial`` is upper case hex, ``revoked`` "" where the certificate stands.

    ``folder`` is where it lies, relative to the CA's.
    """

    serial: str
    subject: str
    names: tuple[str, ...]
    not_before: str
    not_after: str
    folder: str
    revoked: str = ""
    reason: str = ""

    @property
    def taken(self) -> Revoked | None:
        """As ``revocation`` wants it; None where the certificate stands."""
        if not self.revoked:
            return None
        return Revoked(int(self.serial, 16), datetime.fromisoformat(self.revoked), self.reason)

    @property
    def label(self) -> str:
        """Whom it is for, in one name: the common name, or the whole subject where there is none."""
        return common_name(self.subject) or self.subject


def read_ledger(data: bytes, path: Path) -> tuple[Entry, ...]:
    """The entries in ``data``, the content of ``path``.  Raises UsageError with the line that cannot be read."""
    found = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        try:
            fields = json.loads(line)
            entry = Entry(**{**fields, "names": tuple(fields["names"])})
            int(entry.serial, 16)
            if entry.taken and entry.reason not in REASONS:
                raise ValueError(f"no reason {entry.reason!r}")
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{path} line {number} cannot be read: {error}") from error
        found.append(entry)
    return tuple(found)


def write_ledger(entries: Iterable[Entry]) -> bytes:
    """The content of a ledger with ``entries``."""
    return "".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries).encode()


def serial_of(text: str) -> str:
    """A serial number as ledgers write it: upper case hex, without colons and leading zeros."""
    return text.upper().replace(":", "").lstrip("0")


def find(what: str, every: Iterable[tuple[str, Entry]], folder: Path) -> tuple[str, Entry]:
    """The one of ``every`` (authority, entry) that people mean: by serial number, by folder, or by a name it is for.

    ``folder`` is the CA's.  Raises UsageError where there is none, or several stand under that name.
    """
    every = list(every)
    found = [one for one in every if one[1].serial == serial_of(what)]
    if not found:
        place = str(Path(what).parent if what.endswith(".pem") else what).rstrip("/")
        places = {place, str(Path(place).absolute())}
        found = [
            (name, entry)
            for name, entry in every
            if places & {entry.folder, Path(entry.folder).name, str((folder / entry.folder).absolute())}
        ]
    if not found:
        plain = a_label(what)
        named = [one for one in every if plain in (*one[1].names, common_name(one[1].subject).lower())]
        found = [one for one in named if not one[1].revoked] or named
    if len(found) > 1:
        serials = ", ".join(entry.serial for _, entry in found[-5:])
        raise UsageError(f"{len(found)} certificates are for {what}: say which by its serial number: {serials}")
    if not found:
        raise UsageError(f"{what}: no certificate with that serial number, folder or name was issued here")
    return found[0]


def common_name(subject: str) -> str:
    """The common name in a subject as a ledger writes it; "" where it has none."""
    return next((part[3:] for part in re.split(r",\s*(?=[A-Z]+=)", subject) if part.startswith("CN=")), "")
