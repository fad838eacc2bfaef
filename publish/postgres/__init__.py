"""Serving from PostgreSQL."""
