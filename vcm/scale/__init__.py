"""Many pictures: where they come from, which processes do the work, where the results go."""
