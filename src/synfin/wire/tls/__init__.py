"""TLS on the wire: records, handshake messages, extensions, their registries and fingerprints."""
