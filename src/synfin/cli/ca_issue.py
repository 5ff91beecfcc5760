"""``synfin ca issue``: certificates for servers and clients, and authorities below."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.ca_common import DEFAULT, AskPassword, CaFolder, Json, KeyKind, PasswordFile
from synfin.cli.options import Color
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.pki.mint import Order
    from synfin.pki.store import Issued, Store
    from synfin.views.paint import Paint


def issue(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Hosts, addresses, *.wildcards; with --client, the user.")
    ] = [],  # noqa: B006
    ca: CaFolder = DEFAULT,
    by: Annotated[str, typer.Option("--by", metavar="AUTHORITY", help="Who signs: root or an intermediate.")] = "",
    client: Annotated[bool, typer.Option("--client", help="A TLS client's certificate, for a user or e-mail.")] = False,
    intermediate: Annotated[bool, typer.Option("--intermediate", help="A CA below, with this name.")] = False,
    permit: Annotated[
        list[str], typer.Option("--permit", metavar="NAME", help="For --intermediate: only this domain or network.")
    ] = [],  # noqa: B006
    exclude: Annotated[
        list[str], typer.Option("--exclude", metavar="NAME", help="For --intermediate: never this domain or network.")
    ] = [],  # noqa: B006
    path_length: Annotated[
        int,
        typer.Option("--path-length", metavar="N", min=0, help="For --intermediate: how many CAs may stand below it."),
    ] = 0,
    days: Annotated[
        float | None, typer.Option("--days", metavar="N", help="How long it lives; 47 days unless told.")
    ] = None,
    hours: Annotated[float | None, typer.Option("--hours", metavar="N", help="How long it lives, in hours.")] = None,
    key_kind: KeyKind = "p256",
    csr: Annotated[Path | None, typer.Option("--csr", metavar="FILE", help="For this request's key and names.")] = None,
    must_staple: Annotated[bool, typer.Option("--must-staple", help="Demand a stapled OCSP response.")] = False,
    ocsp_url: Annotated[str, typer.Option("--ocsp-url", metavar="URL", help="Where the OCSP responder is.")] = "",
    crl_url: Annotated[str, typer.Option("--crl-url", metavar="URL", help="Where the CRL is.")] = "",
    key_password: Annotated[bool, typer.Option("--key-password", help="Ask for a password for the new key.")] = False,
    key_password_file: Annotated[
        Path | None, typer.Option("--key-password-file", metavar="FILE", help="Read that password from FILE.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Also write chain.pem and key.pem there.")
    ] = None,
    p12: Annotated[
        Path | None,
        typer.Option(
            "--p12", metavar="FILE", help="Also write key and chain as PKCS#12, for browsers; asks a password."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --out or --p12: replace what is there.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every step with its octets.")] = False,
    ask: AskPassword = False,
    password_file: PasswordFile = None,
    json: Json = False,
    no_color: Color = False,
) -> None:
    """Issue a certificate.

    For a server; with --client for a client, with --intermediate for a CA below.
    Shows the walk: the applicant's key and identity, the CA's checks, the digest, the signature, the certificate.
    """
    from synfin.cli import ca_common, ca_words, files, terminal
    from synfin.pki import mint
    from synfin.views.paint import Paint

    _exclude(client, intermediate, csr, key_kind, key_password or key_password_file is not None)
    if not intermediate and (permit or exclude or path_length):
        raise UsageError("--permit, --exclude and --path-length are for --intermediate")
    now = ca_common.now()
    request = _request(csr) if csr is not None else None
    if request is not None and not names:
        from synfin.pki.walk import requested_names

        names = list(requested_names(request))
        if not names:
            raise UsageError(f"--csr {csr}: it asks for no name; give the names to issue it for")
    if not names:
        raise UsageError("say for whom: synfin ca issue NAME..., such as www.example.com or 127.0.0.1")
    if (client or intermediate) and len(names) > 1:
        raise UsageError(
            f"one name for {'a client' if client else 'an intermediate'}, not {len(names)}: {', '.join(names)}"
        )
    secret = None
    if key_password_file is not None:
        secret = ca_common.password_file(key_password_file, "--key-password-file")
    _ready(out, force, key=request is None)
    if p12 is not None:
        if request is not None or intermediate:
            raise UsageError("--p12 holds a key: it goes with no --csr and no --intermediate")
        if key_kind.startswith("ml-dsa"):
            raise UsageError("--p12: PKCS#12 has no ML-DSA keys yet; choose another --key-kind")
        if p12.exists() and not force:
            raise UsageError(f"{p12} exists already; --force replaces it")
    store = ca_common.opened(ca, ask, password_file)
    signer = "root" if intermediate and not by else ca_common.issuing(store, by)
    wanted = ca_common.life(days=days, hours=hours)
    if key_password or (p12 is not None and secret is None):
        secret = ca_common.prompt("password for the new key", twice=True, instead="--key-password-file")
    if intermediate:
        done = make_intermediate(
            store,
            names[0],
            now,
            by=signer,
            life=wanted,
            path_length=path_length,
            permitted=tuple(permit),
            excluded=tuple(exclude),
            kind=key_kind,
        )
    else:
        life = _life(store, signer, now, wanted, mint.LEAF_LIFE)
        order = _order(names, now, life, client, must_staple, ocsp_url, crl_url)
        done = store.issue(order, now, by=signer, kind=key_kind, request=request, key_password=secret)
    copied = _copy(done.folder, out, force) if out is not None else []
    if p12 is not None and secret is not None:
        from synfin.pki.keys import pkcs12_bundle

        made = files.read(done.folder / "chain.pem"), files.read(done.folder / "key.pem")
        files.write(p12, pkcs12_bundle(*made, names[0], secret), secret=True, replace=force)
        copied = [*(copied or [done.folder / "chain.pem", done.folder / "key.pem"]), p12]
    if json:
        ca_common.write_json(_issued_json(done, signer))
        return
    paint = Paint(terminal.colour(no_color))
    lines = list(ca_words.issued(done.walk, paint, verbose))
    lines += _files(done, now, paint, copied, intermediate)
    terminal.write_lines(lines)


# ---------------------------------------------------------------- what is asked


def _exclude(client: bool, intermediate: bool, csr: Path | None, kind: str, secret: bool) -> None:
    if client and intermediate:
        raise UsageError("choose one of --client and --intermediate")
    if csr is not None and (kind != "p256" or secret or intermediate):
        raise UsageError("--csr brings its own key: it goes with no --key-kind, --key-password or --intermediate")
    if intermediate and secret:
        raise UsageError("an intermediate's key is closed with the CA's password, not with --key-password")


def _request(path: Path) -> bytes:
    from synfin.cli.files import read
    from synfin.pki.walk import read_request

    data = read(path, "--csr")
    try:
        read_request(data)
    except UsageError as error:
        raise UsageError(f"--csr {path}: no certificate request (PKCS#10) in PEM or DER") from error
    return data


def fits(text: str, option: str, least: int = 1) -> None:
    """Names in certificates have at most 64 characters (RFC 5280 A.1)."""
    if not least <= len(text) <= 64 or not (text.isprintable() or not text):
        raise UsageError(f"{option} {text!r}: 1 to 64 printable characters")


def authority_name(name: str) -> str:
    """The folder, and the name in commands, of an authority called ``name``."""
    import re

    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "ca"


def _life(store: Store, by: str, now: datetime, wanted: timedelta | None, usual: timedelta) -> timedelta:
    """As wanted; else the usual life, but no longer than the issuer's."""
    if wanted is not None:
        return wanted
    from synfin.pki.mint import within

    return within(usual, store.certificate(by), now)


