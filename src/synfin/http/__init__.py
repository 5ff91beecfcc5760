"""HTTP/1 and HTTP/2 talk over h11 and h2, sans-I/O: what a client asks and what a server answers."""
