"""One request made and watched: names, connection, TLS, HTTP, redirects, close (``synfin trace``).

``Run`` does the steps in order, tells each as soon as it is over (``trace_steps``) and leaves the judging to those who
read the capture it made on the side.  It goes over anything that makes a ``Pipe``.  Every hop has a connection of its
own.  Nothing a server does ends in another exception than those that become a ``Cause``; time is bounded by the ask,
memory by the limits of the engine, of the HTTP side and of ``most_body``.  Cancelled, it resets what is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from synfin import tls
from synfin.drive import clock
from synfin.drive.capture import LiveCapture, PduCapture
from synfin.drive.capture_pipe import TappedPipe
from synfin.drive.eyeballs import Attempt, connect_socket, interleave, race
from synfin.drive.lookup import look_up, name_servers
from synfin.drive.pipe import Pipe
from synfin.drive.streams import PlainStream, Stream, TlsStream
from synfin.drive.trace_ask import Ask
from synfin.drive.trace_causes import broken, endless, late, no_address, unreached
from synfin.drive.trace_http import answer, goodbye, shown
from synfin.drive.trace_probe import UNANSWERED, WORDLESS, answers_short, shorter, speaks_tls
from synfin.drive.trace_steps import (
    Asking,
    Attempted,
    Cause,
    Certified,
    Connected,
    Ended,
    Failed,
    Hop,
    LookedUp,
    Pointed,
    Probed,
    Sent,
    Shook,
    Spoke,
    Step,
)
from synfin.drive.trace_talk import Message, TalkingClient
from synfin.drive.trace_trust import Trust, Witness
from synfin.errors import PeerError, UsageError
from synfin.http.client import Exchange, Head, Request
from synfin.http.client1 import Http1
from synfin.http.client2 import Http2
from synfin.spec.certroots import RootSet

Address = tuple[str, int]
#: Makes the connection of an attempt; tells address and own port before the first packet, where the stack can.
Connect = Callable[[Attempt, Callable[[Address, int], None] | None], Awaitable[Pipe]]

#: Seconds after which a step is told at the latest, as long as nothing keeps us busy.
TELL = 0.002
#: Seconds given to the server to close after us.
GOODBYE = 1.0
#: Seconds for a port that did not answer in clear to answer a ClientHello.
PATIENCE = 2.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def pointed(head: Head) -> str:
    """Where an answer points that is a redirect; "" for any other."""
    if head.status not in _REDIRECTS:
        return ""
    return next((value for name, value in head.fields if name.lower() == "location"), "")


def wanted(ask: Ask, head: Head, *, fail: bool) -> bool:
    """Whether the body after ``head`` is what was asked for, and not one that only points to it or tells a failure."""
    return not (ask.follow and pointed(head)) and not (fail and head.status >= 400)


class _HopError(Exception):
    """The hop cannot go on."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.words)
        self.cause = cause


