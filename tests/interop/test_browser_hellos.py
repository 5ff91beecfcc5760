"""The hellos of Chrome, Edge, Safari, Firefox and Tor in some fifty versions, by curl-impersonate (BoringSSL)."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.interop import agree, chains, ours
from tests.interop.cells import CELLS, HYBRID, NAME

CHOSEN = {cell.id: cell for cell in CELLS if cell.id in ("1.2 h2", "1.3 h2", "1.3 retry")}
#: Of what a version speaks, by what its hello has and by what our server then takes.
WANTED = {"1.2 h2": ("TLS 1.2", False), "1.3 h2": ("TLS 1.3", False), "1.3 retry": ("TLS 1.3", True)}


@pytest.mark.skipif(find_spec("curl_cffi") is None, reason="curl_cffi is not installed")
def test_our_server_takes_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    requests = import_module("curl_cffi.requests")
    browsers = [browser.value for browser in requests.BrowserType]
    configs = {name: ours.server_config(cell, alpn=(b"h2", b"http/1.1")) for name, cell in CHOSEN.items()}
    hybrid, wrong = set(), []
    with ours.serving(tmp_path / "c.pcapng", configs) as place:
        for browser in browsers:
            for name, port in place.ports.items():
                try:
                    url = f"https://{NAME}:{port}/connection"
                    answer = requests.get(url, impersonate=browser, verify=chains.root_file(), timeout=20)
                    seen = answer.json()["tls"]
                except requests.RequestsError as error:
                    wrong.append(f"{browser} {name}: {error}")
                    continue
                if (seen["version"], seen["hello_retry_request"]) != WANTED[name] or seen["alpn"] != "h2":
                    wrong.append(f"{browser} {name}: {seen}")
                offers = HYBRID in seen["client_hello"]["groups"]
                if name == "1.3 h2" and (seen["group"] == HYBRID) != offers:
                    wrong.append(f"{browser} {name}: {seen['group']}")
                if offers:
                    hybrid.add(browser)
    assert wrong == []
    assert len(browsers) > 20
    assert 5 < len(hybrid) < len(browsers)
    if not agree.missing():
        read = agree.by_synfin(place.capture)
        found = Counter(agree.ports(place.capture))
        assert found.total() == len(browsers) * len(CHOSEN)
        twice = tuple(f"{key}:" for key, times in found.items() if times > 1)
        different = agree.differences(place.capture, set(place.ports.values()), read)
        assert [line for line in different if not line.startswith(twice)] == []
        assert len(twice) < 10
        assert agree.findings(place.capture) == []
