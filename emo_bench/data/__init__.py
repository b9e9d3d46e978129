"""Test sets: the manifest that lists clips, import of folders, preparation of corpora, and the synthetic set."""
