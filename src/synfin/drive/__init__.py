"""The real world: sockets, clock and chance, programs and live capture, for the engines that know none of them.

``streams`` is TLS over asyncio, ``blocking`` the same for scripts.
"""
