"""One file per column kind: summarise, merge, finish; encode, decode."""
