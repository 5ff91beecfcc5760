"""Story and findings to text, ladder, octets, JSON, SARIF: pure functions."""
