"""Key exchange and certificate requests of TLS 1.2 and before, whose shape only the cipher suite tells.

ServerKeyExchange and ClientKeyExchange carry no mark of what they are: ``kex`` is the key exchange of the
negotiated suite as ``registry.suite(code).kex`` names it (RFC 5246 7.4.3 and 7.4.7, RFC 8422 5.4 and 5.7,
RFC 4279, RFC 5489, RFC 5054).  Without it, or with one that has no known layout here (ECCPWD, GOST, Kerberos),
all octets stay in one field.  Up to TLS 1.1 a signature does not say its algorithm; where the version is not known,
the lengths decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from synfin.wire.codec import Reader, Writer
from synfin.wire.frozen import quick

TLS12 = 0x0303
SSL3 = 0x0300
_NAMED_CURVE = 3


def _has_scheme(reader: Reader, version: int | None) -> bool:
    """Whether the signature at ``reader`` starts with its algorithm (TLS 1.2 on, RFC 5246 4.7)."""
    if version is not None:
        return version >= TLS12
    at, left = reader.pos, reader.left
    return left < 4 or (reader.data[at] << 8 | reader.data[at + 1]) != left - 2


@quick
@dataclass(frozen=True, slots=True)
class ServerKeyExchange:
    """The server's key, signed or not; fields that its key exchange lacks are None.

    ``parameters`` are, in order, p and g of Diffie-Hellman; modulus and exponent of export RSA; N, g and salt of SRP.
    ``public`` is the server's public value.  ``rest`` is what follows, or all octets when the layout is not known.
    """

    kex: str | None
    hint: bytes | None = None  # PSK identity hint
    curve_type: int | None = None
    group: int | None = None  # named group, when curve_type is 3
    parameters: tuple[bytes, ...] = ()
    public: bytes | None = None
    scheme: int | None = None
    signature: bytes | None = None
    rest: bytes = b""

    msg_type: ClassVar[int] = 12

    @property
    def prime_bits(self) -> int | None:
        """Bits of the Diffie-Hellman prime, or None."""
        if not self.parameters or _shape(self.kex) not in ("dh", "srp"):
            return None
        return int.from_bytes(self.parameters[0], "big").bit_length()

    @classmethod
    def read(cls, reader: Reader, *, kex: str | None = None, version: int | None = None) -> ServerKeyExchange:
        """The body as key exchange ``kex`` lays it out; WireError when lengths do not add up."""
        reader.ref = "RFC 5246 7.4.3"
        shape = _shape(kex)
        if shape is None:
            return cls(kex, rest=reader.rest("octets"))
        hint = reader.vec(2, "psk_identity_hint") if kex is not None and "PSK" in kex else None
        curve = group = None
        parameters: tuple[bytes, ...] = ()
        public: bytes | None = None
        if shape == "dh":
            parameters = (reader.vec(2, "dh_p"), reader.vec(2, "dh_g"))
            public = reader.vec(2, "dh_Ys")
        elif shape == "ec":
            reader.ref = "RFC 8422 5.4"
            curve = reader.u8("curve_type")
            if curve != _NAMED_CURVE:
                return cls(kex, hint, curve, rest=reader.rest("octets"))
            group = reader.u16("named_curve")
            public = reader.vec(1, "public")
        elif shape == "rsa":
            parameters = (reader.vec(2, "rsa_modulus"), reader.vec(2, "rsa_exponent"))
        elif shape == "srp":
            reader.ref = "RFC 5054 2.8.3"
            parameters = (reader.vec(2, "srp_N"), reader.vec(2, "srp_g"), reader.vec(1, "srp_s"))
            public = reader.vec(2, "srp_B")
        scheme: int | None = None
        signature: bytes | None = None
        if _signed(kex) and reader.left:
            reader.ref = "RFC 5246 4.7"
            scheme = reader.u16("algorithm") if _has_scheme(reader, version) else None
            signature = reader.vec(2, "signature")
        return cls(kex, hint, curve, group, parameters, public, scheme, signature, reader.rest("rest"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        shape = _shape(self.kex)
        if shape is not None and self.hint is not None:
            writer.vec(2, self.hint)
        if self.curve_type is not None:
            writer.u8(self.curve_type)
        if self.group is not None:
            writer.u16(self.group)
        for index, value in enumerate(self.parameters):
            writer.vec(1 if index == 2 else 2, value)
        if self.public is not None:
            writer.vec(1 if shape == "ec" else 2, self.public)
        if self.scheme is not None:
            writer.u16(self.scheme)
        if self.signature is not None:
            writer.vec(2, self.signature)
        writer.raw(self.rest)


def _shape(kex: str | None) -> str | None:
    """How the parameters of ``kex`` are laid out: dh, ec, rsa, srp, psk (a hint alone) or None for unknown."""
    if kex is None:
        return None
    if kex.startswith("ECDH"):
        return "ec"
    if kex.startswith("DH"):
        return "dh"
    if kex.startswith("SRP"):
        return "srp"
    if kex in ("PSK", "RSA_PSK"):
        return "psk"
    return "rsa" if kex.startswith("RSA") else None


def _signed(kex: str | None) -> bool:
    """Whether the parameters of ``kex`` are signed by the server's certificate."""
    return kex is not None and "anon" not in kex and "PSK" not in kex and kex != "SRP_SHA"


