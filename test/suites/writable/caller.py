"""A program that makes system calls under a directory as it is told, one to a line of JSON.

    caller.py DIRECTORY
    ["pwrite", "a", 4096, "aGVsbG8="]  ->  {"ok": 5}    or    {"errno": "ENOSPC"}

Node has no renameat2, fallocate, SEEK_DATA, copy_file_range, flock, fcntl locks or mmap, and a lock
belongs to a process; so tests that need them, or several processes, start some of these. Paths are
below DIRECTORY. Open files and maps have names that the teller chooses. Bytes are base64, or
[seed, length] for bytes that follow from a number.
"""

import base64
import ctypes
import errno
import fcntl
import hashlib
import json
import mmap
import os
import random
import stat as st
import struct
import sys
import zlib

ROOT = os.fsencode(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
files = {}
maps = {}


def at(path):
    return os.path.join(ROOT, path.encode("utf-8", "surrogateescape"))


def data(given):
    if isinstance(given, list):
        seed, length = given
        return random.Random(seed).randbytes(length)
    return base64.b64decode(given)


def shown(read):
    return base64.b64encode(read).decode()


def libc_call(name, *args):
    result = getattr(libc, name)(*args)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def attributes(got):
    return {
        "kind": st.S_IFMT(got.st_mode) >> 12,
        "mode": st.S_IMODE(got.st_mode),
        "size": got.st_size,
        "nlink": got.st_nlink,
        "inode": got.st_ino,
        "uid": got.st_uid,
        "gid": got.st_gid,
        "device": got.st_rdev,
        "blocks": got.st_blocks,
        # Nanoseconds since 1970 are beyond what JSON numbers carry exactly.
        "atime": str(got.st_atime_ns),
        "mtime": str(got.st_mtime_ns),
        "ctime": str(got.st_ctime_ns),
    }


def open_file(name, path, flags, mode=0o644):
    value = 0
    for flag in flags.split("|"):
        value |= getattr(os, flag)
    if name in files:
        os.close(files.pop(name))
    files[name] = os.open(at(path), value, mode)
    return None


def close_file(name):
    os.close(files.pop(name))


def close_all():
    for name in list(maps):
        maps.pop(name).close()
    for name in list(files):
        try:
            os.close(files.pop(name))
        except OSError:
            pass  # A file of a mount whose server died: it is closed all the same.


def temporary(name, directory, mode=0o600):
    files[name] = os.open(at(directory), os.O_TMPFILE | os.O_RDWR, mode)


def link_open(name, path):
    source = b"/proc/self/fd/%d" % files[name]
    libc_call("linkat", -100, source, -100, at(path), 0x400)


def rename(old, new, flags=0):
    libc_call("renameat2", -100, at(old), -100, at(new), ctypes.c_uint(flags))


def fallocate(name, mode, offset, length):
    libc_call("fallocate", files[name], mode, ctypes.c_long(offset), ctypes.c_long(length))


def flock(name, how, wait=False):
    fcntl.flock(files[name], getattr(fcntl, how) | (0 if wait else fcntl.LOCK_NB))


def record_lock(name, kind, start, length, wait=False):
    lock = struct.pack("hhqqi4x", getattr(fcntl, kind), 0, start, length, 0)
    fcntl.fcntl(files[name], fcntl.F_SETLKW if wait else fcntl.F_SETLK, lock)


def lock_holder(name, start, length):
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, start, length, 0)
    got = fcntl.fcntl(files[name], fcntl.F_GETLK, asked)
    kind, _, begin, span, _ = struct.unpack("hhqqi4x", got)
    return None if kind == fcntl.F_UNLCK else [begin, span]


def map_file(name, file, length, writes=True):
    access = mmap.PROT_READ | (mmap.PROT_WRITE if writes else 0)
    maps[name] = mmap.mmap(files[file], length, mmap.MAP_SHARED, access)


def map_write(name, offset, given):
    taken = data(given)
    maps[name][offset : offset + len(taken)] = taken


