"""Comext: the monthly bulk files and code lists of Eurostat's trade statistics."""
