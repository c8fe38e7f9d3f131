"""Several processes write one SQLite database while some of them are killed.

    sqlite_torture.py DATABASE SCRATCH JOURNAL_MODE SYNCHRONOUS ROUNDS

Each writer logs in SCRATCH what was committed before it goes on. At the end the database is whole,
holds everything that was logged, and the sums of the transfers between accounts agree.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

ACCOUNTS = 20


def connect(path, mode, synchronous):
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    db.execute("PRAGMA busy_timeout=60000")
    db.execute(f"PRAGMA journal_mode={mode}")
    db.execute(f"PRAGMA synchronous={synchronous}")
    return db


def write(path, log_path, mode, synchronous, seed):
    chance = random.Random(seed)
    db = connect(path, mode, synchronous)
    log = open(log_path, "a", buffering=1)
    number = 0
    while True:
        number += 1
        db.execute("BEGIN IMMEDIATE")
        label = f"{seed}-{number}"
        db.execute("INSERT INTO labels VALUES (?, ?)", (label, chance.randbytes(chance.randrange(3000))))
        a, b = chance.sample(range(ACCOUNTS), 2)
        db.execute("UPDATE accounts SET sum = sum - 1 WHERE id = ?", (a,))
        db.execute("UPDATE accounts SET sum = sum + 1 WHERE id = ?", (b,))
        if chance.random() < 0.1:
            db.execute("ROLLBACK")
            continue
        db.execute("COMMIT")
        log.write(label + "\n")
        # SQLite's lock is not fair: without a pause one writer keeps the others out.
        time.sleep(0.002)


def torture(path, scratch, mode, synchronous, rounds):
    db = connect(path, mode, synchronous)
    db.execute("CREATE TABLE labels (name TEXT PRIMARY KEY, body BLOB)")
    db.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, sum INTEGER)")
    db.executemany("INSERT INTO accounts VALUES (?, 0)", [(i,) for i in range(ACCOUNTS)])
    logs = []
    for turn in range(rounds):
        writers = []
        for which in range(3):
            log = os.path.join(scratch, f"{os.path.basename(path)}-{turn}-{which}.log")
            logs.append(log)
            seed = turn * 10 + which
            args = [sys.executable, __file__, "write", path, log, mode, synchronous, str(seed)]
            writers.append(subprocess.Popen(args))
        # Killed while they write: once each has committed something, at a moment of chance.
        deadline = time.monotonic() + 60
        while not all(os.path.exists(log) and os.path.getsize(log) > 0 for log in logs[-3:]):
            if time.monotonic() > deadline:
                sys.exit(f"a writer committed nothing within a minute in round {turn}")
            time.sleep(0.01)
        for writer in writers:
            time.sleep(random.Random(turn).random() * 0.1)
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        check(path, mode, synchronous, logs)
    db.close()
    check(path, mode, synchronous, logs)


def check(path, mode, synchronous, logs):
    db = connect(path, mode, synchronous)
    told = db.execute("PRAGMA integrity_check").fetchall()
    if told != [("ok",)]:
        sys.exit(f"the database is damaged: {told[:3]}")
    (total,) = db.execute("SELECT sum(sum) FROM accounts").fetchone()
    if total != 0:
        sys.exit(f"half of a transaction is there: the sums make {total}")
    there = {name for (name,) in db.execute("SELECT name FROM labels")}
    for log in logs:
        with open(log) as lines:
            acknowledged = [line.strip() for line in lines if line.endswith("\n")]
        lost = [name for name in acknowledged if name not in there]
        if lost:
            sys.exit(f"{len(lost)} committed rows are gone, the first is {lost[0]}")
    db.close()


if sys.argv[1] == "write":
    write(*sys.argv[2:6], int(sys.argv[6]))
else:
    torture(*sys.argv[1:5], int(sys.argv[5]))