@dataclass(slots=True)
class Run:
    """One trace.  ``told`` hears every step, ``body`` every piece of the last answer's body.

    ``trust`` may be None where only http is asked.  With ``fail`` no body of a status of 400 or above is handed on.
    ``key_logs`` get each line of an SSLKEYLOGFILE.
    """

    ask: Ask
    told: Callable[[Step], None]
    body: Callable[[bytes], None] | None = None
    trust: Trust | None = None
    credentials: tuple[tls.Credential, ...] = ()
    capture: LiveCapture | PduCapture | None = None
    key_logs: tuple[Callable[[str], None], ...] = ()
    connect: Connect = connect_socket
    fail: bool = False
    hops: list[Hop] | None = None
    _step: str = "dns"
    _verifier: tls.PathVerifier | None = None
    _roots: RootSet | None = None
    _untold: list[Step] = field(default_factory=list)
    _unsaid: UsageError | None = None  # why a step could not be told
    _clean: bool = False
    _limit: asyncio.Timeout | None = None
    _begun: float = 0.0  # when the ClientHello went out, seconds since 1970

    async def run(self) -> list[Hop]:
        """Do it.  UsageError for what cannot be asked; everything else is in the hops."""
        self.hops = []
        if self.trust is not None:  # before the clock of a connection runs
            self._verifier, self._roots = self.trust.verifier(), RootSet(self.trust.roots)
        try:
            async with asyncio.timeout(self.ask.max_seconds) as self._limit:
                await self._follow()
        except TimeoutError:
            self._failed(late(self.ask.max_seconds, "--max-time", self._step, self._now.steps))
        finally:
            self._spill()
        return self.hops

    async def _follow(self) -> None:
        ask, left = self.ask, self.ask.follow
        while True:
            await self._hop(ask)
            hop = self._now
            head = hop.head
            location = pointed(head) if head is not None else ""
            if head is None or not location or hop.cause is not None:
                return
            follows = self.ask.follow > 0
            self._tell(Pointed(location, follows and left > 0))
            if not follows:
                return
            try:
                ask = ask.redirected(head.status, location)
            except UsageError as error:
                remedy = "Server's operator: give an http:// or https:// URL in Location"
                self._failed(Cause("redirect", f"the redirect leads nowhere: {error}", remedy=remedy, ours=True))
                return
            if not left:
                self._failed(endless([*(str(one.url) for one in self.hops or ()), str(ask.url)], self.ask.follow))
                return
            left -= 1

    @property
    def _now(self) -> Hop:
        if not self.hops:
            raise RuntimeError("no hop has begun")
        return self.hops[-1]

    def _tell(self, step: Step) -> None:
        """Keep the step, and tell it when nothing else is to be done: telling takes time that is not the server's."""
        if self._unsaid is not None:
            raise self._unsaid
        self._now.steps.append(step)
        self._untold.append(step)
        if len(self._untold) == 1:
            asyncio.get_running_loop().call_later(TELL, self._spill_aside)

    def _spill_aside(self) -> None:
        """``_spill`` where nobody waits for it: what it raises comes with the next step."""
        try:
            self._spill()
        except UsageError as error:
            self._unsaid = error

    def _spill(self) -> None:
        waiting, self._untold = self._untold, []
        for step in waiting:
            self.told(step)

    def _failed(self, cause: Cause) -> None:
        self._tell(Failed(cause))

    # ------------------------------------------------------------ one hop

    async def _hop(self, ask: Ask) -> None:
        hop = Hop(len(self.hops or ()), ask.url, ask.method)
        if self.hops is not None:
            self.hops.append(hop)
        self._step = "dns"
        self._tell(Asking(hop.number, ask.method, ask.url))
        pipe: Pipe | None = None
        hello: tuple[tls.Client, Witness] | None = None
        try:
            hello = self._hello(ask) if ask.url.scheme == "https" else None  # before the clock of a connection runs
            try:
                async with asyncio.timeout(ask.connect_seconds):
                    pipe = await self._reach(ask)
                    secure: TlsStream | None = None
                    stream: Stream
                    if hello is None:
                        stream = PlainStream(pipe)
                    else:
                        stream = secure = await self._secure(pipe, *hello)
            except TimeoutError:
                raise _HopError(late(ask.connect_seconds, "--connect-timeout", self._step, hop.steps)) from None
            await self._exchange(ask, pipe, stream, secure)
        except _HopError as stop:
            if pipe is not None:
                await pipe.close()
            self._failed(stop.cause)
            if pipe is not None and hello is not None and stop.cause.violation in WORDLESS:
                await self._probe(ask, pipe.remote, *hello)
            elif pipe is not None and hello is None and hop.head is None and stop.cause.violation in UNANSWERED:
                await self._probe_clear(ask, pipe.remote)
        except BaseException:
            if pipe is not None and self._limit is not None and self._limit.expired():
                await pipe.close()  # with FIN: the answer to it shows whether the other end is there
            elif pipe is not None:
                pipe.abort()
            raise

    async def _reach(self, ask: Ask) -> Pipe:
        """A connection to whoever answers first."""
        host, port = ask.place
        if isinstance(self.capture, LiveCapture):
            self.capture.watch_names(name_servers(), [host])
        fixed = ask.given
        answers = await look_up(host, ask.families, None if fixed is None else {host: fixed})
        self._tell(LookedUp(host, tuple(answers)))
        self._spill()  # before the clock of a connection runs
        addresses = interleave(address for answer in answers for address in answer.addresses)
        if not addresses:
            raise _HopError(Cause("dns", f"{host}: {no_address(answers)}"))
        self._step = "tcp"

        def ended(attempt: Attempt) -> None:
            self._tell(Attempted(attempt))

        async def make(attempt: Attempt) -> Pipe:
            return await self.connect(attempt, self._watch)

        found = await race([(address, port) for address in addresses], make, ended)
        if found.pipe is None:
            raise _HopError(unreached(found.attempts))
        pipe = found.pipe
        seconds = next(attempt.seconds for attempt in found.attempts if attempt.fate == "connected")
        self._tell(Connected(pipe.local, pipe.remote, seconds, pipe.info()))
        if isinstance(self.capture, PduCapture):
            self._now.tried.append((*pipe.remote, pipe.local[1]))
            return TappedPipe(pipe, self.capture.tap(pipe.local, pipe.remote, tls=ask.url.scheme == "https"))
        return pipe

    async def _probe(self, ask: Ask, remote: Address, endpoint: tls.Client, witness: Witness) -> None:
        """Whether it was the ClientHello's length, where that can be."""
        groups = shorter(ask.groups)
        if not groups or witness.presented is not None:
            return
        config = replace(endpoint.config, groups=groups, verify=tls.accept_any_certificate, credentials=())
        await self._again(ask, remote, lambda pipe: answers_short(pipe, config, endpoint.server_name), clear=False)

    async def _probe_clear(self, ask: Ask, remote: Address) -> None:
        """Whether a port that did not answer in clear wants TLS; where it does, one more connection shows it."""
        config = tls.ClientConfig(
            verify=tls.accept_any_certificate,
            groups=shorter(ask.groups) or ask.groups,
            handshake_seconds=None,
            key_log=self._key_log if self.capture is not None else None,
        )
        name = ask.url.host.partition("%")[0]
        with contextlib.suppress(OSError):
            async with asyncio.timeout(PATIENCE):
                unseen = await self.connect(Attempt(*remote, time.monotonic()), None)
                found = await speaks_tls(unseen, config, name)
            if found:
                await self._again(ask, remote, lambda pipe: speaks_tls(pipe, config, name), clear=True)

    async def _again(
        self, ask: Ask, remote: Address, try_it: Callable[[Pipe], Awaitable[bool]], *, clear: bool
    ) -> None:
        """A second try, on a connection of its own."""
        tried = self._now.tried
        before = len(tried)
        with contextlib.suppress(OSError):
            async with asyncio.timeout(ask.connect_seconds):
                try:
                    pipe = await self.connect(Attempt(*remote, time.monotonic()), self._watch)
                except OSError:  # nobody is there any more
                    self._tell(Probed(None, tried[-1][2] if len(tried) > before else 0, clear))
                    return
                port = pipe.local[1]
                if isinstance(self.capture, PduCapture):
                    self._now.tried.append((*pipe.remote, port))
                    pipe = TappedPipe(pipe, self.capture.tap(pipe.local, pipe.remote, tls=True))
                self._tell(Probed(await try_it(pipe), port, clear))

    def _watch(self, address: Address, port: int) -> None:
        self._now.tried.append((address[0].partition("%")[0], address[1], port))
        if isinstance(self.capture, LiveCapture):
            self.capture.watch(address[0], address[1], port)

    def _hello(self, ask: Ask) -> tuple[tls.Client, Witness]:
        """Our end of TLS, its ClientHello made."""
        if self._verifier is None or self._roots is None:
            raise UsageError("nobody is trusted: give roots with --cacert FILE")
        witness = Witness(self._verifier, self._roots, insecure=ask.insecure)
        name = ask.server_name or ask.url.host.partition("%")[0]
        config = tls.ClientConfig(
            verify=witness,
            credentials=self.credentials,
            min_version=ask.versions[0],
            max_version=ask.versions[1],
            suites=ask.suites,
            groups=ask.groups,
            alpn=ask.alpn,
            handshake_seconds=None,
            key_log=self._key_log if self.key_logs or self.capture is not None else None,
        )
        return TalkingClient(config, name, self._spoke, now=clock.now(), entropy=clock.entropy), witness

    def _spoke(self, message: Message) -> None:
        self._tell(Spoke(message.sent, message.kind, message.raw, max(message.at - self._begun, 0.0)))

    async def _secure(self, pipe: Pipe, endpoint: tls.Client, witness: Witness) -> TlsStream:
        """Shake hands."""
        self._step = "tls"
        name = endpoint.server_name or ""
        self._clean = False
        stream = TlsStream(pipe, endpoint, on_event=self._heard)
        begun, self._begun = time.monotonic(), clock.now()
        try:
            facts = await stream.handshake()
        except (PeerError, OSError) as error:
            self._certified(name, witness, accepted=self.ask.insecure)
            await stream.close(drain=0.2)
            raise _HopError(broken("tls", error)) from None
        seconds = time.monotonic() - begun
        self._tell(Shook(facts, seconds, facts.own_signature is not None if self.credentials else None))
        self._certified(name, witness, accepted=True)
        return stream

    def _heard(self, event: tls.Event) -> None:
        if isinstance(event, tls.Closed):
            self._clean = event.clean

    def _key_log(self, line: str) -> None:
        if self.capture is not None:
            self.capture.key_log(line)
        for log in self.key_logs:
            log(line)

    def _certified(self, name: str, witness: Witness, *, accepted: bool) -> None:
        verdict = witness.verdict()
        if verdict is None or witness.presented is None or self.trust is None:
            return
        refusal = witness.refusal
        self._tell(
            Certified(
                name,
                verdict,
                witness.presented.now,
                self.trust.source,
                refusal.violation if refusal is not None else "",
                refusal.got if refusal is not None else "",
                accepted or refusal is None,
            )
        )

    # ------------------------------------------------------------ HTTP

    async def _exchange(self, ask: Ask, pipe: Pipe, stream: Stream, secure: TlsStream | None) -> None:
        self._step = "http"
        chosen = secure.facts.alpn if secure is not None and secure.facts is not None else None
        if secure is not None and chosen != b"h2" and ask.alpn == (b"h2",):
            await stream.close(drain=GOODBYE)
            words = "the server does not speak HTTP/2 here: it chose no h2 in TLS (ALPN)"
            raise _HopError(Cause("http", words, remedy="leave out --http2-prior-knowledge", ours=True))
        two = chosen == b"h2" or (secure is None and ask.prior_knowledge)
        request = Request(ask.method, ask.url.scheme, ask.url.authority, ask.url.target, ask.fields, ask.body)
        exchange: Exchange = Http2(request) if two else Http1(request)
        self._tell(Sent(ask.method, ask.url.target, "2" if two else "1.1", shown(request, two), len(ask.body)))
        cause: Cause | None = None
        pace = self.capture.pace if isinstance(self.capture, LiveCapture) else None
        try:
            await answer(exchange, stream, ask.most_body, self._tell, self._take, pace)
        except (PeerError, OSError) as error:
            cause = broken("http", error)
        begun = time.monotonic()
        info = pipe.info()
        await goodbye(exchange, stream, GOODBYE)
        tickets = len(secure.tickets) if secure is not None else 0
        self._tell(Ended(None if secure is None else self._clean, time.monotonic() - begun, info, tickets))
        if cause is not None:
            raise _HopError(cause)

    def _take(self, head: Head | None, data: bytes) -> None:
        if self.body is not None and (head is None or wanted(self.ask, head, fail=self.fail)):
            self.body(data)
