"""Raw input -> a data set: units of work, the stages, who carries them out, what became of each clip."""
