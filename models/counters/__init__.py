"""Usage that others counted, one file a format, and what logs lack beside it."""
