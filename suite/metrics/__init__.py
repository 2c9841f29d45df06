"""Scores, one file for each kind of answer: thin faces on the field's own libraries."""
