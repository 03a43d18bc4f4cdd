"""Facts that ship with nanodollar: price sheets, aliases, policies. No code."""
