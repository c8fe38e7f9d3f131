"""Reads what make_samples.py wrote and prints what each reader saw, as JSON: read_samples.py FOLDER

Only what the readers return is printed, never a path, so that the output for two folders can be
compared as it stands.
"""

import hashlib
import json
import mmap
import sys
from pathlib import Path

import h5py
import laspy
import numpy as np
import pydicom
from mcap.reader import make_reader
from rosbags.rosbag1 import Reader as Bag1Reader
from rosbags.typesys import Stores, get_typestore


def digest(parts) -> str:
    state = hashlib.md5()
    for part in parts:
        state.update(part)
    return state.hexdigest()


def read_mcap(path: Path) -> dict:
    with path.open("rb") as stream:
        reader = make_reader(stream)
        every = [(m.log_time, m.sequence, m.data) for _, _, m in reader.iter_messages()]
        middle = list(
            reader.iter_messages(start_time=every[200][0], end_time=every[220][0], reverse=True)
        )
    return {
        "messages": len(every),
        "digest": digest(f"{t}:{s}:".encode() + d for t, s, d in every),
        "window": [m.sequence for _, _, m in middle],
    }


def read_bag1(path: Path) -> dict:
    types = get_typestore(Stores.ROS1_NOETIC)
    with Bag1Reader(path) as bag:
        texts = [
            f"{stamp}:{types.deserialize_ros1(raw, connection.msgtype).data}".encode()
            for connection, stamp, raw in bag.messages()
        ]
    return {"messages": len(texts), "digest": digest(texts)}


def read_las(path: Path) -> dict:
    cloud = laspy.read(path)
    return {"points": len(cloud.points), "digest": digest([cloud.points.array.tobytes()])}


def read_dicom(path: Path) -> dict:
    scan = pydicom.dcmread(path)
    return {"patient": str(scan.PatientName), "sum": int(scan.pixel_array.sum())}


def read_hdf5(path: Path) -> dict:
    with h5py.File(path, "r") as file:
        series = file["bearing/vibration"]
        part = series[123_456:123_556]
        return {
            "firmware": file["bearing"].attrs["controller_firmware"],
            "digest": digest([series[:].tobytes(), part.tobytes()]),
        }


def read_mapped(path: Path) -> dict:
    array = np.load(path, mmap_mode="r")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        tail = bytes(whole[-4_096:])
    return {"shape": array.shape, "digest": digest([array[::-1].tobytes(), tail])}


def main(folder: Path) -> None:
    run = folder / "raw/2025-06-14/run-8421"
    seen = {
        "mcap": read_mcap(run / "lidar.mcap"),
        "rosbag1": read_bag1(run / "notes.bag"),
        "las": read_las(run / "sweep.las"),
        "dicom": read_dicom(folder / "study/series-1/slice-0001.dcm"),
        "hdf5": read_hdf5(folder / "plant/bearing-7.h5"),
        "numpy": read_mapped(folder / "features/embedding.npy"),
    }
    print(json.dumps(seen, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
