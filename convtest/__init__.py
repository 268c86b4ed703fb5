"""convtest: test that conversations hold together."""
