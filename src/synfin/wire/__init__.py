"""Bytes to records and back, for every layer: lossless and total, without judgement.  It imports nothing of ours."""
