"""Measurements, one file per question; see README.md beside this."""
