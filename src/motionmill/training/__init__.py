"""Model-agnostic training: loop, optimiser, checkpoints; knows no data format and no text."""
