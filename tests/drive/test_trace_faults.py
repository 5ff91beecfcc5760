"""Every wrong certificate of the catalogue, served by our own server: a trace names what is wrong with it."""

from __future__ import annotations

import asyncio
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.utils import CryptographyDeprecationWarning

from synfin import tls
from synfin.drive import clock
from synfin.drive.capture import PduCapture
from synfin.drive.capture_file import private_file
from synfin.drive.streams import TlsStream, listen
from synfin.drive.trace import Run
from synfin.drive.trace_ask import Ask, parse_url
from synfin.drive.trace_steps import Certified, Hop
from synfin.drive.trace_trust import Trust
from synfin.errors import PeerError
from synfin.judge.engine import Context, judge_each
from synfin.observe import observe
from synfin.pki.faultkit import HOST, Bench
from synfin.pki.faults import FAULTS
from synfin.tls.signing import SCHEMES as SCHEMES_KNOWN
from synfin.views.trace import untrusted_lines

NOW = datetime.now(UTC).replace(microsecond=0)
BENCH = Bench(NOW)
#: Client and server of the tests offer every scheme the engine has.
SCHEMES = tuple(SCHEMES_KNOWN)


async def _served(config: tls.ServerConfig, host: str, trust: Trust, capture: PduCapture) -> Hop:
    """One trace of ``host`` against a server with ``config``."""
    source = await listen("127.0.0.1", 0)
    port = source.addresses[0][1]

    async def serve() -> None:
        stream = TlsStream(await source.accept(), tls.Server(config, now=clock.now(), entropy=clock.entropy))
        try:
            await stream.handshake()
            await stream.read()
            await stream.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (PeerError, OSError):
            pass
        await stream.close(drain=1.0)

    serving = asyncio.create_task(serve())
    url = parse_url(f"https://{host}:{port}/")
    ask = Ask(url, resolve={(host, port): ("127.0.0.1",)}, alpn=(b"http/1.1",), families=(4,), max_seconds=20)
    run = Run(ask, told=lambda step: None, trust=trust, capture=capture, key_logs=())
    hops = await run.run()
    await serving
    source.close()
    return hops[-1]


