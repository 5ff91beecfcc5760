"""``synfin serve``: an HTTPS server for tests and lessons: files, echo, and what it sees of a connection.

Exit code 0 when it was stopped; 2 when it could not be started.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synfin.cli.options import KeylogTo, OwnAddress, Stack, TunName
from synfin.errors import UsageError


def serve(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Serve the files in DIR; the present folder by default.")
    ] = None,
    echo: Annotated[
        bool, typer.Option("--echo", help="No files: answer with the request's body, or with the request as JSON.")
    ] = False,
    raw_echo: Annotated[bool, typer.Option("--raw-echo", help="No HTTP: send back every octet.")] = False,
    port: Annotated[int, typer.Option("-p", "--port", metavar="N", help="Port for HTTPS; 0: any free one.")] = 8443,
    http_port: Annotated[
        int | None, typer.Option("--http-port", metavar="N", help="Serve the same in clear on this port too.")
    ] = None,
    bind: Annotated[
        list[str], typer.Option("--bind", metavar="ADDRESS", help="Listen here instead of on loopback; repeatable.")
    ] = [],  # noqa: B006  typer copies defaults
    name: Annotated[
        list[str], typer.Option("--name", metavar="NAME", help="One more name for the certificate made; repeatable.")
    ] = [],  # noqa: B006
    cert: Annotated[
        list[Path],
        typer.Option("--cert", metavar="PEM", help="Certificate with its chain; repeatable: SNI and key type choose."),
    ] = [],  # noqa: B006
    key: Annotated[
        list[Path], typer.Option("--key", metavar="PEM", help="The key of the --cert at the same place.")
    ] = [],  # noqa: B006
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="Its first line opens encrypted keys.")
    ] = None,
    ca_store: Annotated[
        Path | None,
        typer.Option("--ca", "--ca-store", metavar="DIR", help="Let this `synfin ca` folder issue the certificate."),
    ] = None,
    key_kind: Annotated[
        str | None,
        typer.Option(
            "--key-kind",
            metavar="LIST",
            help="Keys of certificates made here: p256,rsa2048,ed25519 ...; p256 unless told.",
        ),
    ] = None,
    client_ca: Annotated[
        Path | None, typer.Option("--client-ca", metavar="PEM", help="Ask clients for a certificate by these CAs.")
    ] = None,
    client_cert: Annotated[
        str,
        typer.Option(
            "--client-cert",
            metavar="optional|required|on-request",
            help="With --client-ca; required by default. on-request: only who wants /client-certificate is asked, after"
            " the handshake (TLS 1.3, HTTP/1.1).",
        ),
    ] = "",
    tls_min: Annotated[str, typer.Option("--tls-min", metavar="1.2|1.3", help="Lowest version.")] = "1.2",
    tls_max: Annotated[str, typer.Option("--tls-max", metavar="1.2|1.3", help="Highest version.")] = "1.3",
    ciphers: Annotated[
        str, typer.Option("--ciphers", metavar="LIST", help="Cipher suites, best first, by IANA's or OpenSSL's names.")
    ] = "",
    groups: Annotated[
        str, typer.Option("--groups", "--curves", metavar="LIST", help="Groups, best first: x25519,P-256 ...")
    ] = "",
    alpn: Annotated[
        str, typer.Option("--alpn", metavar="LIST", help="Protocols, best first (h2,http/1.1), or none.")
    ] = "",
    tickets: Annotated[
        int, typer.Option("--tickets", metavar="N", help="Session tickets for each TLS 1.3 client; 0: no resumption.")
    ] = 2,
    early_data: Annotated[
        int,
        typer.Option(
            "--early-data",
            metavar="BYTES",
            help="Take so much 0-RTT data with resumed sessions; 0: none. Safe methods are answered at once, others"
            " wait for the handshake. A replayed hello is not answered, as far as this process remembers. Early-Data"
            " in a request makes it 425 unless its method is safe (RFC 8470).",
        ),
    ] = 0,
    strict_sni: Annotated[
        bool, typer.Option("--strict-sni", help="Refuse names that no certificate is for (unrecognized_name).")
    ] = False,
    ocsp: Annotated[
        Path | None, typer.Option("--ocsp", metavar="DER", help="Staple this OCSP response to the first certificate.")
    ] = None,
    keylog: KeylogTo = None,
    write: Annotated[
        Path | None,
        typer.Option("-w", "--write", metavar="FILE", help="Capture what passes (pcapng, with its TLS secrets)."),
    ] = None,
    max_body: Annotated[int, typer.Option("--max-body", metavar="BYTES", help="Largest body of a request.")] = 16 << 20,
    max_connections: Annotated[
        int, typer.Option("--max-connections", metavar="N", help="Connections at a time; more wait in the kernel.")
    ] = 10_000,
    handshake_timeout: Annotated[
        float, typer.Option("--handshake-timeout", metavar="SECONDS", help="Seconds for the TLS handshake.")
    ] = 10.0,
    head_timeout: Annotated[
        float, typer.Option("--head-timeout", metavar="SECONDS", help="Seconds for the head of a request.")
    ] = 15.0,
    body_timeout: Annotated[
        float,
        typer.Option("--body-timeout", metavar="SECONDS", help="Seconds for a body, plus one for each KiB of it."),
    ] = 30.0,
    idle_timeout: Annotated[
        float, typer.Option("--idle-timeout", metavar="SECONDS", help="Seconds between requests.")
    ] = 60.0,
    stack: Stack = "kernel",
    tun_name: TunName = "",
    own_address: OwnAddress = [],  # noqa: B006
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No line for each request.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of text.")] = False,
) -> int:
    """Serve files, or an echo, over HTTPS on the engine of synfin.

    HTTP/1.0, HTTP/1.1 and HTTP/2 over TLS 1.2 and 1.3.  Without --cert a root and a certificate are made for this run;
    the curl line that trusts them is printed.  /connection answers with the connection as the server sees it, as JSON.
    Hidden files, and links that lead out of DIR, are not served.  Ctrl-C stops; requests under way may finish.
    """
    from synfin.cli.options import own_stack
    from synfin.cli.serve_run import Plan, run
    from synfin.cli.serve_tls import Wanted
    from synfin.drive.server import Bounds, Patience

    if bind and stack == "own":
        raise UsageError("--bind is for the kernel's TCP; with --stack own choose our address with --address")
    if sum((directory is not None, echo, raw_echo)) > 1:
        raise UsageError("choose one of DIR, --echo and --raw-echo")
    for option, given in (("--name", bool(name)), ("--key-kind", key_kind is not None)):
        if given and cert:
            raise UsageError(f"{option} is for a certificate made here; --cert is served as it is")
    for option, value in (("--port", port), ("--http-port", http_port or 0)):
        if not 0 <= value <= 65535:
            raise UsageError(f"{option} {value}: ports are 0 to 65535")
    times = {
        "--handshake-timeout": handshake_timeout,
        "--head-timeout": head_timeout,
        "--body-timeout": body_timeout,
        "--idle-timeout": idle_timeout,
    }
    for option, seconds in times.items():
        if not 0 < seconds <= 86400:
            raise UsageError(f"{option} {seconds:g}: more than 0 and at most 86400 seconds")
    if not 0 < max_connections <= 1_000_000 or not 0 <= max_body <= 1 << 32:
        raise UsageError("--max-connections is 1 to 1000000, --max-body 0 to 4294967296")
    wanted = Wanted(
        certs=cert,
        keys=key,
        password_file=password_file,
        ca_store=ca_store,
        key_kinds="p256" if key_kind is None else key_kind,
        client_ca=client_ca,
        client_cert=client_cert,
        tls_min=tls_min,
        tls_max=tls_max,
        ciphers=ciphers,
        groups=groups,
        alpn=alpn,
        tickets=tickets,
        early_data=early_data,
        strict_sni=strict_sni,
        ocsp=ocsp,
        handshake=handshake_timeout,
    )
    plan = Plan(
        mode="raw" if raw_echo else "echo" if echo else "files",
        directory=directory or Path(),
        port=port,
        http_port=http_port,
        bind=tuple(bind),
        names=tuple(name),
        wanted=wanted,
        keylog=keylog,
        write=write,
        patience=Patience(handshake=handshake_timeout, head=head_timeout, body=body_timeout, idle=idle_timeout),
        bounds=Bounds(connections=max_connections, body=max_body, bodies=max(256 << 20, 2 * max_body)),
        quiet=quiet,
        json=json,
        own=own_stack(stack, own_address, tun_name),
    )
    return run(plan)
