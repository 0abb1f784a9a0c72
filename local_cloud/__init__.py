"""The embedded cloud: several AWS accounts on the laptop, with IAM enforced."""
