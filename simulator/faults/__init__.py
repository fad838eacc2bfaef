"""Faults that can be switched on: broken transport and wrong data."""
