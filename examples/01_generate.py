"""Three variations of one prompt, side by side as files for other programs."""

import motionmill
from motionmill import TextToMotion

pipeline = TextToMotion.from_pretrained()
motions = pipeline.generate(
    ["a happy person waves with both hands"] * 3, seconds=4, seeds=[1, 2, 3]
)
for number, motion in enumerate(motions):
    motionmill.save(motion, f"wave-{number}.glb")
    motionmill.save(motion, f"wave-{number}.bvh")
