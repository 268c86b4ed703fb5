"""An embedded stand-in for a model: it knows only what stands in the request it receives."""
