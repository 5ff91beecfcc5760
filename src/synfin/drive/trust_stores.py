"""Places programs take trusted roots from, and looking into them: files, folders, what a program prints, NSS.

Fingerprints are not needed: certificates are compared whole.  A place that cannot be read holds nothing; one that
nobody here can look into says so.  Nothing is ever written.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synfin.drive.bundle import system_bundle
from synfin.spec.certroots import pem_certificates

#: Files of a folder of roots that are looked at.
MOST_FILES = 4000
#: Seconds a program that is asked something may take.
SECONDS = 20


@dataclass(frozen=True, slots=True)
class TrustStore:
    """One place a program takes roots from: where, why there, how many it holds, and whether the root is in it."""

    where: str
    why: str
    count: int | None
    has: bool | None


@dataclass(frozen=True, slots=True)
class Look:
    """Whose stores are looked at, for which root (DER), in which environment."""

    path: str
    root: bytes
    env: Mapping[str, str]
    folder: Path  # for files a fetch needs; the caller's, temporary

    def ask(self, *arguments: str, program: str = "") -> str:
        """What the program prints, both streams; "" where it cannot be run."""
        try:
            done = subprocess.run(
                [program or self.path, *arguments],
                env=dict(self.env),
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return (done.stdout + done.stderr).decode(errors="replace")

    def file(self, where: str, why: str) -> TrustStore:
        """A bundle in PEM."""
        try:
            found = pem_certificates(Path(where).read_bytes())
        except OSError as error:
            return TrustStore(where, f"{why}; {os.strerror(error.errno or 0)}", None, False)
        return TrustStore(where, why, len(found), self.root in found)

    def directory(self, where: str, why: str) -> TrustStore:
        """A folder of files, each in PEM, found by their hashed names (``c_rehash``)."""
        found: set[bytes] = set()
        for part in where.split(":"):
            try:
                files = [path for path in Path(part).iterdir() if re.fullmatch(r"[0-9a-f]{8}\.\d+", path.name)]
            except OSError:
                continue
            for path in files[:MOST_FILES]:
                try:
                    found.update(pem_certificates(path.read_bytes()))
                except OSError:
                    continue
        return TrustStore(where, why, len(found), self.root in found)

    def printed(self, text: str, where: str, why: str) -> TrustStore:
        """Certificates a program printed."""
        found = pem_certificates(text.encode(errors="replace"))
        return TrustStore(where, why, len(found), self.root in found)

    def openssl(self, file: str, folder: str, prefix: str = "") -> list[TrustStore]:
        """OpenSSL's two places, a file and a folder with hashed names: as the environment says, or as compiled in."""
        stores = []
        for variable, usual, read in (("SSL_CERT_FILE", file, self.file), ("SSL_CERT_DIR", folder, self.directory)):
            if self.env.get(variable):
                stores.append(read(self.env[variable], f"{prefix}${variable}"))
            elif usual == folder or Path(usual).exists():
                stores.append(read(usual, f"{prefix}compiled in"))
        return stores

    def system(self, why: str) -> tuple[TrustStore, ...]:
        """The system's bundle; nothing where it has none."""
        bundle = system_bundle()
        return (self.file(str(bundle), why),) if bundle else ()

    def nss(self, database: Path) -> TrustStore:
        """An NSS database: certutil prints what is trusted in it."""
        certutil = shutil.which("certutil", path=self.env.get("PATH"))
        if not (database / "cert9.db").exists():
            return TrustStore(str(database), "NSS, the user's; not there", None, False)
        if certutil is None:
            return TrustStore(str(database), "NSS; certutil (libnss3-tools) is missing to look into it", None, None)
        place = ("-d", f"sql:{database}")
        names = re.findall(
            r"^(\S.*?)\s+[a-zA-Z]*C[a-zA-Z]*,\S*$", self.ask("-L", *place, program=certutil), re.MULTILINE
        )
        text = "".join(self.ask("-L", *place, "-n", name, "-a", program=certutil) for name in names[:MOST_FILES])
        return self.printed(text, str(database), "NSS, the user's")
