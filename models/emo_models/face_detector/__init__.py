"""A small detector of faces in photographs, paintings, engravings and drawings; its weights ship with the package."""