def map_change(file, offset, given):
    """Changes bytes through a shared map of the whole file, cut at its end."""
    size = os.fstat(files[file]).st_size
    taken = data(given)[: max(0, size - offset)]
    with mmap.mmap(files[file], size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        mapped[offset : offset + len(taken)] = taken
    return len(taken)


def copy_all(source, source_at, target, target_at, length):
    done = 0
    while done < length:
        copied = os.copy_file_range(
            files[source], files[target], length - done, source_at + done, target_at + done
        )
        if copied == 0:
            break
        done += copied
    return done


def copy_file(source, target, piece):
    """As cp does, which opens the source first."""
    copied = os.open(at(source), os.O_RDONLY | os.O_NONBLOCK)
    try:
        made = os.open(at(target), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644)
        try:
            done = 0
            while (count := os.copy_file_range(copied, made, piece)) > 0:
                done += count
            return done
        finally:
            os.close(made)
    finally:
        os.close(copied)


def listing(path):
    with os.scandir(at(path)) as entries:
        return sorted(os.fsdecode(e.name) for e in entries)


def listing_inodes(path):
    with os.scandir(at(path)) as entries:
        return {os.fsdecode(e.name): e.inode() for e in entries}


def file_hash(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def own_attributes(path):
    """Names of what programs gave the file: not of what a file system tells about it."""
    told = ("user.tarn.", "security.", "system.")
    return sorted(key for key in os.listxattr(path) if not key.startswith(told))


def set_file_attribute(path, key, given):
    if os.path.isdir(at(path)):
        raise IsADirectoryError(errno.EISDIR, "a directory")
    os.setxattr(at(path), key, data(given))


def nodes_below(top):
    for name in sorted(os.listdir(top)):
        inner = os.path.join(top, name)
        yield inner
        if st.S_ISDIR(os.lstat(inner).st_mode):
            yield from nodes_below(inner)


def file_check(path):
    """Enough to see that bytes differ, and quick: trees are compared after every step."""
    with open(path, "rb") as file:
        return zlib.crc32(file.read())


# What a test sets lies before this moment, in nanoseconds, and everything that happens lies after.
LONG_AGO = 1_200_000_000 * 10**9


def tree(path=""):
    """What a program can see below a directory: one line a node, in order."""
    lines = []
    for inner in nodes_below(at(path)):
        got = os.lstat(inner)
        told = [os.fsdecode(os.path.relpath(inner, at(path))), oct(got.st_mode)]
        if st.S_ISLNK(got.st_mode):
            told.append(os.fsdecode(os.readlink(inner)))
        else:
            told.append(str(got.st_mtime_ns) if got.st_mtime_ns < LONG_AGO else "lately")
            if st.S_ISREG(got.st_mode):
                told += [got.st_size, got.st_nlink, file_check(inner)]
            for key in own_attributes(inner):
                told.append([key, shown(os.getxattr(inner, key))])
        lines.append(told)
    return lines


def inodes(path=""):
    return {
        os.fsdecode(os.path.relpath(inner, at(path))): os.lstat(inner).st_ino
        for inner in nodes_below(at(path))
    }


CALLS = {
    "open": open_file,
    "temporary": temporary,
    "close": close_file,
    "closeall": close_all,
    "read": lambda f, length: shown(os.read(files[f], length)),
    "pread": lambda f, offset, length: shown(os.pread(files[f], length, offset)),
    "hashread": lambda f, offset, length: hashlib.sha256(
        os.pread(files[f], length, offset)
    ).hexdigest(),
    "write": lambda f, given: os.write(files[f], data(given)),
    "pwrite": lambda f, offset, given: os.pwrite(files[f], data(given), offset),
    "truncate": lambda path, size: os.truncate(at(path), size),
    "ftruncate": lambda f, size: os.ftruncate(files[f], size),
    "fallocate": fallocate,
    "seek": lambda f, offset, whence: os.lseek(files[f], offset, getattr(os, whence)),
    "copyrange": lambda a, a_at, b, b_at, n: os.copy_file_range(files[a], files[b], n, a_at, b_at),
    "fsync": lambda f: os.fsync(files[f]),
    "fdatasync": lambda f: os.fdatasync(files[f]),
    "rename": rename,
    "link": lambda old, new: os.link(at(old), at(new), follow_symlinks=False),
    "linkopen": link_open,
    "symlink": lambda target, path: os.symlink(target, at(path)),
    "readlink": lambda path: os.fsdecode(os.readlink(at(path))),
    "unlink": lambda path: os.unlink(at(path)),
    "mkdir": lambda path, mode=0o755: os.mkdir(at(path), mode),
    "rmdir": lambda path: os.rmdir(at(path)),
    "mknod": lambda path, mode, device=0: os.mknod(at(path), mode, device),
    "chmod": lambda path, mode: os.chmod(at(path), mode),
    "fchmod": lambda f, mode: os.fchmod(files[f], mode),
    "chown": lambda path, uid, gid: os.lchown(at(path), uid, gid),
    "utimes": lambda path, atime, mtime: os.utime(
        at(path), ns=(int(atime), int(mtime)), follow_symlinks=False
    ),
    "setxattr": lambda path, key, value, flags=0: os.setxattr(at(path), key, data(value), flags),
    "setfilexattr": set_file_attribute,
    "getxattr": lambda path, key: shown(os.getxattr(at(path), key)),
    "listxattr": lambda path: own_attributes(at(path)),
    "removexattr": lambda path, key: os.removexattr(at(path), key),
    "stat": lambda path: attributes(os.stat(at(path))),
    "lstat": lambda path: attributes(os.lstat(at(path))),
    "fstat": lambda f: attributes(os.fstat(files[f])),
    "size": lambda path: (lambda got: [oct(got.st_mode), 0 if st.S_ISDIR(got.st_mode) else got.st_size])(
        os.lstat(at(path))
    ),
    "access": lambda path, mode: os.access(at(path), mode),
    "list": listing,
    "listinodes": listing_inodes,
    "hash": lambda path: file_hash(at(path)),
    "tree": tree,
    "inodes": inodes,
    "mapchange": map_change,
    "copyall": copy_all,
    "copyfile": copy_file,
    "flock": flock,
    "lock": record_lock,
    "lockholder": lock_holder,
    "map": map_file,
    "mapwrite": map_write,
    "mapread": lambda m, offset, length: shown(maps[m][offset : offset + length]),
    "mapsync": lambda m: maps[m].flush(),
    "unmap": lambda m: maps.pop(m).close(),
    "umask": lambda mask: os.umask(mask),
    "become": lambda uid, gid: (os.setgroups([]), os.setgid(gid), os.setuid(uid)) and None,
    "statfs": lambda: {
        "bytes": os.statvfs(ROOT).f_frsize * os.statvfs(ROOT).f_blocks,
        "free": os.statvfs(ROOT).f_frsize * os.statvfs(ROOT).f_bavail,
    },
}


def answer(line):
    name, *args = json.loads(line)
    call = CALLS[name]
    try:
        return {"ok": call(*args)}
    except KeyError:
        return {"errno": "EBADF"}  # No open file of that name.
    except ValueError as error:
        return {"errno": f"ValueError: {error}"}  # Python's own refusal, as of a map of 0 bytes.
    except OSError as error:
        return {"errno": errno.errorcode.get(error.errno, str(error.errno))}


for line in sys.stdin:
    print(json.dumps(answer(line)), flush=True)