def _order(
    names: list[str], now: datetime, life: timedelta, client: bool, must_staple: bool, ocsp_url: str, crl_url: str
) -> Order:
    from dataclasses import replace

    from synfin.pki import mint

    if client:
        order = mint.client_order(names[0], now, life=life)
        order = replace(order, must_staple=must_staple)
    else:
        order = mint.leaf_order(tuple(names), now, life=life, must_staple=must_staple)
    return replace(order, ocsp_url=ocsp_url, crl_url=crl_url)


def make_intermediate(
    store: Store,
    name: str,
    now: datetime,
    *,
    by: str = "root",
    life: timedelta | None = None,
    path_length: int = 0,
    permitted: tuple[str, ...] = (),
    excluded: tuple[str, ...] = (),
    organisation: str = "",
    kind: str = "p256",
) -> Issued:
    """A new authority called ``name`` below ``by``; its organisation and life are the issuer's unless told."""
    from synfin.pki import mint
    from synfin.spec import oids
    from synfin.spec.certificates import certificate_facts

    fits(name, "--intermediate")
    above = certificate_facts(store.certificate(by))
    inherited = next((value for oid, value in above.subject if oids.ATTRIBUTES.get(oid) == "O"), "")
    order = mint.intermediate_order(
        name,
        now,
        life=_life(store, by, now, life, mint.INTERMEDIATE_LIFE),
        path_length=path_length,
        permitted=permitted,
        excluded=excluded,
        organisation=organisation or inherited,
    )
    return store.add_authority(authority_name(name), order, now, by=by, kind=kind)


