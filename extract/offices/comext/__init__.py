"""Comext: the monthly bulk files and the lists of codes of Eurostat's trade statistics."""
