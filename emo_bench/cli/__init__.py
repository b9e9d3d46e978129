"""The command line: one file per command; data go to stdout, messages to stderr."""
