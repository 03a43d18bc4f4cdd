"""A sample company's inference traffic with planted facts: seeded, vectorised, no files."""
