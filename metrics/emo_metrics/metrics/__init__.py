"""Protocols: what turns stored arrays into numbers. The only place that defines them."""
