"""Scenes in the simulated network: who does what to whom, played on our engines, captured, with the truth beside it.

A scene is a function of its arguments and a seed and returns a frozen dataclass: captures, and what each party got,
said and was refused.  It draws no conclusions and writes no words: captures are observed and told as any other.
``visits`` is Alice at Bob's shop with attackers in between, ``keys`` its certificates, ``speakers`` its programs;
``lessons`` are the classic ones about TCP.
"""
