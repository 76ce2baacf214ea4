"""Owns: buckets at the S3 server of the tests, signed by hand: one request needs no client library.
Must not know: what is kept in them."""

import datetime
import hashlib
import hmac
import os
import uuid

import requests


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def make(name):
    """A new bucket; answers its name."""
    host, bucket = os.environ["FILEPROC_TEST_S3_ENDPOINT"], f"{name}-{uuid.uuid4().hex[:12]}"
    now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    empty, scope = hashlib.sha256(b"").hexdigest(), f"{now[:8]}/us-east-1/s3/aws4_request"
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = f"PUT\n/{bucket}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{now}\n\n{names}\n{empty}"
    key = ("AWS4" + os.environ["FILEPROC_TEST_S3_SECRET_KEY"]).encode()
    for part in scope.split("/"):
        key = sign(key, part)
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    credential = f"{os.environ['FILEPROC_TEST_S3_ACCESS_KEY']}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={sign(key, text).hex()}"
    reply = requests.put(f"http://{host}/{bucket}", timeout=30, headers={
        "x-amz-content-sha256": empty, "x-amz-date": now, "Authorization": authorization})
    assert reply.status_code == 200, reply.text
    return bucket
