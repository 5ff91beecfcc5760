"""``synfin ca``: a small certificate authority in a folder, and everything one does with it.

Each command stands in a ``ca_*.py`` beside this file.  None of them ever reads or writes a system trust store to change
it: who trusts this CA is decided per program, with ``synfin ca run``.
"""

from __future__ import annotations

import typer

from synfin.cli.ca_faults import faults
from synfin.cli.ca_init import init
from synfin.cli.ca_issue import issue
from synfin.cli.ca_look import show, verify
from synfin.cli.ca_revoke import crl, ocsp, revoke
from synfin.cli.ca_trust import doctor, run

ca = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run a small certificate authority in a folder.\n\n"
    "Make it, issue, revoke and verify, and trust it in one program.",
)


_VERBATIM = {"allow_interspersed_args": False, "ignore_unknown_options": True}
for _command in (init, issue, show, verify, revoke, crl, ocsp, run, doctor, faults):
    ca.command(_command.__name__, context_settings=_VERBATIM if _command is run else None)(_command)
