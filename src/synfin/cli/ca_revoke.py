"""``synfin ca revoke``, ``crl`` and ``ocsp``: taking certificates back, and telling those who ask."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.ca_common import DEFAULT, AskPassword, CaFolder, Json, PasswordFile
from synfin.errors import UsageError

if TYPE_CHECKING:
    from cryptography.x509 import CertificateRevocationList

    from synfin.pki.store import Store


def revoke(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A serial number, a folder of issued/, or a name.")],
    ca: CaFolder = DEFAULT,
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="REASON",
            help="Why (RFC 5280 5.3.1): keyCompromise, superseded, cessationOfOperation ...",
        ),
    ] = "unspecified",
    ask: AskPassword = False,
    password_file: PasswordFile = None,
    json: Json = False,
) -> None:
    """Take a certificate back, and write its issuer's new CRL."""
    from synfin.cli import ca_common, terminal
    from synfin.pki.revocation import REASONS

    known = {name.lower(): name for name in REASONS}
    if reason.lower() not in known:
        raise UsageError(f"--reason {reason}: there are {', '.join(known.values())}")
    store = ca_common.opened(ca, ask, password_file)
    authority, entry = store.find(what)
    store.authority(authority)  # a wrong password is told before anything is revoked
    done = store.revoke(entry.serial, ca_common.now(), known[reason.lower()])
    crl_file = store.folder / authority / "crl.pem"
    if json:
        told = {"serial": done.serial, "authority": authority, "revoked": done.revoked, "reason": done.reason}
        ca_common.write_json({**told, "crl": str(crl_file)})
        return
    names = ", ".join(done.names) or done.label
    terminal.write_lines(
        [
            f"revoked {names} (serial {done.serial}): {done.reason}",
            f"told in {crl_file}; clients that neither fetch it nor ask OCSP still trust the certificate",
        ]
    )


def crl(
    ca: CaFolder = DEFAULT,
    by: Annotated[str, typer.Option("--by", metavar="AUTHORITY", help="Of this authority only.")] = "",
    days: Annotated[
        float | None, typer.Option("--days", metavar="N", help="How long it is good; 7 days unless told.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the CRLs that are there; make none.")] = False,
    ask: AskPassword = False,
    password_file: PasswordFile = None,
    json: Json = False,
) -> None:
    """Make a fresh CRL of each authority.

    What was revoked, and until when that is good; with --show the CRLs that are there already.
    """
    from cryptography import x509

    from synfin.cli import ca_common, files, terminal
    from synfin.pki.mint import UNREADABLE
    from synfin.pki.revocation import CRL_LIFE
    from synfin.pki.store import Store

    if show and days is not None:
        raise UsageError("choose one of --show and --days")
    life = ca_common.life(days=days) or CRL_LIFE
    store = Store(ca) if show else ca_common.opened(ca, ask, password_file)
    now = ca_common.now()
    objects: list[dict[str, object]] = []
    lines: list[str] = []
    for authority in [by] if by else store.authorities():
        store.certificate(authority)
        path = store.folder / authority / "crl.pem"
        if show and not path.exists():
            lines.append(f"{authority}: no CRL yet; synfin ca crl makes one")
            continue
        if not show:
            store.make_crl(authority, now, life=life)
        try:
            found = x509.load_pem_x509_crl(files.read(path))
        except UNREADABLE as error:
            raise UsageError(f"{path} holds no CRL") from error
        objects.append(_crl_json(found, authority, path))
        lines += _crl_lines(found, authority, path, now)
    if json:
        ca_common.write_json({"crls": objects})
        return
    terminal.write_lines(lines)


def _crl_json(found: CertificateRevocationList, authority: str, path: Path) -> dict[str, object]:
    end = found.next_update_utc
    return {
        "authority": authority,
        "file": str(path),
        "from": found.last_update_utc.isoformat() if found.last_update_utc else None,
        "until": end.isoformat() if end else None,
        "revoked": [f"{entry.serial_number:X}" for entry in found],
    }


