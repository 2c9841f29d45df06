"""Task heads, one file each: from the inputs that a `Spec` describes, through any architecture, to the task's output."""
