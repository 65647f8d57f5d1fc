"""Edit a talking head by its transcript: what changed in the text decides what is cut, said and shown."""
