"""The commands, one file each. A command is short, so that it looks for garbage a hundred times less often."""

import gc

gc.set_threshold(200_000, 50, 100)
