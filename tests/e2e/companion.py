"""Owns: an upload whose parts go straight to the S3 server, as a client of Uppy's Companion sends it.
Must not know: what is tested."""

import requests

from api import ask

PART = 5 << 20


class Upload:
    """One, as a client of Companion sees it."""

    def __init__(self, daemon, **members):
        self.daemon = daemon
        reply = ask(daemon, "POST", "/s3/multipart", json={"filename": "file.zip", "type": "application/zip", **members})
        assert reply.status_code == 200, reply.text
        begun = reply.json()
        self.key, self.id = begun["key"], begun["uploadId"]
        assert set(begun) == {"key", "uploadId", "bucket", "partSize"}
        self.part_size = begun["partSize"]

    def ask(self, method, tail="", key=None, **arguments):
        parameters = {"key": self.key if key is None else key, **arguments.pop("params", {})}
        return ask(self.daemon, method, f"/s3/multipart/{self.id}{tail}", params=parameters, **arguments)

    def url(self, number):
        reply = self.ask("GET", f"/{number}")
        assert reply.status_code == 200 and reply.headers["Cache-Control"] == "no-store", reply.text
        assert reply.json()["expires"] == 3600
        return reply.json()["url"]

    def put(self, number, data, url=None):
        reply = requests.put(url or self.url(number), data=data, timeout=60)
        assert reply.status_code == 200, reply.text
        return {"PartNumber": number, "ETag": reply.headers["ETag"]}

    def send(self, data):
        return [self.put(i + 1, data[i * PART:(i + 1) * PART]) for i in range((len(data) + PART - 1) // PART)]

    def try_complete(self, parts):
        return self.ask("POST", "/complete", json={"parts": parts})

    def complete(self, parts):
        reply = self.try_complete(parts)
        assert reply.status_code == 200, reply.text
        return reply.json()
