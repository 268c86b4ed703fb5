"""Session clients: the port, its conformance suite, and one module per kind."""
