"""The datasets, one module each, named as on the command line.

A dataset module has a docstring (what it is, one real example, origin, licence, reference) and

- ``SCHEMA``: what an example maps to what, such as ``"tokens->tags"``; tasks with the same schema can use it,
- ``DESCRIPTION``, ``ORIGIN``, ``LICENCE``: one line each,
- ``SIZES``: the number of examples by split,
- ``available(data_dir)``: whether `load` would work now without a network; cheap,
- ``load(data_dir)``: ``{"train": [...], "validation": [...], "test": [...]}``, no ``"validation"`` where the source
  has none, and with ``"notes": [...]`` where a reader of the scores should know something about the data.

``data_dir`` is a folder of the user's own or None. Importing such a module costs milliseconds: whatever is heavy is
imported where it is needed.
"""
