"""Story to findings: the engine, the one code table, and one rule a file in ``rules``."""
