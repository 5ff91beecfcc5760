"""How foreign programs refuse what is wrong, as a page: docs/reference/refusals.md.

    python -m tests.interop.refusals

writes it (``make interop`` does).  The faults are those of ``faults`` and ``faults_client``; a test holds each program
to the answers that are known, and the page says which they were.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.interop import faults, faults_client, matrix
from tests.interop.faults import NOTHING, TAKEN, Outcome

PAGE = matrix.MARKDOWN.with_name("refusals.md")
#: requests is Python's ssl once more, and s2n waits half a minute before it complains.
CLIENTS = tuple(peer for peer in matrix.CLIENTS if peer.name not in ("requests", "s2n", *matrix.OLD))
SERVERS = tuple(peer for peer in matrix.SERVERS if peer.name not in matrix.OLD)
Wrongs = Sequence[faults.Wrong] | Sequence[faults_client.Wrong]
Found = dict[str, dict[str, Outcome]]  # by peer and fault

HEAD = """# How programs refuse

Made by `make interop`. Our engine did something wrong on purpose, by the seam that
[script-a-tls-test](../howto/script-a-tls-test.md) describes; here is what foreign programs answered: which alert they
sent, and what they printed. Who looks at a log line knows from it what the other end did.

*no alert*: it hung up without one, or with a TCP reset that overtook it. *taken*: it did not mind. Where two alerts
stand in *RFCs*, both are right.
"""


def _cell(found: Outcome | None) -> str:
    if found is None:
        return "–"
    if found.taken:
        return f"{found.alert}, {TAKEN}" if found.alert else f"*{TAKEN}*"
    return found.alert or "*no alert*"


def _table(wrongs: Wrongs, found: Found) -> list[str]:
    lines = ["| what is wrong | RFCs | " + " | ".join(found) + " |", "|---|---|" + "---|" * len(found)]
    for wrong in wrongs:
        if wrong.right == (NOTHING,):
            continue  # only the words are of interest
        right = ", ".join(one for one in wrong.right if one and one != TAKEN)
        cells = (_cell(outcomes.get(wrong.name)) for outcomes in found.values())
        lines.append(f"| {wrong.name} | {right} | " + " | ".join(cells) + " |")
    return lines


def _words(found: Found) -> list[str]:
    lines = []
    for wrong in faults.WRONG:
        said = {name: outcomes[wrong.name].words for name, outcomes in found.items() if wrong.name in outcomes}
        rows = [f"| {name} | `{words}` |" for name, words in said.items() if words]
        if rows:
            lines += [
                "",
                f"### {wrong.name[0].upper()}{wrong.name[1:]}",
                "",
                "| client | its words |",
                "|---|---|",
                *rows,
            ]
    return lines


def markdown(by_clients: Found, by_servers: Found, versions: Sequence[str]) -> str:
    """The page."""
    lines = [HEAD, "## A server does wrong", "", *_table(faults.WRONG, by_clients)]
    lines += ["", "## A client does wrong", "", *_table(faults_client.WRONG, by_servers)]
    lines += [
        "",
        "## What the clients print",
        "",
        "Without addresses, ports and places in sources.",
        *_words(by_clients),
    ]
    return "\n".join([*lines, "", "Run with " + "; ".join(versions) + "."]) + "\n"


def _each(peers: Sequence[Any], run: Callable[[Any, Path], dict[str, Outcome]]) -> Found:
    found = {}
    for peer in peers:
        if not peer.missing():
            print(f"{peer.name} ...", file=sys.stderr)
            with tempfile.TemporaryDirectory(prefix="synfin-interop-") as folder:
                found[peer.name] = run(peer, Path(folder))
    return found


def main() -> int:
    """Command line."""
    by_clients, by_servers = _each(CLIENTS, faults.of_client), _each(SERVERS, faults_client.of_server)
    versions = dict.fromkeys(peer.version() for peer in (*CLIENTS, *SERVERS) if not peer.missing())
    PAGE.write_text(markdown(by_clients, by_servers, tuple(versions)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
