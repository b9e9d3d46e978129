"""Runs a suite: from its file to the record, the previews and the report."""
