"""The rehearsal: the synthesized delivery pipeline, run on the embedded cloud."""
