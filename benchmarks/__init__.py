"""Speed and memory of the layers, measured beside their peers in the same run."""
