"""Motion -> what a person does in it, in events and words, by geometry alone."""
