"""``make bench``: what synth, the demo and SageMaker's jobs cost, measured in one run."""
