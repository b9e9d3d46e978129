"""Re-enacted portraits: stills that move like filmed speakers, with labels for every frame."""