def _trace(name: str, folder: Path) -> tuple[Hop, list[str]]:
    """What a trace of the fault ``name`` tells, and the codes of the judge over its capture."""
    shown = FAULTS[name].make(BENCH)
    path = folder / "trace.pcapng"
    capture = PduCapture(private_file(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        credential = tls.Credential(shown.chain, shown.key, ocsp=shown.stapled, mismatched=True)
        config = tls.ServerConfig(credentials=(credential,), schemes=SCHEMES, alpn=(b"http/1.1",))
        hop = asyncio.run(
            _served(config, shown.name or HOST, Trust(shown.roots, "the test's root", shown.crls), capture)
        )
        capture.close()
        with observe(path) as seen:
            codes = [f.code for one in judge_each(seen, Context()) for f in one.judgement.findings]
    return hop, codes


#: Faults of client certificates: no server shows them.
OF_CLIENTS = {"server_usage_on_client"}
#: What this client takes though others do not, and whether the trace says what is wrong all the same.
TAKEN = {
    "wrong_order": "wrong_order",
    "huge_certificate": "",
    "p_521_only": "",
    "ed25519_only": "",
    "ed448_only": "",
    "ml_dsa_only": "",
}
#: Keys with which our own server cannot shake hands: the judge names what is missing.
UNUSABLE = {"p_192": "TLS202"}


#: What Chromium 156 said of each fault, served by ours, with the fault's root in its NSS store; OK: it showed the page.
CHROMIUM = {
    "ERR_CERT_DATE_INVALID": """
        expired_leaf expired_this_minute ends_before_it_starts future_leaf expired_intermediate
        future_intermediate expired_root
    """,
    "ERR_CERT_COMMON_NAME_INVALID": """
        wrong_name missing_www common_name_only wildcard_too_deep wildcard_without_base
        wildcard_of_a_top_level_domain partial_wildcard address_as_name wrong_address nul_in_name no_name
    """,
    "ERR_CERT_AUTHORITY_INVALID": """
        missing_intermediate missing_intermediate_without_hint missing_upper_intermediate endless_chain
        self_signed_leaf unknown_root unknown_root_not_sent impostor_root circle bad_signature
        bad_signature_on_intermediate signed_by_another_key changed_after_signing
    """,
    "ERR_CERT_INVALID": """
        client_usage_on_server unknown_critical_extension unknown_critical_extension_above extension_twice
        no_ca_bit no_basic_constraints issued_by_a_leaf no_cert_sign path_length root_allows_no_intermediate
        outside_permitted_names outside_permitted_names_of_the_root inside_excluded_names
        outside_permitted_addresses intermediate_of_other_usage sha1_leaf sha1_intermediate md5_leaf
        two_algorithms
    """,
    "ERR_CERT_REVOKED": """
        revoked_by_staple
    """,
    "ERR_SSL_KEY_USAGE_INCOMPATIBLE": """
        key_usage_for_cas_only
    """,
    "OK": """
        too_long_life must_staple_without_staple negative_serial zero_serial long_serial duplicate_serial
        wrong_order extra_certificate leaf_twice root_sent long_chain rsa_1024 rsa_1024_intermediate ml_dsa_only
        revoked_by_crl revoked_intermediate old_staple staple_from_the_future staple_for_another
        staple_by_a_stranger
    """,
}


def _browsers(step: Certified) -> str:
    """The line about browsers."""
    lines = untrusted_lines(step.verdict, int(step.now * 1e9), step.name, step.violation, step.why, accepted=False)
    (line,) = [line for line in lines if "browser" in line]
    return line


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in OF_CLIENTS])
def test_the_cause_names_what_is_wrong(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    hop, codes = _trace(name, tmp_path)
    cause = hop.cause
    certified = [step for step in hop.steps if isinstance(step, Certified)]
    if name in UNUSABLE:
        assert cause is not None and cause.step == "tls"
        assert UNUSABLE[name] in codes
    elif name in TAKEN:
        assert cause is None and certified[0].accepted
        assert not TAKEN[name] or certified[0].verdict.has(TAKEN[name])
    elif not fault.violation:  # a lint complains; clients differ
        assert cause is None or cause.violation in ("certificate_refused", "certificate_unparsable")
    else:
        assert cause is not None and cause.violation == fault.violation
    if cause is not None and cause.rule and cause.rule != "TLS203":
        assert codes, "the capture shows what the cause names"
    if certified and certified[0].violation:
        said = next((code for code, names in CHROMIUM.items() if name in names.split()), "")
        line = _browsers(certified[0])
        assert line.startswith("browsers differ: ") or (said != "OK" and said in line), (said, line)


def test_a_sound_chain_is_trusted(tmp_path: Path) -> None:
    shown = BENCH.presented()
    capture = PduCapture(private_file(tmp_path / "trace.pcapng"))
    config = tls.ServerConfig(credentials=(tls.Credential(shown.chain, shown.key),), alpn=(b"http/1.1",))
    hop = asyncio.run(_served(config, HOST, Trust(shown.roots, "the test's root"), capture))
    assert hop.cause is None and hop.head is not None and hop.head.status == 204
    certified = next(step for step in hop.steps if isinstance(step, Certified))
    assert not certified.violation and certified.verdict.certificates[0].label == HOST


def test_a_key_that_does_not_fit_is_told_as_such(tmp_path: Path) -> None:
    hop, codes = _trace("mismatched_key", tmp_path)
    assert hop.cause is not None and hop.cause.violation == "wrong_signature" and codes == ["TLS210"]
    with observe(tmp_path / "trace.pcapng") as seen:
        ((finding,),) = [one.judgement.findings for one in judge_each(seen, Context())]
    assert "does not fit its certificate" in finding.title and "-pubkey" in finding.remedy
