"""Who computes the chunks of a run: this process, a few beside it, or the workers of a Ray cluster.

A worker opens the lake for reading as it was at a snapshot, computes a chunk, and returns files; all else is the
committing room's, which takes them in the order of the chunks.
"""
