"""The nine flag bits of a TCP header (RFC 9293 3.1, RFC 3168, AccECN's AE), as they lie in octets 12-13."""

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = (1 << bit for bit in range(9))
