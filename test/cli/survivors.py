"""Programs that use a mount until they are told to stop, and end with an error when anything in it is
not as on a disk.

    survivors.py KIND DIRECTORY

prints a line once it works and each time it has done a round; ends when its input does.
"""

import errno
import fcntl
import hashlib
import mmap
import os
import select
import sqlite3
import sys

RECORD = 100


def read_log(directory, rounds):
    """A recording is read from begin to end through one descriptor, over and over."""
    path = os.path.join(directory, "recording.mcap")
    with open(path, "rb", buffering=0) as file:
        first = None
        for _ in rounds:
            file.seek(0)
            digest = hashlib.sha256()
            while chunk := file.read(1 << 18):
                digest.update(chunk)
            first = first or digest.hexdigest()
            assert digest.hexdigest() == first, "other bytes than before"


def walk(directory, rounds):
    """A tree that nobody changes is listed and looked at, from a working directory in it."""
    os.chdir(os.path.join(directory, "labels"))
    first = None
    for _ in rounds:
        seen = []
        for root, directories, files in os.walk("."):
            directories.sort()
            seen += [(root, name, os.stat(os.path.join(root, name)).st_ino) for name in sorted(files)]
        first = first or seen
        assert seen == first, "another tree than before"
        assert os.getcwd() == os.path.join(directory, "labels")


def append(directory, rounds):
    """Records are appended through one descriptor, each synced."""
    path = os.path.join(directory, "events.csv")
    with open(path, "ab", buffering=0) as file:
        for number, _ in enumerate(rounds):
            assert file.write(str(number).encode().rjust(RECORD)) == RECORD
            os.fsync(file.fileno())
            assert os.fstat(file.fileno()).st_size == (number + 1) * RECORD
    with open(path, "rb") as file:
        whole = file.read()
    found = [int(whole[at : at + RECORD]) for at in range(0, len(whole), RECORD)]
    assert found == list(range(number + 1)), "not the records that were written"


def database(directory, rounds):
    """SQLite in WAL mode, with a second connection that reads."""
    path = os.path.join(directory, "labels.db")
    writer, reader = sqlite3.connect(path), sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE labels (id INTEGER PRIMARY KEY, body BLOB)")
    writer.commit()
    for number, _ in enumerate(rounds):
        writer.execute("INSERT INTO labels VALUES (?, ?)", (number, os.urandom(2000)))
        writer.commit()
        assert reader.execute("SELECT count(*) FROM labels").fetchone() == (number + 1,)
    assert writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def rename(directory, rounds):
    """Every call that changes names says that it did, once."""
    os.mkdir(own := os.path.join(directory, "names"))
    a, b, c, d = (os.path.join(own, name) for name in "abcd")
    for _ in rounds:
        os.close(os.open(a, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.rename(a, b)
        os.link(b, c)
        os.setxattr(b, "user.seen", b"1", os.XATTR_CREATE)
        os.removexattr(c, "user.seen")
        os.unlink(b)
        os.symlink("c", b)
        os.mkdir(d)
        os.rename(c, os.path.join(d, "c"))
        assert sorted(os.listdir(own)) == ["b", "d"]
        os.unlink(os.path.join(d, "c"))
        os.rmdir(d)
        os.unlink(b)
        assert os.listdir(own) == []


def unlinked(directory, rounds):
    """A file without a name is written, and shows what was written."""
    path = os.path.join(directory, "scratch")
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    os.unlink(path)
    for number, _ in enumerate(rounds):
        body = str(number).encode().rjust(RECORD)
        assert os.pwrite(file, body, number * RECORD) == RECORD
        at = number // 2
        assert int(os.pread(file, RECORD, at * RECORD)) == at
        assert os.fstat(file).st_size == (number + 1) * RECORD
        assert not os.path.lexists(path)


def patch(directory, rounds):
    """Pages of a large committed file are changed in place, by calls and through a map."""
    path = os.path.join(directory, "recording.mcap")
    with open(path, "r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        pages = size // 4096
        with mmap.mmap(file.fileno(), size) as mapped:
            for number, _ in enumerate(rounds):
                at = (number * 37 % pages) * 4096
                body = str(number).encode().rjust(RECORD)
                os.pwrite(file.fileno(), body, at)
                assert os.pread(file.fileno(), RECORD, at) == body
                mapped[at + RECORD : at + 2 * RECORD] = body
                assert os.pread(file.fileno(), RECORD, at) == body


def lock(directory, rounds):
    """What is locked stays so."""
    path = os.path.join(directory, "lock")
    held, other = (os.open(path, os.O_CREAT | os.O_RDWR) for _ in range(2))
    fcntl.flock(held, fcntl.LOCK_EX)
    for _ in rounds:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise AssertionError("the lock was lost")
        except OSError as error:
            assert error.errno == errno.EWOULDBLOCK
        os.fstat(other)


def until_told():
    while not select.select([sys.stdin], [], [], 0)[0]:
        yield
        print(flush=True)


KINDS = [read_log, walk, append, database, rename, unlinked, patch, lock]
next(kind for kind in KINDS if kind.__name__ == sys.argv[1])(sys.argv[2], until_told())
