"""Replica-event formats, one file each, and their de-duplication."""
