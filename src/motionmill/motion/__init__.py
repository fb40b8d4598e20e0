"""What a motion is: skeleton, rotations, clip, features, retargeting, physics, clean-up, body."""
