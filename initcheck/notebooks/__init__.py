"""The notebooks' own protocols at full scale, and their figures beside ours."""
