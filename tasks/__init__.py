"""One file a task; each ends in `TASK = Task(...)`."""
