"""The five notebooks: arms for claims, protocols at full scale, and their figures next to ours."""
