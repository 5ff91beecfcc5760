"""A small certificate authority, as a library: keys, certificates, revocation, and wrong certificates on purpose.

All of it is a function of its arguments, the time among them, and of fresh randomness for keys, serial numbers and
signatures; only ``store`` touches files, in the one folder it is given.  Nothing here ever reads or writes a system
trust store.
"""
