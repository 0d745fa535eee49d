"""Results for people: plots, tables and one page that opens offline."""
