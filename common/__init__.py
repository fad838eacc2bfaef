"""Helpers shared by all stages; imports no other package of this project."""
