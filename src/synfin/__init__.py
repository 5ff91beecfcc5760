"""synfin: see, make and judge HTTP and HTTPS connections, from the first SYN to the last FIN."""

__version__ = "0.1.0"
