#!/usr/bin/env bash
# Motion capture -> data set -> tokenizer -> generator -> release -> a motion, in small: some minutes on two cores.
#
#     examples/04_train.sh MOCAP OUTPUT
#
# MOCAP is a folder of motion capture with captions, as `motionmill data run` reads it. For a model that is worth having,
# give the recipes `tokenizer` and `generator-mini` (or a larger one, under torchrun) instead of the smoke recipes.
set -euo pipefail
mocap=$1 output=$2

motionmill data run --input "$mocap" -o "$output/data" --labels.captions 6
motionmill train tokenizer --recipe smoke-tokenizer --data "$output/data" -o "$output/tokenizer"
motionmill train generator --recipe smoke-generator --data "$output/data" --tokenizer "$output/tokenizer" -o "$output/generator"
motionmill train evaluator --recipe smoke-evaluator --data "$output/data" -o "$output/evaluator"
motionmill train export "$output/generator" -o "$output/release" --name smoke
motionmill generate "a person walks forward" --model "$output/release" --seconds 2 -o "$output/walk.bvh"
