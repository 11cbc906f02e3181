"""Tools that every other room may use: labels, checks, files. Nothing here knows of networks or rankings."""