def _crl_lines(found: CertificateRevocationList, authority: str, path: Path, now: datetime) -> list[str]:
    from cryptography.x509 import CRLReason

    from synfin.cli import ca_words
    from synfin.views.words import count

    end = found.next_update_utc
    rest = f", good until {end:%Y-%m-%d %H:%M} UTC ({ca_words.left(end.isoformat(), now)})" if end else ""
    entries = list(found)
    lines = [f"{authority}: {count(len(entries), 'certificate')} revoked{rest}: {path}"]
    for entry in entries:
        reasons = [one.value.reason.value for one in entry.extensions if isinstance(one.value, CRLReason)]
        when = f"{entry.revocation_date_utc:%Y-%m-%d %H:%M}"
        lines.append(f"  {entry.serial_number:X}  {when}  {reasons[0] if reasons else 'unspecified'}")
    return lines


def ocsp(
    what: Annotated[
        str, typer.Argument(metavar="[WHAT]", help="With --staple: whose status (serial, folder, name).")
    ] = "",
    ca: CaFolder = DEFAULT,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port of the responder; 0 is any.")
    ] = 8889,
    host: Annotated[str, typer.Option("--bind", "--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    staple: Annotated[
        Path | None, typer.Option("--staple", metavar="FILE", help="Write one response (DER) to staple, and stop.")
    ] = None,
    days: Annotated[
        float | None, typer.Option("--days", metavar="N", help="How long an answer is good; 1 day unless told.")
    ] = None,
    ask: AskPassword = False,
    password_file: PasswordFile = None,
) -> None:
    """Answer OCSP requests (RFC 6960) and hand out CRLs.

    On a local HTTP port; or, with --staple, write one response to staple.
    Runs until Ctrl-C or SIGTERM.  /NAME.crl is an authority's CRL, /NAME.cer its certificate.
    """
    from synfin.cli import ca_common
    from synfin.pki.revocation import OCSP_LIFE

    life = ca_common.life(days=days) or OCSP_LIFE
    if staple is not None and not what:
        raise UsageError("--staple FILE needs to know whose: synfin ca ocsp --staple FILE NAME")
    if staple is None and what:
        raise UsageError(f"{what}: only --staple FILE takes a certificate; the responder answers for all")
    store = ca_common.opened(ca, ask, password_file)
    if staple is not None:
        _staple(store, what, staple, life)
        return
    _respond(store, host, port, life)


def _staple(store: Store, what: str, path: Path, life: timedelta) -> None:
    from synfin.cli import ca_common, files, terminal
    from synfin.pki.revocation import staple as make
    from synfin.spec.certroots import pem_certificates

    authority, entry = store.find(what)
    file = store.folder / entry.folder / "certificate.pem"
    found = pem_certificates(files.read(file))
    if not found:
        raise UsageError(f"{file} holds no certificate")
    now = ca_common.now()
    files.write(path, make(found[0], store.authority(authority), now, revoked=entry.taken, life=life))
    standing = f"revoked ({entry.reason})" if entry.taken else "good"
    names = ", ".join(entry.names) or entry.label
    terminal.write_lines([f"{names}: {standing}, until {now + life:%Y-%m-%d %H:%M} UTC: {path}"])


def _respond(store: Store, host: str, port: int, life: timedelta) -> None:
    import sys

    from synfin.cli import terminal
    from synfin.drive.ocsp_responder import Responder

    for authority in store.authorities():
        store.authority(authority)  # passwords are asked for now, not at the first request
    with Responder(store, host, port, life=life) as responder:
        url = responder.url
        lines = [f"OCSP responder for {store.folder} at {url}; Ctrl-C stops it"]
        lines += [f"  CRL of {name}: {url}{name}.crl" for name in store.authorities()]

        def announce() -> None:
            terminal.write_lines(lines)
            sys.stdout.flush()

        responder.serve(lambda told: sys.stderr.write(f"{told}\n"), announce)
    terminal.write_lines([f"stopped after {responder.answered} answers"])
