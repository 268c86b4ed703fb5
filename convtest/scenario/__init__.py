"""YAML becomes a Scenario."""