# ---------------------------------------------------------------- what came of it


def _ready(out: Path | None, force: bool, key: bool) -> None:
    """Refuse before anything is signed where the output could not be written."""
    if out is None:
        return
    if not out.is_dir() and (out.exists() or not out.parent.is_dir()):
        raise UsageError(f"--out {out}: {'not a folder' if out.exists() else f'no such folder {out.parent}'}")
    there = [out / name for name in ("chain.pem", *["key.pem"] * key) if (out / name).exists()]
    if there and not force:
        raise UsageError(f"{there[0]} exists already; --force replaces it")


def _copy(folder: Path, out: Path, force: bool) -> list[Path]:
    from synfin.cli.files import read, write

    copied = []
    try:
        out.mkdir(exist_ok=True)
        for name in ("chain.pem", "key.pem"):
            if (folder / name).exists():
                write(out / name, read(folder / name), secret=name == "key.pem", replace=force)
                copied.append(out / name)
    except (OSError, UsageError) as error:
        why = error if isinstance(error, UsageError) else f"{out}: {error.strerror}"
        raise UsageError(f"{why}; issued it is, in {folder}") from error
    return copied


def _files(done: Issued, now: datetime, paint: Paint, copied: list[Path], intermediate: bool) -> list[str]:
    from synfin.cli import ca_words
    from synfin.spec.certificates import certificate_facts

    facts = certificate_facts(done.walk.certificate)
    rest = ca_words.left(facts.not_after_text, now).removesuffix(" left")
    lines = [ca_words.line("certificate", f"serial {facts.serial_hex}, until {facts.not_after_text} ({rest})", paint)]
    if intermediate:
        return [*lines, "", f"It signs with: synfin ca issue NAME --by {done.folder.name}"]
    notes = {
        "chain.pem": "the certificate and those above it",
        "key.pem": "its private key: secret, readable for you only",
    }
    other = "key and chain as PKCS#12, closed with your password"
    files = copied or [path for path in (done.folder / name for name in notes) if path.exists()]
    width = max(len(str(path)) for path in files)
    lines.append("")
    return lines + [f"  {path!s:{width}}  {paint('dim', notes.get(path.name, other))}" for path in files]


def _issued_json(done: Issued, by: str) -> dict[str, object]:
    from synfin.spec.certificates import certificate_facts

    walk, facts = done.walk, certificate_facts(done.walk.certificate)
    files = {name: str(done.folder / f"{name}.pem") for name in ("certificate", "chain", "key")}
    return {
        "by": by,
        "applicant": {"identity": list(walk.identity), "key": walk.applicant_key, "key_sha256": walk.key_id},
        "checks": [{"name": check.name, "held": check.held, "seen": check.seen} for check in walk.checks],
        "digest": {"algorithm": walk.digest_name, "value": walk.digest.hex(), "octets": len(walk.tbs)},
        "signature": {"algorithm": walk.algorithm, "value": walk.signature.hex()},
        "serial": facts.serial_hex,
        "not_before": facts.not_before_text,
        "not_after": facts.not_after_text,
        "sha256": facts.sha256,
        "files": {name: path for name, path in files.items() if Path(path).exists()},
    }
