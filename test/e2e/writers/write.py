"""Changes files with the libraries that their users have: write.py WHAT FOLDER

FOLDER holds what make_samples.py made. What was written is read again from new handles and printed
as one line of JSON, which must be the same wherever FOLDER is.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

RNG = np.random.default_rng(1206)
RUN = "raw/2025-06-14/run-8421"


def digest(data):
    return hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()[:16]


def geopackage(folder):
    import fiona

    path = folder / "labels" / "boxes.gpkg"
    path.parent.mkdir(exist_ok=True)
    schema = {"geometry": "Point", "properties": {"frame": "int", "label": "str"}}

    def points(start, count):
        for n in range(start, start + count):
            yield {
                "geometry": {"type": "Point", "coordinates": (n * 0.5, -n)},
                "properties": {"frame": n, "label": "car" if n % 3 else "glare"},
            }

    with fiona.open(path, "w", driver="GPKG", schema=schema, crs="EPSG:4326", layer="boxes") as out:
        out.writerecords(points(0, 2000))
    with fiona.open(path, "a", driver="GPKG", layer="boxes") as out:
        out.writerecords(points(2000, 500))
    with fiona.open(path, layer="boxes") as got:
        frames = [(f.properties["frame"], f.geometry.coordinates[0]) for f in got]
    return [len(frames), sum(n for n, _ in frames), sum(x for _, x in frames)]


def hdf5(folder):
    import h5py

    path = folder / "plant" / "bearing-7.h5"
    with h5py.File(path, "r+") as file:
        series = file["bearing/vibration"]
        series[1000:2000] = np.arange(1000, dtype=np.float32)
        file["bearing"].attrs["reviewed_by"] = "Dana"
    with h5py.File(folder / "plant" / "growing.h5", "w") as file:
        file.create_dataset("x", shape=(0,), maxshape=(None,), chunks=(4096,), dtype="f8")
    for part in range(5):
        with h5py.File(folder / "plant" / "growing.h5", "a") as file:
            x = file["x"]
            x.resize((x.shape[0] + 10_000,))
            x[-10_000:] = part + np.arange(10_000)
            file.flush()
    with h5py.File(path) as file, h5py.File(folder / "plant" / "growing.h5") as grown:
        return [digest(file["bearing/vibration"][:]), digest(grown["x"][:])]


def zarr(folder):
    import zarr

    group = zarr.open_group(folder / "features" / "frames.zarr", mode="w")
    array = group.create_array("rgb", shape=(64, 64, 30), chunks=(32, 32, 10), dtype="u2")
    array[:] = RNG.integers(0, 65_535, (64, 64, 30), dtype="u2")
    array[10:40, 5:50, 3] = 7
    array.attrs["camera"] = "front"
    again = zarr.open_group(folder / "features" / "frames.zarr", mode="r")["rgb"]
    return [digest(again[:]), dict(again.attrs)]


def lance(folder):
    import lancedb

    database = lancedb.connect(folder / "features" / "vectors")
    rows = [{"frame": n, "vector": [float(n), 1.0], "label": "car"} for n in range(500)]
    table = database.create_table("frames", rows)
    table.add([{"frame": n, "vector": [float(n), 2.0], "label": "truck"} for n in range(500, 700)])
    table.delete("frame < 50")
    table.update(where="frame = 60", values={"label": "glare"})
    again = lancedb.connect(folder / "features" / "vectors").open_table("frames")
    # A copy by hard links: how versions are taken aside.
    subprocess.run(["cp", "-al", folder / "features/vectors", folder / "features/aside"], check=True)
    aside = lancedb.connect(folder / "features" / "aside").open_table("frames")
    found = again.search([60.0, 1.0]).limit(1).to_list()
    return [again.count_rows(), found[0]["label"], aside.count_rows(), again.version]


def duck(folder):
    import duckdb

    path = str(folder / "labels" / "labels.duckdb")
    Path(path).parent.mkdir(exist_ok=True)
    with duckdb.connect(path) as db:
        db.execute("CREATE TABLE labels AS SELECT i AS frame, i % 7 = 0 AS glare FROM range(200000) t(i)")
        db.execute("UPDATE labels SET glare = true WHERE frame BETWEEN 100 AND 200")
    with duckdb.connect(path) as db:
        db.execute("DELETE FROM labels WHERE frame < 50")
        db.execute("CHECKPOINT")
        db.execute("INSERT INTO labels VALUES (-1, false)")
    # Killed with what is committed only in its log.
    killed = f"import duckdb,os;db=duckdb.connect({path!r});db.execute('PRAGMA disable_checkpoint_on_shutdown');"
    killed += "db.execute('INSERT INTO labels VALUES (-2, true)');os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", killed])
    with duckdb.connect(path, read_only=False) as db:
        return db.execute("SELECT count(*), sum(frame), sum(glare::int) FROM labels").fetchone()


def sqlite(folder):
    import sqlite3

    told = []
    (folder / "labels").mkdir(exist_ok=True)
    for mode in ("delete", "wal"):
        path = folder / "labels" / f"{mode}.db"
        db = sqlite3.connect(path, isolation_level=None)
        told.append(db.execute(f"PRAGMA journal_mode={mode}").fetchone())
        db.execute("CREATE TABLE boxes (frame INTEGER, label TEXT)")
        other = sqlite3.connect(path, isolation_level=None)
        for n in range(200):
            db.execute("INSERT INTO boxes VALUES (?, ?)", (n, "car"))
            if n % 50 == 0:
                told.append(other.execute("SELECT count(*) FROM boxes").fetchone())
        db.execute("BEGIN")
        db.execute("DELETE FROM boxes")
        told.append(other.execute("SELECT count(*) FROM boxes").fetchone())
        db.execute("ROLLBACK")
        db.execute("VACUUM")
        told.append(other.execute("PRAGMA integrity_check").fetchone())
        other.close()
        db.close()
        told.append(sorted(p.name for p in path.parent.glob(f"{mode}.db*")))
    return told


def memmap(folder):
    path = folder / "features" / "embedding.npy"
    array = np.load(path, mmap_mode="r+")
    array[100:200] = 0.25
    array[-1, -1] = 42
    array.flush()
    del array
    new = np.lib.format.open_memmap(folder / "features" / "new.npy", "w+", np.float32, (500, 700))
    new[:] = np.arange(500 * 700).reshape(500, 700)
    new.flush()
    del new
    return [digest(np.load(path)), digest(np.load(folder / "features" / "new.npy"))]


def las(folder):
    import laspy

    path = folder / RUN / "sweep.las"
    with laspy.open(path, mode="a") as file:
        more = laspy.ScaleAwarePointRecord.zeros(1000, header=file.header)
        more.x, more.y, more.z = (RNG.uniform(-1, 1, 1000) for _ in range(3))
        file.append_points(more)
    got = laspy.read(path)
    return [len(got.points), digest(got.x), got.header.maxs.tolist()]


def bag(folder):
    """Records a bag, loses its index as a crash does, and lets rosbag patch the header again."""
    from rosbags.rosbag1 import Reader

    path = folder / RUN / "recorded.bag"
    recorder = Path(__file__).with_name("record_bag.py")
    subprocess.run(["/usr/bin/python3", recorder, path], check=True)
    with path.open("r+b") as file:
        head = file.read(4096)
        at = head.index(b"index_pos=") + len("index_pos=")
        index = int.from_bytes(head[at : at + 8], "little")
        file.seek(at)
        file.write(bytes(8))
        file.truncate(index)
    subprocess.run(["rosbag", "reindex", path], check=True, stdout=subprocess.DEVNULL)
    with Reader(path) as got:
        stamps = [stamp for _, stamp, _ in got.messages()]
    kept = path.with_name("recorded.orig.bag").stat().st_size
    return [len(stamps), stamps[-1], kept == index]


def editors(folder):
    notes = folder / "frames" / "000007.txt"
    subprocess.run(["vi", "-u", "NONE", "-es", "-c", "%s/glare=True/glare=no/", "-c", "wq", notes], check=True)
    backups = ["-c", "set backup writebackup backupcopy=no backupext=~ backupdir=."]
    subprocess.run(["vi", "-u", "NONE", "-es", *backups, "-c", "%s/frame/checked frame/", "-c", "wq", notes], check=True, cwd=notes.parent)
    subprocess.run(["sed", "-i.bak", "s/frame/Frame/", notes], check=True)
    left = sorted(p.name for p in notes.parent.glob("*000007*"))
    temporary = folder / "frames" / ".000008.txt.tmp"
    with open(temporary, "w") as file:
        file.write("frame 8 relabelled\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / "frames" / "000008.txt")
    return [notes.read_text(), left, (folder / "frames" / "000008.txt").read_text()]


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]))))
