"""A BVH file of somebody else's rig -> our skeleton, slowed down, joined to its mirror image, as a GLB.

python examples/02_convert.py WALK.bvh OUT.glb
"""

import dataclasses
import sys

import motionmill
from motionmill.motion.retarget import retarget

source, target = sys.argv[1:]
motion = retarget(motionmill.load(source)).resample(30)
slow = dataclasses.replace(motion, fps=20).resample(30)
motionmill.save(motionmill.concatenate([slow, slow.mirror()]), target)
