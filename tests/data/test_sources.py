"""Files are found where the user said, and what is fetched is checked. All of it offline."""

import hashlib
import http.server
import threading
import time

import pytest

from suite.data import sources
from suite.data.datasets import conll2003
from suite.errors import InputError

CONTENT = b"EU\tB-ORG\n"
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A user without data: an empty cache, and none of the variables set."""
    for name in ("SUITE_DATA", "TFDS_DATA_DIR", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "cache" / "keras-task-suite"


@pytest.fixture
def server():
    """The address of a server that has one file, `file`, and never answers for `slow`."""
    done = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/slow":
                done.wait()
            self.send_response(200 if self.path == "/file" else 404)
            self.end_headers()
            if self.path == "/file" and self.command == "GET":
                self.wfile.write(CONTENT)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *args):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    done.set()
    running.shutdown()
    running.server_close()
    thread.join()


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_data_dir_goes_before_suite_data_and_that_before_the_cache(cache, tmp_path, monkeypatch):
    own, shared = tmp_path / "own", tmp_path / "shared"
    own.mkdir()
    shared.mkdir()
    monkeypatch.setenv("SUITE_DATA", str(shared))

    def find():
        return sources.find_file(("a.txt", "b.txt"), data_dir=own, subfolder="ner/wnut")

    assert find() is None
    for place in (
        cache / "ner/wnut/b.txt",
        shared / "ner/wnut/b.txt",
        own / "ner/wnut/b.txt",
        own / "wnut/b.txt",
        own / "b.txt",
        own / "a.txt",
    ):
        touch(place)
        assert find() == place


def test_a_folder_that_is_not_there_is_an_error(cache, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"--data-dir: .*nowhere is not a folder"):
        sources.find_file(("a",), data_dir=tmp_path / "nowhere", subfolder="x")
    monkeypatch.setenv("SUITE_DATA", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"SUITE_DATA: .*gone is not a folder"):
        sources.find_file(("a",), data_dir=None, subfolder="x")


def test_download(cache, tmp_path, server):
    target = tmp_path / "new" / "folder" / "file"
    assert sources.download(f"{server}/file", sha256=CHECKSUM, target=target) == target
    assert target.read_bytes() == CONTENT
    assert sources.sha256(target) == CHECKSUM
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("path", "checksum", "message"),
    [
        ("file", "0" * 64, f"expected SHA-256 {'0' * 64}, got {CHECKSUM}"),
        ("absent", CHECKSUM, "404.*--data-dir or the variable SUITE_DATA"),
    ],
)
def test_a_failed_download_leaves_what_was_there(cache, tmp_path, server, path, checksum, message):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(InputError, match=message):
        sources.download(f"{server}/{path}", sha256=checksum, target=target)
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_cache_that_cannot_be_written(cache, tmp_path, server):
    (tmp_path / "taken").touch()
    with pytest.raises(InputError, match=r"cannot be fetched to .*taken.file: .*--data-dir"):
        sources.download(f"{server}/file", sha256=CHECKSUM, target=tmp_path / "taken" / "file")


def test_a_silent_server_is_given_up(cache, tmp_path, server):
    start = time.monotonic()
    with pytest.raises(InputError, match=r"cannot be reached to fetch file: .*SUITE_DATA"):
        sources.download(f"{server}/slow", sha256=CHECKSUM, target=tmp_path / "file", timeout=0.2)
    assert time.monotonic() - start < 2


def test_no_network(cache, tmp_path):
    with pytest.raises(InputError, match="cannot be reached"):
        sources.download("http://127.0.0.1:9/file", sha256=CHECKSUM, target=tmp_path / "file")


def test_a_name_that_is_looked_up_for_ever_is_given_up(cache, monkeypatch):
    done = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: done.wait() and [])
    start = time.monotonic()
    assert not sources.reachable("http://example.invalid/file", timeout=0.2)
    assert time.monotonic() - start < 2
    done.set()


@pytest.fixture
def offline(cache, monkeypatch):
    monkeypatch.setattr(sources, "reachable", lambda url: False)


def test_tfds_without_a_network_is_an_error_at_once(offline):
    pytest.importorskip("tensorflow_datasets")
    assert not conll2003.available(None)
    start = time.monotonic()
    with pytest.raises(InputError, match=r"conll2003 is not prepared, and https://.* --data-dir"):
        conll2003.load(None)
    assert time.monotonic() - start < 5


def test_tfds_does_not_know_the_name(offline):
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(InputError, match="no dataset 'conl2003'; did you mean 'conll2003'"):
        sources.tfds_parts("conl2003", splits={"train": "train"}, origin="https://x.invalid", data_dir=None)


def test_tfds_examples_become_ours(cache, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    items = [
        {"tokens": [b"Peter", b"Blackburn", b"in", b"Genoa"], "ner": [1, 2, 0, 6]},
        {"tokens": [], "ner": []},
    ]
    monkeypatch.setattr(sources, "reachable", lambda url: True)
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split: items):
        parts = conll2003.load(None)
    assert list(parts) == ["train", "validation", "test"]
    assert parts["test"] == [
        {"tokens": ["Peter", "Blackburn", "in", "Genoa"], "tags": ["B-PER", "I-PER", "O", "B-LOC"]}
    ]


def test_tfds_prepared_looks_for_the_finished_dataset(cache, tmp_path):
    touch(tmp_path / "glue" / "sst2" / "incomplete.2.0.0" / "glue-train.array_record-00000-of-00001")
    assert not sources.tfds_prepared("glue/sst2", data_dir=tmp_path)
    touch(tmp_path / "glue" / "sst2" / "2.0.0" / "dataset_info.json")
    assert sources.tfds_prepared("glue/sst2", data_dir=tmp_path)
    assert not sources.tfds_prepared("glue/cola", data_dir=tmp_path)
