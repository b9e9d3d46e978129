"""Systems: anything that turns a portrait and audio into a video."""
