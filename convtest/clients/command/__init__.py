"""Any program that speaks one JSON object per line; and the child that hosts a `python` client over the same."""
