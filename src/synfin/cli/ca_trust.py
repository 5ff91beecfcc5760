"""``synfin ca run`` and ``synfin ca doctor``: one program that trusts this CA, and what a program trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.ca_common import DEFAULT, AskPassword, CaFolder, Json, PasswordFile
from synfin.cli.options import Color
from synfin.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from synfin.drive.doctor import Patient
    from synfin.drive.trial import Verdict
    from synfin.drive.trust_stores import TrustStore
    from synfin.pki.store import Store
    from synfin.spec.certificates import CertificateFacts


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="CMD ARGS...", help="The program and its arguments, after --.")
    ],
    ca: CaFolder = DEFAULT,
    only: Annotated[bool, typer.Option("--only", help="Trust this CA alone: no public roots beside it.")] = False,
) -> None:
    """Run a program that trusts this CA.

    The root is given to its process alone, no trust store is changed.
    Its exit code is ours.  Works with what uses OpenSSL, GnuTLS (wget), Node, Java, Chromium, Python, git, Go and more.
    """
    import os
    import sys

    from synfin.cli.ca_common import now
    from synfin.cli.ca_words import left
    from synfin.cli.terminal import one_line
    from synfin.drive.programs import run_program, trusting
    from synfin.pki.store import Store
    from synfin.spec.certificates import certificate_facts

    root = Store(ca).certificate()
    facts = certificate_facts(root)
    rest = left(facts.not_after_text, now())
    over = [f"{facts.label} {rest}: no program accepts what it signed"] * rest.startswith("expired")
    with trusting(root, command[0], os.environ, only=only) as around:
        for note in (*over, *around.notes):
            sys.stderr.write(f"synfin: {one_line(note)}\n")
        sys.stderr.flush()
        code = run_program(command, around.environment)
    raise typer.Exit(code)


def doctor(
    program: Annotated[str, typer.Argument(metavar="PROGRAM", help="curl, python3, node, java, chromium, git ...")],
    ca: CaFolder = DEFAULT,
    no_trial: Annotated[bool, typer.Option("--no-trial", help="Only look; do not let the program try.")] = False,
    ask: AskPassword = False,
    password_file: PasswordFile = None,
    json: Json = False,
    no_color: Color = False,
) -> None:
    """Say whether a program trusts this CA, and why.

    Which trust store it uses and whether the root is in it, by looking and by a trial handshake.
    The trial is with a server of this CA on a loopback port, as the program is now and under `synfin ca run`.
    Exit code 0: the program trusts the root; 1: it does not, or nobody can say; 2: the command is wrong.
    """
    import os
    import shlex
    from pathlib import Path

    from synfin.cli import ca_common, ca_words, terminal
    from synfin.drive.doctor import examine_program, workplace
    from synfin.spec.certificates import certificate_facts
    from synfin.views.paint import Paint
    from synfin.views.words import clean

    store, why_not = ca_common.unopened(ca), ""
    root = store.certificate()
    if not no_trial:
        try:
            store = ca_common.opened(ca, ask, password_file)
        except UsageError as error:
            why_not = str(error)
    with workplace() as folder:
        patient = examine_program(program, root, os.environ, Path(folder))
        now, later = None, None
        if patient.fetch and not no_trial and not why_not:
            now, later, why_not = _try(store, patient, ca_common.now())
    tried = now is not None and now.accepted is not None
    trusts = now.accepted if now is not None and tried else _by_looking(patient)
    if json:
        ca_common.write_json(_json(patient, now, later, why_not, trusts))
    else:
        paint = Paint(terminal.colour(no_color))
        root_facts = certificate_facts(root)
        label = clean(root_facts.label)
        lines = [paint("title", f"{patient.path}: {clean(patient.what)}")]
        lines += [ca_words.line("trust store", _told(one, label), paint) for one in patient.stores]
        if now is not None:
            lines.append(ca_words.line("trial", f"{_verdict(now, label)}", paint))
        if later is not None:
            lines.append(ca_words.line("with ca run", f"{_verdict(later, label)}", paint))
        if why_not:
            lines.append(ca_words.line("no trial", why_not, paint))
        lines += [ca_words.line("note", note, paint) for note in (*patient.notes, *_of_key(root_facts, later))]
        name = clean(Path(program).name)
        if trusts is None:
            lines.append(paint("warn", f"nobody can say whether {name} trusts {label}"))
        else:
            verdict = paint("good", "trusts") if trusts else paint("warn", "does not trust")
            lines.append(f"{name} {verdict} {label}{'' if tried else ', as far as its stores tell'}")
        if not trusts and later is not None and later.accepted:
            lines.append(f"  to let it: synfin ca run {ca_common.option(ca)}-- {shlex.quote(program)} ...")
        terminal.write_lines(lines)
    if not trusts:
        raise typer.Exit(1)


def _of_key(root: CertificateFacts, later: Verdict | None) -> list[str]:
    """Why a program refuses a root that it was given, where it may be for the root's kind of key."""
    from synfin.pki.examine import COMMON_KEYS

    if later is None or later.accepted is not False or root.key[0] in COMMON_KEYS:
        return []
    return [f"few programs verify signatures by a key of {root.key_text}, which is what this root has"]


def _by_looking(patient: Patient) -> bool | None:
    """Whether the root is in one of the stores; None where nobody can look into one, or none is known."""
    seen = [one.has for one in patient.stores]
    return True if any(seen) else None if None in seen or not seen else False


def _try(store: Store, patient: Patient, now: datetime) -> tuple[Verdict | None, Verdict | None, str]:
    """The two trials, or why there is none."""
    import os

    from synfin.cli.ca_common import issuing
    from synfin.drive.programs import trusting
    from synfin.drive.trial import Trial

    try:
        signer = issuing(store, "") if len(store.authorities()) < 3 else "root"
        with Trial(store.authority(signer), now, store.above(signer)[1:]) as trial:
            command = patient.command(trial.url, trial.port)
            first = trial.put(command, os.environ)
            if first.accepted:
                return first, None, ""
            with trusting(store.certificate(), patient.path, os.environ) as around:
                return first, trial.put(command, around.environment), ""
    except UsageError as error:
        return None, None, str(error)


def _told(one: TrustStore, label: str) -> str:
    from synfin.views.words import clean, count

    size = f", {count(one.count, 'root')}" if one.count is not None else ""
    has = {True: f"{label} is in it", False: f"{label} is not in it", None: "not looked into"}[one.has]
    return f"{clean(one.where)} ({clean(one.why)}{size}): {has}"


def _verdict(one: Verdict, label: str) -> str:
    from synfin.views.words import clean

    if one.accepted:
        return f"it accepted a server of {label}"
    if one.accepted is None:
        return f"nothing proved: {clean(one.told)}"
    return f"it refused a server of {label}: {clean(one.told)}"


def _json(
    patient: Patient, now: Verdict | None, later: Verdict | None, why_not: str, trusts: bool | None
) -> dict[str, object]:
    def verdict(one: Verdict | None) -> dict[str, object] | None:
        return {"accepted": one.accepted, "told": one.told} if one is not None else None

    return {
        "program": patient.path,
        "what": patient.what,
        "stores": [{"where": one.where, "why": one.why, "roots": one.count, "has": one.has} for one in patient.stores],
        "trial": verdict(now),
        "trial_with_run": verdict(later),
        "no_trial": why_not or None,
        "notes": list(patient.notes),
        "trusts": trusts,
    }
