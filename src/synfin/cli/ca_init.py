"""``synfin ca init``: a new certificate authority in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.ca_common import DEFAULT, AskPassword, Json, KeyKind, PasswordFile
from synfin.cli.options import Color
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.pki.store import Store
    from synfin.views.paint import Paint


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="A new folder for the CA.", envvar="SYNFIN_CA", show_envvar=True)
    ] = DEFAULT,
    ca: Annotated[Path | None, typer.Option("--ca", metavar="DIR", help="The same as DIR.")] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The root's name, as people will see it.")
    ] = "synfin root",
    organisation: Annotated[
        str, typer.Option("--organisation", "--organization", metavar="NAME", help="Whose CA it is.")
    ] = "synfin",
    key_kind: KeyKind = "p256",
    years: Annotated[
        float | None, typer.Option("--years", metavar="N", help="How long the root lives; 10 unless told.")
    ] = None,
    intermediate: Annotated[
        list[str], typer.Option("--intermediate", metavar="NAME", help="Also an intermediate CA; repeatable.")
    ] = [],  # noqa: B006  typer copies defaults
    permit: Annotated[
        list[str], typer.Option("--permit", metavar="NAME", help="Only for this domain or network; repeatable.")
    ] = [],  # noqa: B006
    exclude: Annotated[
        list[str], typer.Option("--exclude", metavar="NAME", help="Never for this domain or network; repeatable.")
    ] = [],  # noqa: B006
    ocsp_url: Annotated[
        str, typer.Option("--ocsp-url", metavar="URL", help="Goes into all that is issued: where OCSP is.")
    ] = "",
    crl_url: Annotated[
        str,
        typer.Option(
            "--crl-url", metavar="URL", help="Goes into all that is issued: where the CRL is; {authority} says whose."
        ),
    ] = "",
    ask: AskPassword = False,
    password_file: PasswordFile = None,
    json: Json = False,
    no_color: Color = False,
) -> None:
    """Make a certificate authority in a new folder.

    A root, and intermediates where wanted.
    --permit and --exclude are name constraints of the root: clients refuse whatever it signs outside of them.
    """
    from synfin.cli import ca_common, terminal
    from synfin.cli.ca_issue import authority_name, fits, make_intermediate
    from synfin.pki import mint
    from synfin.pki.store import AUTHORITY, Store
    from synfin.views.paint import Paint

    folder = ca or folder
    now = ca_common.now()
    life = ca_common.life(years=years) or mint.ROOT_LIFE
    fits(name, "--name")
    fits(organisation, "--organisation", least=0)
    order = mint.root_order(
        name, now, life=life, organisation=organisation, permitted=tuple(permit), excluded=tuple(exclude)
    )
    for one in intermediate:
        fits(one, "--intermediate")
    places = [authority_name(one) for one in intermediate]
    if len(set(places)) < len(places) or "root" in places:
        raise UsageError(f"--intermediate: each needs its own name, and not 'root': {', '.join(intermediate)}")
    if intermediate and crl_url and AUTHORITY not in crl_url:
        raise UsageError(f"--crl-url {crl_url}: each authority has a CRL of its own: write {AUTHORITY} for its name")
    for url in filter(None, (ocsp_url, crl_url)):
        mint.url(url)
    secret = ca_common.password(ask, password_file, "password for the CA's keys", twice=True)
    store = Store.create(folder, order, kind=key_kind, password=secret)
    if ocsp_url or crl_url:
        store.set_urls("root", ocsp_url=ocsp_url, crl_url=crl_url)
    for one in intermediate:
        make_intermediate(store, one, now, organisation=organisation, kind=key_kind)
    if json:
        made = [{"name": one, **_about(store, one)} for one in store.authorities()]
        ca_common.write_json({"folder": str(folder), "authorities": made})
        return
    terminal.write_lines(_told(store, permit, exclude, secret is not None, Paint(terminal.colour(no_color))))


def _told(store: Store, permit: list[str], exclude: list[str], closed: bool, paint: Paint) -> list[str]:
    from synfin.cli import ca_words
    from synfin.cli.ca_common import option
    from synfin.spec.certificates import certificate_facts
    from synfin.views.words import clean

    folder = store.folder
    authorities = store.authorities()
    lines = [paint("title", f"A certificate authority in {folder}/"), ""]
    for authority in authorities:
        facts = certificate_facts(store.certificate(authority))
        told = f"{clean(facts.label)}, {facts.key_text}, until {facts.not_after_text[:10]}"
        lines.append(ca_words.line(authority, told, paint))
    bounds = [f"only {', '.join(permit)}"] * bool(permit) + [f"never {', '.join(exclude)}"] * bool(exclude)
    if bounds:
        lines.append(ca_words.line("signs for", "; ".join(bounds), paint))
    lines.append(ca_words.line("SHA-256", ca_words.fingerprint(certificate_facts(store.certificate()).sha256), paint))
    kept = "encrypted with your password" if closed else "not encrypted"
    lines.append(ca_words.line("secret", f"{folder}/*/key.pem, readable for you only, {kept}", paint))
    by = f"--by {authorities[1]} " if len(authorities) > 2 else ""
    host = next((f"www.{one.lstrip('.')}" for one in permit if "/" not in one), "www.example.com")
    return [
        *lines,
        "",
        "Nobody trusts it yet. Issue a certificate, and trust the root in one program:",
        f"  synfin ca issue {option(folder)}{by}{host}",
        f"  synfin ca run {option(folder)}-- curl https://{host}/",
    ]


def _about(store: Store, authority: str) -> dict[str, object]:
    from synfin.spec.certificates import certificate_facts

    facts = certificate_facts(store.certificate(authority))
    return {
        "subject": facts.subject_text,
        "key": facts.key_text,
        "not_after": facts.not_after_text,
        "sha256": facts.sha256,
        "certificate": str(store.folder / authority / "certificate.pem"),
    }
