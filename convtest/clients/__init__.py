"""Session clients: the port, what all kinds share, and the kinds."""
