"""Tools for all other packages: labels, checks, files. Nothing here depends on networks or rankings."""
