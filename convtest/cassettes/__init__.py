"""The store of recorded interactions."""
