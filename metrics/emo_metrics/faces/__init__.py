"""Finding and describing faces: landmarks, head pose, blendshapes, identity, expression coefficients."""
