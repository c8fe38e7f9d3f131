"""Writes until it is killed, and says each time what the file system has acknowledged.

    crash.py write DIRECTORY LOG SEED     appends to LOG, prints a line for each acknowledgement
    crash.py check DIRECTORY LOG          says what was acknowledged in LOG and is not in DIRECTORY

Every step stands in LOG before it is begun and again when it is done. What was done must be there;
what was begun last may be there, or not, or in part. LOG lies on another file system.
"""

import json
import os
import random
import sys

PAGE = 4096
PAGES = 400


def body(seed, length):
    return random.Random(seed).randbytes(length)


def page(seed):
    return body(seed, PAGE)


def synced(path, data, flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
    fd = os.open(path, flags, 0o644)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def copied(source, path, data, at):
    """As cp does, and then a page of the copy is changed."""
    with open(source, "rb") as old, open(path, "xb", buffering=0) as new:
        while os.copy_file_range(old.fileno(), new.fileno(), 1_100_000) > 0:
            pass
        os.pwrite(new.fileno(), data, at * PAGE)
        os.fsync(new.fileno())


def do(directory, step):
    kind, name, seed, length = step
    path = os.path.join(directory, name)
    if kind == "new":
        # Acknowledged by close alone.
        with open(path, "wb", buffering=0) as file:
            file.write(body(seed, length))
    elif kind == "synced":
        synced(path, body(seed, length))
    elif kind == "replace":
        synced(path + ".tmp", body(seed, length))
        os.rename(path + ".tmp", path)
    elif kind == "append":
        synced(path, body(seed, length), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    elif kind == "page":
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.pwrite(fd, page(seed), length * PAGE)
            os.fsync(fd)
        finally:
            os.close(fd)
    elif kind == "copy":
        copied(os.path.join(directory, "frozen.mcap"), path, page(seed), length)
    elif kind == "unlink":
        os.unlink(path)
    elif kind == "move":
        os.rename(path, path + ".moved")
    elif kind == "mkdir":
        os.mkdir(path)


def write(directory, log_path, seed):
    chance = random.Random(seed)
    os.makedirs(directory, exist_ok=True)
    number = 0
    names = []
    with open(log_path, "a", buffering=1) as log:
        while True:
            number += 1
            name = f"{seed}-{number}"
            kind = chance.choice(["new", "synced", "copy", "replace", "append", "page", "mkdir", "unlink", "move"])
            length = chance.choice([0, 10, 5000, 70_000, 1_500_000 if number % 7 == 0 else 300])
            if kind == "replace":
                name = f"labels-{chance.randrange(5)}.json"
            elif kind == "append":
                name = f"events-{seed}.csv"
            elif kind == "page":
                name, length = "log.mcap", chance.randrange(PAGES)
            elif kind == "copy":
                length = chance.randrange(PAGES)
            elif kind in ("unlink", "move"):
                if not names:
                    continue
                name = names.pop(chance.randrange(len(names)))
            step = [kind, name, chance.randrange(1 << 30), length]
            log.write(json.dumps(["begin", *step]) + "\n")
            do(directory, step)
            log.write(json.dumps(["done", *step]) + "\n")
            if kind in ("new", "synced", "copy"):
                names.append(name)
            print(number, flush=True)


def read_log(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def check(directory, log_path):
    """Plays the log on what should be there; names that a step was cut off at may be anything."""
    with open(os.path.join(directory, "frozen.mcap"), "rb") as file:
        frozen = file.read()
    files = {}
    unsure = set()
    pages = {}
    for word, kind, name, seed, length in read_log(log_path):
        touched = {name, name + ".moved", name + ".tmp"}
        if word == "begin":
            # Every begin is unsure until its done follows; then it is what it was, and sure again.
            before = touched & unsure
            unsure |= touched
            if kind == "page":
                pages.pop(length, None)
            continue
        unsure -= touched - before
        if kind in ("new", "synced", "replace"):
            files[name] = body(seed, length)
            unsure.discard(name)
        elif kind == "copy":
            files[name] = frozen[: length * PAGE] + page(seed) + frozen[(length + 1) * PAGE :]
            unsure.discard(name)
        elif kind == "append":
            if name not in unsure:
                files[name] = files.get(name, b"") + body(seed, length)
        elif kind == "page":
            pages[length] = seed
            unsure -= touched
        elif kind == "mkdir":
            files[name] = None
        elif kind == "unlink":
            files[name] = "gone"
        elif kind == "move":
            files[name + ".moved"] = files[name]
            files[name] = "gone"
    wrong = [told for name in files if name not in unsure if (told := look(directory, name, files[name]))]
    for at, seed in pages.items():
        with open(os.path.join(directory, "log.mcap"), "rb") as file:
            file.seek(at * PAGE)
            if file.read(PAGE) != page(seed):
                wrong.append(f"page {at} of log.mcap is not what was synced")
    if wrong:
        sys.exit("\n".join(wrong[:10]))
    print(len(files) + len(pages), "acknowledged things are there")


def look(directory, name, expected):
    path = os.path.join(directory, name)
    if expected == "gone":
        return f"{name} was removed and is there" if os.path.lexists(path) else None
    if expected is None:
        return None if os.path.isdir(path) else f"directory {name} is not there"
    if not os.path.lexists(path):
        return f"{name} is not there"
    with open(path, "rb") as file:
        found = file.read()
    if found != expected:
        return f"{name} holds {len(found)} bytes that are not the {len(expected)} it had"
    return None


if sys.argv[1] == "write":
    write(sys.argv[2], sys.argv[3], int(sys.argv[4]))
else:
    check(sys.argv[2], sys.argv[3])
