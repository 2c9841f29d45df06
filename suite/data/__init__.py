"""Where examples come from: readers, sources, splits and the datasets themselves. Needs no deep-learning framework."""
