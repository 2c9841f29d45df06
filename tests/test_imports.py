"""Who may import whom: data flows one way, and so do imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FRAMEWORKS = {"keras", "keras_hub", "tensorflow", "jax", "torch"}

# folder -> what its files may import of ours
ALLOWED = {
    "suite/checks": {"suite.checks", "suite.layers", "suite.errors", "suite.report", "suite.target"},
    "suite/layers": {"suite.layers"},
    "suite/decoding": {"suite.decoding", "suite.backend", "suite.layers"},
    "suite/heads": {"suite.heads", "suite.layers", "suite.task", "suite.backend", "suite.decoding"},
    "suite/models": {"suite.layers", "suite.models", "suite.target", "suite.errors"},
    "suite/metrics": {"suite.metrics"},
    "suite/baselines": {
        "suite.baselines",
        "suite.data",
        "suite.metrics",
        "suite.tags",
        "suite.task",
        "suite.errors",
        "suite.writing",
    },
    "suite/data": {"suite.data", "suite.task", "suite.errors", "suite.faults"},
    "tasks": {
        "suite.data",
        "suite.baselines",
        "suite.classification",
        "suite.heads",
        "suite.layers",
        "suite.losses",
        "suite.writer",
        "suite.writing",
        "suite.metrics",
        "suite.tags",
        "suite.config",
        "suite.decoding",
        "suite.task",
        "suite.errors",
        "suite.faults",
    },
    "leaderboard": {"leaderboard", "suite.task", "suite.errors"},
}
# files that import a framework at their top; all others must start fast
HEAVY = {
    "suite/checks",
    "suite/decoding",
    "suite/layers",
    "suite/heads",
    "suite/losses.py",
    "suite/optimizer.py",
    "suite/training.py",
    "suite/checkpoint.py",
    "suite/certificate.py",
}


def imports(path, *, top_only):
    """Names imported by a file, type-checking blocks left out."""
    tree = ast.parse(path.read_text("utf8"))
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "suite":
                yield from (f"suite.{alias.name}" for alias in node.names if alias.name != "__version__")
            else:
                yield node.module


def python_files(folder):
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_of_ours_go_one_way(folder):
    files = python_files(folder)
    assert files
    for path in files:
        needed = set(imports(path, top_only=False)) - typing_imports(path)
        ours = {name for name in needed if name.split(".")[0] in ("suite", "tasks", "leaderboard")}
        for name in ours:
            assert any(name == ok or name.startswith(f"{ok}.") for ok in ALLOWED[folder]), f"{path}: imports {name}"


def typing_imports(path):
    """Names that are imported for annotations alone."""
    tree = ast.parse(path.read_text("utf8"))
    blocks = [n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)]
    return {
        name
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for name in ([f"suite.{a.name}" for a in node.names] if node.module == "suite" else [node.module])
    }


def test_nothing_but_layers_decoding_checks_heads_and_training_imports_a_framework_at_its_top():
    for path in [*python_files("suite"), *python_files("tasks"), *python_files("leaderboard")]:
        place = path.relative_to(ROOT).as_posix()
        if not any(place == heavy or place.startswith(f"{heavy}/") for heavy in HEAVY):
            tops = {name.split(".")[0] for name in imports(path, top_only=True)}
            assert not tops & FRAMEWORKS, f"{place} imports {tops & FRAMEWORKS} at its top"


def test_nothing_private_of_keras_is_used():
    for path in [*python_files("suite"), *python_files("tasks"), *python_files("leaderboard")]:
        assert "keras.src" not in path.read_text("utf8"), path
