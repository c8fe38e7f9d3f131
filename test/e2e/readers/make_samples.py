"""Writes genuine files of the formats that recorded moments come in: make_samples.py FOLDER

Each is written by the library that its users write it with. The logs are longer than one block of
tarn's (1 MiB), the others are small, so that both layouts of stored bytes are read.
"""

import subprocess
import sys
from pathlib import Path

import h5py
import laspy
import numpy as np
import pydicom
from mcap.writer import Writer as McapWriter
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from rosbags.rosbag1 import Writer as Bag1Writer
from rosbags.typesys import Stores, get_typestore

RNG = np.random.default_rng(8421)
START_NS = 1_749_922_200_000_000_000


def write_mcap(path: Path) -> None:
    with path.open("wb") as stream:
        writer = McapWriter(stream, chunk_size=256 * 1024)
        writer.start()
        schema = writer.register_schema("lidar/Packet", "jsonschema", b'{"type":"object"}')
        channel = writer.register_channel("/lidar/packets", "application/octet-stream", schema)
        for number in range(600):
            stamp = START_NS + number * 1_000_000
            writer.add_message(channel, stamp, RNG.bytes(8_000), stamp, number)
        writer.finish()


def write_bag1(path: Path) -> None:
    types = get_typestore(Stores.ROS1_NOETIC)
    message = types.types["std_msgs/msg/String"]
    with Bag1Writer(path) as bag:
        connection = bag.add_connection("/operator/notes", message.__msgtype__, typestore=types)
        for number in range(2_000):
            text = message(data=f"note {number} " + RNG.bytes(400).hex())
            stamp = START_NS + number * 10_000_000
            bag.write(connection, stamp, types.serialize_ros1(text, message.__msgtype__))


def write_las(path: Path) -> None:
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales = np.array([0.001, 0.001, 0.001])
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = (RNG.uniform(-40, 40, 50_000) for _ in range(3))
    cloud.intensity = RNG.integers(0, 65_535, 50_000, dtype=np.uint16)
    cloud.write(path)


def write_dicom(path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    scan = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    scan.PatientName, scan.PatientID, scan.Modality = "Phantom^Water", "P-0001", "CT"
    scan.SOPClassUID, scan.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    scan.Rows, scan.Columns = 128, 128
    scan.SamplesPerPixel, scan.PhotometricInterpretation = 1, "MONOCHROME2"
    scan.BitsAllocated = scan.BitsStored = 16
    scan.HighBit, scan.PixelRepresentation = 15, 0
    scan.PixelData = RNG.integers(0, 4_096, (128, 128), dtype=np.uint16).tobytes()
    scan.save_as(path, enforce_file_format=True)


def write_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        series = RNG.normal(size=(300_000,)).astype(np.float32)
        file.create_dataset("bearing/vibration", data=series, chunks=(10_000,), compression="gzip")
        file["bearing"].attrs["controller_firmware"] = "4.2.1"


def write_pcd(path: Path) -> None:
    points = RNG.uniform(-10, 10, (30_000, 3)).astype("<f4")
    header = (
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\n"
        f"TYPE F F F\nCOUNT 1 1 1\nWIDTH {len(points)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n"
        f"POINTS {len(points)}\nDATA binary\n"
    )
    path.write_bytes(header.encode() + points.tobytes())


def write_video(path: Path) -> None:
    source = "testsrc2=size=320x240:rate=25:duration=4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "mpeg4", "-q:v", "2"]
    subprocess.run([*command, "-fflags", "+bitexact", str(path)], check=True)


def main(folder: Path) -> None:
    writers = {
        "raw/2025-06-14/run-8421/lidar.mcap": write_mcap,
        "raw/2025-06-14/run-8421/notes.bag": write_bag1,
        "raw/2025-06-14/run-8421/sweep.las": write_las,
        "raw/2025-06-14/run-8421/cloud.pcd": write_pcd,
        "raw/2025-06-14/run-8421/front.mp4": write_video,
        "study/series-1/slice-0001.dcm": write_dicom,
        "plant/bearing-7.h5": write_hdf5,
        "features/embedding.npy": lambda path: np.save(path, RNG.normal(size=(4_096, 96))),
    }
    for name, write in writers.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    frames = folder / "frames"
    frames.mkdir()
    for number in range(300):
        (frames / f"{number:06d}.txt").write_text(f"frame {number} glare={number % 7 == 0}\n")
    (folder / "frames" / "latest.txt").symlink_to("000299.txt")
    (folder / "replay.sh").write_text("#!/bin/sh\necho replaying\n")
    (folder / "replay.sh").chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