@quick
@dataclass(frozen=True, slots=True)
class ClientKeyExchange:
    """The client's key: ``exchange`` is an encrypted premaster secret or a public value.

    ``prefix`` is the octets its length takes; 0 means that no length is sent (RSA in SSL 3.0, or an unknown layout).
    ``identity`` is the PSK identity, None where the key exchange has none.
    """

    kex: str | None
    identity: bytes | None
    exchange: bytes
    prefix: int
    trailing: bytes = b""

    msg_type: ClassVar[int] = 16

    @classmethod
    def read(cls, reader: Reader, *, kex: str | None = None, version: int | None = None) -> ClientKeyExchange:
        """The body as key exchange ``kex`` lays it out; WireError when lengths do not add up."""
        reader.ref = "RFC 5246 7.4.7"
        shape = _shape(kex)
        identity = reader.vec(2, "psk_identity") if shape is not None and kex is not None and "PSK" in kex else None
        if shape is None or kex == "PSK":
            return cls(kex, identity, reader.rest("octets"), 0)
        if shape == "rsa" and version == SSL3:
            return cls(kex, identity, reader.rest("encrypted_pre_master_secret"), 0)
        prefix = 1 if shape == "ec" else 2
        name = {"ec": "ecdh_Yc", "dh": "dh_Yc", "srp": "srp_A"}.get(shape, "encrypted_pre_master_secret")
        if not reader.left:  # an implicit key: it is in the client's certificate (RFC 5246 7.4.7.2)
            return cls(kex, identity, b"", 0)
        exchange = reader.vec(prefix, name)
        return cls(kex, identity, exchange, prefix, reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        if self.identity is not None:
            writer.vec(2, self.identity)
        if self.prefix:
            writer.vec(self.prefix, self.exchange)
        else:
            writer.raw(self.exchange)
        writer.raw(self.trailing)


@quick
@dataclass(frozen=True, slots=True)
class CertificateVerify:
    """Proof of the key in the sender's certificate (RFC 8446 4.4.3, RFC 5246 7.4.8); no scheme before TLS 1.2."""

    scheme: int | None
    signature: bytes
    trailing: bytes = b""

    msg_type: ClassVar[int] = 15

    @classmethod
    def read(cls, reader: Reader, *, version: int | None = None) -> CertificateVerify:
        """The body; WireError when lengths do not add up."""
        reader.ref = "RFC 8446 4.4.3"
        scheme = reader.u16("algorithm") if _has_scheme(reader, version) else None
        return cls(scheme, reader.vec(2, "signature"), reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        if self.scheme is not None:
            writer.u16(self.scheme)
        writer.vec(2, self.signature)
        writer.raw(self.trailing)
