"""Results for other places: evaluation files of model hubs, metadata of data sets, checklists of conferences."""
