"""Formats are read into neutral conversations; nothing here knows of scenarios."""
