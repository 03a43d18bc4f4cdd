"""Request-log formats, one file each: from fields as logged to canonical columns with disjoint tokens."""
