"""Extractors: what turns frames and audio into the arrays that protocols read. The only place that defines them."""
