"""Headless Chromium as a client of our server: one start fetches every cell; its words are those of its own net log."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from synfin.wire.tls import registry
from tests.interop import chains
from tests.interop.cells import Cell, Told
from tests.interop.clients import NOT_FIRST
from tests.interop.peer import between

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-component-update", "--disable-background-networking", "--disable-extensions",
    "--ignore-certificate-errors", "--disable-web-security", "--dump-dom", "--virtual-time-budget=30000",
)  # fmt: skip
#: Fetches every port, those of resumed cells twice on new connections, and leaves the answers in the document.
PAGE = """<!doctype html><title>cells</title><body><script>
(async () => {
  const found = {};
  for (const [name, port, twice] of CELLS) {
    const url = `https://localhost:${port}/connection`;
    try {
      if (twice) { await (await fetch(`https://localhost:${port}/close`)).text(); }
      const answer = await fetch(url);
      found[name] = { status: answer.status, body: await answer.json() };
    } catch (error) { found[name] = { error: String(error) }; }
  }
  document.body.textContent = JSON.stringify(found);
})();
</script>"""


def program() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    name = "Chromium"
    trusts_anybody = True  # or it would have to be told of our root

    def missing(self) -> str:
        return "" if program() else "chromium is not installed"

    def version(self) -> str:
        return " ".join(chains.version_of(program() or "", "--version").split()[:2])

    def cannot(self, cell: Cell) -> str:
        if cell.hybrid and cell.retry:
            return NOT_FIRST
        if cell.client:
            return "takes client certificates from its own store only"
        if cell.kind.startswith("ed"):
            return "has no EdDSA certificates"
        if cell.kind == "p521":
            return "has no P-521"
        if cell.kind.startswith("ml-dsa"):
            return "has no ML-DSA certificates"
        return ""

    def run(self, cells: dict[str, Cell], ports: dict[str, int], folder: Path) -> dict[str, tuple[Any, Told] | str]:
        found: dict[str, Any] = {}
        told: dict[int, dict[str, Any]] = {}
        for second, flags in ((False, ["--disable-http2"]), (True, [])):
            chosen = {name: cell for name, cell in cells.items() if (cell.alpn == "h2") == second}
            said, spoken = self._start(chosen, ports, folder / f"chromium-{second}", flags)
            found |= said
            told |= spoken
        results: dict[str, tuple[Any, Told] | str] = {}
        for name in cells:
            answer = found.get(name, {"error": "not asked"})
            words = told.get(ports[name], {})
            if "error" in answer:
                results[name] = words.get("net_error") or str(answer["error"])
                continue
            results[name] = (
                answer["body"]["tls"],
                Told(
                    version=words.get("version"),
                    suite=words.get("cipher_suite") and registry.cipher_name(words["cipher_suite"]),
                    group=words.get("key_exchange_group") and registry.group_name(words["key_exchange_group"]),
                    resumed=words.get("is_resumed"),
                    alpn=words.get("next_proto"),
                    status=answer["status"],
                ),
            )
        return results

    def _start(
        self, cells: dict[str, Cell], ports: dict[str, int], folder: Path, flags: list[str]
    ) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        folder.mkdir()
        log, page = folder / "net.json", folder / "page.html"
        page.write_text(PAGE.replace("CELLS", json.dumps([[n, ports[n], cell.resumed] for n, cell in cells.items()])))
        done = subprocess.run(
            [str(program()), *FLAGS, *flags, f"--log-net-log={log}", f"--user-data-dir={folder}/own", page.as_uri()],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        body = between(done.stdout.replace("\n", " "), r"<body>(\{.*\})</body>")
        if body is None:
            raise OSError(f"chromium: {done.stdout[-300:]} {done.stderr[-300:]}")
        return json.loads(html.unescape(body)), _net_log(log)


def _net_log(path: Path) -> dict[int, dict[str, Any]]:
    """By server port the parameters of its last SSL_CONNECT that was done, and the first error's name."""
    text = path.read_text()
    log = json.loads(text if text.rstrip().endswith("}") else text.rstrip().rstrip(",") + "]}")
    connect = log["constants"]["logEventTypes"]["SSL_CONNECT"]
    names = {number: f"net::ERR_{name.removeprefix('ERR_')}" for name, number in log["constants"]["netError"].items()}
    ports: dict[int, int] = {}
    found: dict[int, dict[str, Any]] = {}
    errors: dict[int, str] = {}
    for event in log["events"]:
        source, params = event["source"]["id"], event.get("params", {})
        for address in (params.get("remote_address"), params.get("host_and_port"), params.get("host")):
            if isinstance(address, str) and address.rpartition(":")[2].isdigit():
                ports[source] = int(address.rpartition(":")[2])
        if event["type"] == connect and "version" in params:
            found[source] = params
        if source in ports and params.get("net_error", 0) < -99:  # of the connection, not of its bookkeeping
            errors.setdefault(ports[source], names.get(params["net_error"], ""))
    told = {ports[source]: params for source, params in found.items() if source in ports}
    return {port: {**told.get(port, {}), "net_error": errors.get(port, "")} for port in {*told, *errors}}
