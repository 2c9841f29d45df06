"""What several test files share."""

import gc
import os
import random

import pytest

os.environ["SUITE_CACHE"] = ""  # nothing is found that another run left, and nothing left in the user's folder


def pytest_collection_finish():
    """What is imported by now stays, so that collecting garbage, which Keras often asks for, need not look at it."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish():
    """Hypothesis looks for who refers to an object, and finds nobody among what is frozen."""
    gc.unfreeze()


@pytest.fixture
def mutations():
    """Damages a file in seeded ways: ``for data in mutations(original): ...``."""

    def mutate(data: bytes, count: int = 1000, seed: int = 0):
        generator = random.Random(seed)
        for _ in range(count):
            mutated = bytearray(data)
            for _ in range(generator.randint(1, 4)):
                place = generator.randrange(len(mutated) + 1)
                length = min(len(mutated) - place, generator.choice([1, 2, 8, 64]))
                kind = generator.randrange(6)
                if kind == 0 and mutated:  # a changed byte
                    mutated[min(place, len(mutated) - 1)] = generator.randrange(256)
                elif kind == 1:  # a piece is gone
                    del mutated[place : place + length]
                elif kind == 2:  # a piece stands twice
                    mutated[place:place] = mutated[place : place + length]
                elif kind == 3:  # something strange comes in
                    mutated[place:place] = generator.choice(
                        [b"\0", b"\xff\xfe", b'"', b"\t", b"\n", b"\r", b",", b"{", b"]", b"\xf0\x9f\x98", b"9" * 400]
                    )
                elif kind == 4:  # the end is missing
                    del mutated[place:]
                else:  # two pieces change places
                    piece = bytes(mutated[place : place + length])
                    del mutated[place : place + length]
                    other = generator.randrange(len(mutated) + 1)
                    mutated[other:other] = piece
            yield bytes(mutated)

    return mutate
