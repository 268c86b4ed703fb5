"""convtest: test that conversations hold together."""

__version__ = "0.1.0"
