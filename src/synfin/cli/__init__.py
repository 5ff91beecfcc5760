"""One file a command; each imports what it works with inside its function, so that others start quickly."""
