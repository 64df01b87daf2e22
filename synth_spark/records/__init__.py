"""One file per record family: columns, units, keys, rules."""
