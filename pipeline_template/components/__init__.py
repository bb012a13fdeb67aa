"""One KFP component a file: each reads its inputs, calls a plain function of `model/`, and writes its outputs.

A component's function is all that travels to the step, so it imports inside; the folder `model/` travels with it
(`embedded_artifact_path`) and is where those imports come from. Annotations are written `dsl.X` for the same reason.
"""

import os

# Of the steps on Kubeflow, where `images.build` of kfops.yaml has one named `steps`; on one machine no image is used.
IMAGE = os.environ.get("KFOPS_IMAGE_STEPS", "python:3.11-slim")
