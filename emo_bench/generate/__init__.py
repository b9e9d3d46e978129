"""Systems turn (portrait, audio) into a video; the clip store keeps what they made."""
