"""Models that are no neural networks, one file for each kind of task, and the floor that every model has to clear.

Each is a `suite.task.Baseline`: fitted on train, choosing on validation, a plain object that can be pickled.
"""
