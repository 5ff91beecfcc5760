"""``synfin trace``: ask for a URL and tell what happens, from the name to the last FIN, then judge its own capture.

The request is made on our TLS engine; its packets (or, without the right, its TLS records) are captured on the way and
read by the same observer and judge as any other capture.  Exit code 0: answered, and nothing wrong was found; 1: it
failed, or there is a finding of warning or above; 2: it could not be asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synfin.cli.options import Color, KeylogTo, OwnAddress, Stack, TunName, Width
from synfin.errors import UsageError


def trace(
    url: Annotated[str, typer.Argument(metavar="URL", help="http:// or https://; without a scheme, http.")],
    method: Annotated[str | None, typer.Option("-X", "--request", metavar="METHOD", help="The method.")] = None,
    header: Annotated[
        list[str], typer.Option("-H", "--header", metavar="'NAME: VALUE'", help="A field of the request; repeatable.")
    ] = [],  # noqa: B006  typer copies defaults
    data: Annotated[
        list[str], typer.Option("-d", "--data", metavar="DATA", help="Body to POST; @FILE reads it, without newlines.")
    ] = [],  # noqa: B006
    data_binary: Annotated[
        list[str], typer.Option("--data-binary", metavar="DATA", help="Body to POST; @FILE reads it as it is.")
    ] = [],  # noqa: B006
    data_raw: Annotated[list[str], typer.Option("--data-raw", metavar="DATA", help="Body to POST; @ is an @.")] = [],  # noqa: B006
    cookie: Annotated[list[str], typer.Option("-b", "--cookie", metavar="NAME=VALUE", help="Cookie; repeatable.")] = [],  # noqa: B006
    compressed: Annotated[
        bool, typer.Option("--compressed", help="Ask for a compressed body; it is not unpacked.")
    ] = False,
    head: Annotated[bool, typer.Option("-I", "--head", help="Ask for the head only.")] = False,
    user: Annotated[str, typer.Option("-u", "--user", metavar="NAME:PASSWORD", help="Basic authentication.")] = "",
    agent: Annotated[str, typer.Option("-A", "--user-agent", metavar="TEXT", help="User-Agent.")] = "",
    referer: Annotated[str, typer.Option("-e", "--referer", metavar="URL", help="Referer.")] = "",
    follow: Annotated[bool, typer.Option("-L", "--location", help="Follow redirects (at most 10).")] = False,
    fail: Annotated[
        bool,
        typer.Option("-f", "--fail", help="A status of 400 or above is a failure, and its body is not kept by -o."),
    ] = False,
    insecure: Annotated[
        bool, typer.Option("-k", "--insecure", help="Go on when the certificate is not to be trusted.")
    ] = False,
    cacert: Annotated[
        list[Path], typer.Option("--cacert", metavar="PEM", help="Trust these roots instead of the system's.")
    ] = [],  # noqa: B006
    crlfile: Annotated[
        list[Path], typer.Option("--crlfile", metavar="FILE", help="Refuse what these CRLs list; repeatable.")
    ] = [],  # noqa: B006
    cert: Annotated[
        Path | None, typer.Option("-E", "--cert", metavar="PEM[:PHRASE]", help="Client certificate.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="PEM", help="Its key, where not in --cert.")] = None,
    password: Annotated[str | None, typer.Option("--pass", metavar="PHRASE", help="What opens the key.")] = None,
    sni: Annotated[
        str | None, typer.Option("--sni", metavar="NAME", help="Name to ask for in TLS and to check.")
    ] = None,
    resolve: Annotated[
        list[str], typer.Option("--resolve", metavar="HOST:PORT:ADDR", help="Use this address; repeatable.")
    ] = [],  # noqa: B006
    connect_to: Annotated[
        list[str],
        typer.Option("--connect-to", metavar="HOST:PORT:HOST2:PORT2", help="Connect there instead; repeatable."),
    ] = [],  # noqa: B006
    ipv4: Annotated[bool, typer.Option("-4", "--ipv4", help="IPv4 only.")] = False,
    ipv6: Annotated[bool, typer.Option("-6", "--ipv6", help="IPv6 only.")] = False,
    http1: Annotated[bool, typer.Option("--http1.1", help="HTTP/1.1 only.")] = False,
    http2: Annotated[
        bool, typer.Option("--http2", help="HTTP/2, or HTTP/1.1 where the server has none (the default over https).")
    ] = False,
    prior: Annotated[
        bool, typer.Option("--http2-prior-knowledge", help="HTTP/2 only; over http:// without asking first.")
    ] = False,
    tls12: Annotated[bool, typer.Option("--tlsv1.2", help="TLS 1.2 or later (the default).")] = False,
    tls13: Annotated[bool, typer.Option("--tlsv1.3", help="TLS 1.3 or later.")] = False,
    tls_max: Annotated[str | None, typer.Option("--tls-max", metavar="1.2|1.3", help="Highest version.")] = None,
    ciphers: Annotated[
        str | None,
        typer.Option(
            "--ciphers", metavar="LIST", help="Cipher suites to offer, best first, by IANA's or OpenSSL's names."
        ),
    ] = None,
    groups: Annotated[
        str | None, typer.Option("--groups", "--curves", metavar="LIST", help="Groups to offer, best first.")
    ] = None,
    connect_timeout: Annotated[
        float, typer.Option("--connect-timeout", metavar="SECONDS", help="For name, TCP and TLS; 0: none.")
    ] = 30.0,
    max_time: Annotated[
        float, typer.Option("-m", "--max-time", metavar="SECONDS", help="For everything; 0: none.")
    ] = 60.0,
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="The body; - is stdout.")] = None,
    write: Annotated[
        Path | None,
        typer.Option("-w", "--write", metavar="FILE", help="Keep the capture (pcapng, with the TLS secrets)."),
    ] = None,
    keylog: KeylogTo = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Ask by http and https and put the two side by side.")
    ] = False,
    http_url: Annotated[str, typer.Option("--http-url", metavar="URL", help="With --compare: the http side.")] = "",
    stack: Stack = "kernel",
    tun_name: TunName = "",
    own_address: OwnAddress = [],  # noqa: B006
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Then the story of every packet.")] = False,
    silent: Annotated[
        bool, typer.Option("-s", "--silent", "-q", "--quiet", help="Only failures and findings.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one object per connection.")] = False,
    width: Width = None,
    no_color: Color = False,
) -> int:
    """Ask for a URL and tell all that happens.

    From the name to the last FIN, with the findings of its own capture.  The options are curl's where it has them.
    Exit code 0: answered, and nothing wrong was found; 1: it failed, or there is a finding; 2: it could not be asked.
    """
    from synfin.cli.options import own_stack
    from synfin.cli.trace_request import Wish, ask_of, credential_of, trust_of
    from synfin.cli.trace_run import compared, traced
    from synfin.cli.trace_tell import Page

    given = {"-X": method, "--sni": sni, "--tls-max": tls_max, "--ciphers": ciphers, "--groups": groups, "-o": output}
    for option, text in given.items():
        if text is not None and not text.strip():
            raise UsageError(f"{option} is empty: give a value, or leave it out")
    if http_url and not compare:
        raise UsageError("--http-url goes with --compare")
    if compare and (follow or fail or verbose):
        raise UsageError("--compare asks each side once and tells costs only: leave out -L, -f and -v")
    wish = Wish(
        url=url,
        method=method or "",
        head=head,
        header=header,
        data=data,
        data_binary=data_binary,
        data_raw=data_raw,
        cookie=cookie,
        compressed=compressed,
        user=user,
        agent=agent,
        referer=referer,
        follow=follow,
        insecure=insecure,
        sni=sni or "",
        resolve=resolve,
        connect_to=connect_to,
        ipv4=ipv4,
        ipv6=ipv6,
        http1=http1,
        http2=http2,
        prior=prior,
        tls13=tls13,
        tls_max=tls_max or "",
        ciphers=ciphers or "",
        groups=groups or "",
        connect_timeout=connect_timeout,
        max_time=max_time,
        unbounded=bool(output),
    )
    ask = ask_of(wish)
    if http2 and ask.url.scheme == "http":
        from synfin.cli.terminal import complain

        complain("--http2 over http:// asks in HTTP/1.1 (RFC 9113 3.1 has no upgrade); see --http2-prior-knowledge")
    page = Page.of(width, no_color=no_color, verbose=verbose, silent=silent, json=json, body=output or "")
    trust = trust_of(ask, cacert, crlfile, follow=follow or compare)
    credentials = credential_of(cert, key, password)
    own = own_stack(stack, own_address, tun_name)
    if compare:
        return compared(ask, page, trust, credentials, http_url, write=write, keylog=keylog, own=own)
    return traced(ask, page, trust, credentials, write=write, keylog=keylog, fail=fail, own=own)
