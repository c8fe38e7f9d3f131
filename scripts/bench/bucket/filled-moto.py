"""filled-moto PORT BUCKET COUNT: moto on the loopback address, with a bucket of COUNT small objects.

A thousand of them lie below each `raw/run-0000/`. They are put into moto's own tables, because a
million requests would take an hour.
"""

import sys

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeKey, s3_backends
from moto.server import main

GROUP = 1000
REGION = "us-east-1"


def fill(name: str, count: int) -> None:
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    bucket = backend.create_bucket(name, REGION)
    for i in range(count):
        key = f"raw/run-{i // GROUP:04d}/front/{i % GROUP:06d}.jpg"
        bucket.keys[key] = FakeKey(
            name=key,
            value=b"jpeg",
            account_id=DEFAULT_ACCOUNT_ID,
            region_name=REGION,
            etag=f"{i:032x}",
            bucket_name=name,
        )


port, name, count = sys.argv[1:]
fill(name, int(count))
main(["-H", "127.0.0.1", "-p", port])
