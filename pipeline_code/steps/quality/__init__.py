"""The data-quality monitor: profile -> constraints -> checks -> report, in Model Monitor's file formats."""
