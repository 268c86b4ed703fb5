"""The matrix that comes with the package."""

from pathlib import Path

SHIPPED = Path(__file__).with_name("shipped.yaml")
