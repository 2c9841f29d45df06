"""Task heads, one file each: from the inputs that a `Spec` describes, through any architecture, to an output."""
