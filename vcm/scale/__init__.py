"""Many pictures: where they come from, who does the work, and where the results go."""
