"""Owns: buckets at the S3 server of the tests, signed by hand: one request needs no client library.
Must not know: what is kept in them."""

import base64
import datetime
import hashlib
import hmac
import os
import re
import uuid

import requests


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def send(method, bucket, query="", body=b""):
    """One signed request about a bucket; answers what comes back. query: one name, without a value."""
    host = os.environ["FILEPROC_TEST_S3_ENDPOINT"]
    now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    digest, scope = hashlib.sha256(body).hexdigest(), f"{now[:8]}/us-east-1/s3/aws4_request"
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = (f"{method}\n/{bucket}\n{query and query + '='}\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{now}\n\n"
                 f"{names}\n{digest}")
    key = ("AWS4" + os.environ["FILEPROC_TEST_S3_SECRET_KEY"]).encode()
    for part in scope.split("/"):
        key = sign(key, part)
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    credential = f"{os.environ['FILEPROC_TEST_S3_ACCESS_KEY']}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={sign(key, text).hex()}"
    reply = requests.request(method, f"http://{host}/{bucket}{query and '?' + query}", data=body, timeout=30, headers={
        "x-amz-content-sha256": digest, "x-amz-date": now, "Authorization": authorization,
        "Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()})
    assert reply.status_code == 200, reply.text
    return reply.text


def make(name):
    """A new bucket; answers its name."""
    bucket = f"{name}-{uuid.uuid4().hex[:12]}"
    send("PUT", bucket)
    return bucket


def uploads(bucket):
    """The ids of the multipart uploads in it that are under way."""
    return re.findall("<UploadId>([^<]+)</UploadId>", send("GET", bucket, "uploads"))
