"""One item, from its scenario to its outcome."""
