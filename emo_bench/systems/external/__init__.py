"""Other people's programs as systems: their cards, workspace, limited processes and output."""
