"""Typed frames and audio, decoding in a limited child process, lossless clips and watchable copies."""
