"""What happens when input cannot be used: it is refused, or left out and counted."""

from __future__ import annotations

from suite.errors import InputError

SHOWN = 3  # faults that a note shows; the others are counted


class Faults:
    """Collects what is wrong with files of the user's own. Readers call `found` and leave the entry out.

    Args:
        skip: leave out what cannot be used, instead of refusing it all at the first fault.

    Example:

    >>> faults = Faults(skip=True)
    >>> faults.found("cats/3.jpg: not a picture; expected a JPEG or PNG file")
    >>> faults.notes("train")
    ('train: 1 left out that could not be used: cats/3.jpg: not a picture; expected a JPEG or PNG file',)
    """

    def __init__(self, *, skip: bool = False):
        self.skip = skip
        self.messages: list[str] = []

    def found(self, message: str) -> None:
        """A fault: says where it is, what is wrong and what would be right.

        Raises:
            InputError: unless faults are skipped.
        """
        if not self.skip:
            raise InputError(message)
        self.messages.append(message)

    def notes(self, name: str) -> tuple[str, ...]:
        """What was left out, in one line, and nothing where there was no fault."""
        if not self.messages:
            return ()
        more = f"; and {len(self.messages) - SHOWN:,} more" if len(self.messages) > SHOWN else ""
        shown = "; ".join(self.messages[:SHOWN])
        return (f"{name}: {len(self.messages):,} left out that could not be used: {shown}{more}",)
