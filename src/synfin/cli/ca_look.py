"""``synfin ca show`` and ``synfin ca verify``: what there is, and whether and why a chain holds."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.ca_common import DEFAULT, CaFolder, Json
from synfin.cli.options import Color
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.pki.ledger import Entry
    from synfin.pki.store import Store
    from synfin.spec.certificates import CertificateFacts
    from synfin.views.paint import Paint


def show(
    what: Annotated[
        str, typer.Argument(metavar="[WHAT]", help="An authority, serial number, folder, name, or a PEM file.")
    ] = "",
    ca: CaFolder = DEFAULT,
    json: Json = False,
    no_color: Color = False,
) -> None:
    """Show the authorities and all they issued, or one certificate."""
    from synfin.cli import ca_common, ca_words, terminal
    from synfin.pki.store import Store
    from synfin.spec.certificates import certificate_facts
    from synfin.views.paint import Paint

    now = ca_common.now()
    paint = Paint(terminal.colour(no_color))
    if what and Path(what).is_file():
        for number, der in enumerate(certificates(Path(what))):
            facts = certificate_facts(der)
            if json:
                ca_common.write_json(_facts_json(facts))
            else:
                terminal.write_lines([*[""] * bool(number), *ca_words.certificate(facts, now, paint)])
        return
    store = Store(ca)
    if what:
        facts, status = _one(store, what)
        if json:
            ca_common.write_json({**_facts_json(facts), "status": status})
        else:
            terminal.write_lines(ca_words.certificate(facts, now, paint, status))
    elif json:
        ca_common.write_json(_store_json(store))
    else:
        terminal.write_lines(_tables(store, now, paint))


def certificates(path: Path) -> tuple[bytes, ...]:
    """The certificates in a file, PEM or one in DER; ``-`` is standard input.  UsageError where there is none."""
    from synfin.cli.files import read
    from synfin.spec.certificates import certificate_facts
    from synfin.spec.certroots import pem_certificates

    data = read(path)
    found = pem_certificates(data)
    if not found and data[:1] == b"\x30" and certificate_facts(data).tbs:
        found = (data,)
    if not found:
        raise UsageError(f"{path}: holds no certificate, neither PEM nor DER")
    return found


def _one(store: Store, what: str) -> tuple[CertificateFacts, str]:
    """A certificate of the CA and how it stands."""
    from synfin.spec.certificates import certificate_facts

    if what in store.authorities():
        facts = certificate_facts(store.certificate(what))
        if what == "root":
            return facts, ""
        what = facts.serial_hex
    authority, entry = store.find(what)
    found = certificates(store.folder / entry.folder / "certificate.pem")
    told = (
        f"revoked on {entry.revoked[:10]}: {entry.reason}"
        if entry.revoked
        else f"not revoked, says the ledger of {authority}"
    )
    return certificate_facts(found[0]), told


def _tables(store: Store, now: datetime, paint: Paint) -> list[str]:
    from synfin.cli import ca_words
    from synfin.spec.certificates import certificate_facts

    rows: list[tuple[str, ...]] = [("authority", "name", "key", "until", "")]
    issued: list[tuple[str, ...]] = [("issued", "by", "serial", "until", "")]
    for authority in store.authorities():
        facts = certificate_facts(store.certificate(authority))
        taken = store.revoked(authority)
        rest = _standing(taken, now) if taken is not None else ca_words.left(facts.not_after_text, now)
        rows.append((authority, facts.label, facts.key_text, facts.not_after_text[:10], rest))
    intermediates = set(store.authorities())
    for authority in store.authorities():
        for entry in store.ledger(authority):
            if entry.folder in intermediates:
                continue
            issued.append((_who(entry), authority, entry.serial, entry.not_after[:10], _standing(entry, now)))
    lines = list(ca_words.table(rows, paint))
    if len(issued) > 1:
        lines += ["", *ca_words.table(issued, paint)]
    else:
        lines += ["", "Nothing was issued yet."]
    return lines


def _who(entry: Entry) -> str:
    from synfin.views.words import listing

    return listing(entry.names, 2) or entry.label


def _standing(entry: Entry, now: datetime) -> str:
    from synfin.cli import ca_words

    if entry.revoked:
        return f"revoked {entry.revoked[:10]}" + (f", {entry.reason}" if entry.reason != "unspecified" else "")
    return ca_words.left(entry.not_after, now)


def _facts_json(facts: CertificateFacts) -> dict[str, object]:
    return {
        "subject": facts.subject_text,
        "issuer": facts.issuer_text,
        "serial": facts.serial_hex,
        "not_before": facts.not_before_text,
        "not_after": facts.not_after_text,
        "key": facts.key_text,
        "signature": facts.sig_name,
        "dns": list(facts.san_dns or ()),
        "ip": list(facts.san_ip or ()),
        "ca": facts.is_ca,
        "usages": list(facts.usage_names),
        "must_staple": facts.must_staple,
        "sha256": facts.sha256,
        "problems": list(facts.problems),
    }


def _store_json(store: Store) -> dict[str, object]:
    from dataclasses import asdict

    from synfin.spec.certificates import certificate_facts

    found = []
    for name in store.authorities():
        facts = _facts_json(certificate_facts(store.certificate(name)))
        found.append({"name": name, **facts, "issued": [asdict(entry) for entry in store.ledger(name)]})
    return {"folder": str(store.folder), "authorities": found}


def verify(
    chain: Annotated[Path, typer.Argument(metavar="CHAIN", help="Certificates as sent, leaf first (PEM); - is stdin.")],
    name: Annotated[str, typer.Option("--name", metavar="HOST", help="The host or address a client asks for.")] = "",
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="Judge at this time (ISO 8601) instead of now.")] = "",
    trust: Annotated[
        list[str], typer.Option("--trust", metavar="FILE", help="Trust these roots (PEM), or 'system'; repeatable.")
    ] = [],  # noqa: B006  typer copies defaults
    ca: CaFolder = DEFAULT,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Also: is this the leaf's key?")] = None,
    ocsp: Annotated[
        Path | None, typer.Option("--ocsp", metavar="FILE", help="The stapled OCSP response (DER).")
    ] = None,
    crl: Annotated[list[Path], typer.Option("--crl", metavar="FILE", help="CRLs, PEM or DER; repeatable.")] = [],  # noqa: B006
    client: Annotated[bool, typer.Option("--client", help="The leaf is a TLS client's, not a server's.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what each signature covers.")] = False,
    json: Json = False,
    no_color: Color = False,
) -> None:
    """Draw the path from leaf to root, and why it holds or fails.

    With -v, also what each signature covers.
    Without --trust, the CA's root is trusted where there is a CA, else the roots of the system.
    Exit code 0: it holds; 1: clients refuse it, or some do; 2: the command or the input is wrong.
    """
    from synfin.cli import ca_common, ca_verify, terminal
    from synfin.views.paint import Paint

    if client and name:
        raise UsageError("--name is for servers: nobody asks for a client by name")
    asked = ca_verify.Asked(
        chain=certificates(chain),
        name=name or None,
        now=ca_common.when(at),
        at=bool(at),
        roots=ca_verify.trusted(trust, ca),
        key=key,
        stapled=ca_verify.response(ocsp) if ocsp is not None else None,
        crls=tuple(crl),
        purpose="client" if client else "server",
    )
    found = ca_verify.judge(asked)
    if json:
        ca_common.write_json(ca_verify.as_json(found, str(chain)))
    else:
        terminal.write_lines(ca_verify.lines(found, str(chain), Paint(terminal.colour(no_color)), verbose))
    if found.code:
        raise typer.Exit(found.code)
