"""The record of a run: everything a table, a figure, a gate or a sceptical reader needs, in one versioned file."""
