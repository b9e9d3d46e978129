"""The plan of work units and the processes that carry it out."""
