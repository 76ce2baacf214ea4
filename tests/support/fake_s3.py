#!/usr/bin/python3
"""Owns: a small S3 server in memory that goes wrong on demand.
Must not know: which test asks. It checks no signatures: a real server does that in other tests.

usage: fake_s3.py [BYTES]      prints its port, serves until its standard input ends; parts but the last have BYTES (5 MiB) at least
A request PUT /_fault with a JSON body {"kind", "method", "match", "count", ...} makes the next `count` requests of this method whose target
contains `match` go wrong. Kinds:
  status    answer `status` with the error code `code` and the header lines `headers`; nothing is done
  late      do it, but answer with `status` all the same: the answer of a success was lost
  drop      do it, and close the connection without an answer
  refuse    close the connection without reading the body or doing anything
  cut       send only half of the answer's body, then close
  inside    answer 200 with an <Error> of code `code`; nothing is done
  blanks    send blanks for a while before the answer's XML
  xml       answer 200 with `body`
  etag      do it, but answer with another ETag
  slow      wait `seconds` in the middle of the answer
  ignore    the header `header` is ignored
GET /_log answers the requests so far as JSON; DELETE /_log forgets them and all faults."""
import datetime
import hashlib
import http.server
import json
import re
import socket
import sys
import threading
import time
import urllib.parse
import xml.sax.saxutils as saxutils


PART_MIN = int(sys.argv[1]) if len(sys.argv) > 1 else 5 << 20


class State:
    def __init__(self):
        self.lock = threading.RLock()
        self.objects = {}  # key: (bytes, etag, meta, time)
        self.uploads = {}  # id: (key, meta, parts, time)
        self.faults = []
        self.log = []
        self.counter = 0


state = State()


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def iso(t):
    return t.strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Refused(Exception):
    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart, and the client's acknowledgement would be waited for

    def log_message(self, *arguments):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, socket.timeout):
            self.close_connection = True

    def take_fault(self):
        with state.lock:
            for fault in state.faults:
                if fault["method"] == self.command and fault["match"] in self.path and fault["count"] > 0:
                    fault["count"] -= 1
                    return fault
        return {"kind": None}

    def answer(self, status, body=b"", headers=()):
        fault = self.fault
        if fault["kind"] == "late":
            status, body, headers = fault["status"], b"", ()
        if fault["kind"] == "blanks" and body:
            body = b"   \n" * 50 + body
        self.send_response(status)
        for name, value in headers:
            if name == "ETag" and fault["kind"] == "etag":
                value = '"00000000000000000000000000000000"'
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(body) // 2
        if fault["kind"] in ("cut", "slow"):
            self.wfile.write(body[:half])
            self.wfile.flush()
            if fault["kind"] == "cut":
                self.hang_up()
                return
            time.sleep(fault["seconds"])
            self.wfile.write(body[half:])
        else:
            self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def refuse(self, status, code, headers=()):
        body = "" if self.command == "HEAD" else f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>secret</Message></Error>"
        self.answer(status, body.encode(), headers)

    def handle_any(self):
        if self.path.startswith("/_"):
            return self.handle_control()
        self.fault = self.take_fault()
        with state.lock:
            state.log.append(f"{self.command} {self.path}")
        kind = self.fault["kind"]
        if kind == "refuse":
            return self.hang_up()
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if kind == "status":
            headers = [tuple(h) for h in self.fault.get("headers", [])]
            return self.refuse(self.fault["status"], self.fault.get("code", ""), headers)
        if kind == "inside":
            return self.answer(200, f"\n\n<?xml version='1.0'?><Error><Code>{self.fault['code']}</Code></Error>".strip().encode())
        if kind == "xml":
            return self.answer(200, self.fault["body"].encode())
        if kind == "ignore":
            del self.headers[self.fault["header"]]
        if self.headers.get("x-amz-content-sha256") not in (hashlib.sha256(self.body).hexdigest(), "UNSIGNED-PAYLOAD"):
            return self.refuse(400, "XAmzContentSHA256Mismatch")
        if kind == "drop":
            self.answer_now, self.answer = self.answer, lambda *a, **k: None
        try:
            with state.lock:
                self.serve()
        except Refused as refused:
            self.refuse(refused.status, refused.code)
        if kind == "drop":
            self.answer = self.answer_now
            self.hang_up()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def handle_control(self):
        self.fault = {"kind": None}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with state.lock:
            if self.path == "/_fault":
                state.faults.append({"count": 1, "match": "", "method": "PUT", **json.loads(body)})
            elif self.command == "DELETE":
                state.log.clear()
                state.faults.clear()
        self.answer(200, json.dumps(state.log).encode())

    def serve(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        _, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
        name = {"GET": "get", "HEAD": "get", "PUT": "put", "POST": "post", "DELETE": "delete"}[self.command]
        getattr(self, ("object_" if key else "bucket_") + name)(key, query)

    def meta(self):
        return {k.lower(): v for k, v in self.headers.items() if k.lower().startswith("x-amz-meta-")}

    def check_condition(self, key):
        if self.headers.get("If-None-Match") == "*" and key in state.objects:
            raise Refused(412, "PreconditionFailed")

    def store(self, key, data, etag, meta):
        state.objects[key] = (data, f'"{etag}"', meta, now())

    def upload(self, query):
        try:
            return state.uploads[query["uploadId"]]
        except KeyError:
            raise Refused(404, "NoSuchUpload") from None

    def object_put(self, key, query):
        etag = hashlib.md5(self.body).hexdigest()
        if "partNumber" in query:
            source = self.headers.get("x-amz-copy-source")
            data = self.body
            if source:
                data = state.objects[urllib.parse.unquote(source).lstrip("/").partition("/")[2]][0]
                etag = hashlib.md5(data).hexdigest()
            self.upload(query)[2][int(query["partNumber"])] = (data, etag)
            if source:
                return self.answer(200, f'<CopyPartResult><ETag>"{etag}"</ETag></CopyPartResult>'.encode())
        else:
            self.check_condition(key)
            self.store(key, self.body, etag, self.meta())
        return self.answer(200, headers=[("ETag", f'"{etag}"')])

    def object_get(self, key, query):
        if "uploadId" in query:
            parts = sorted(self.upload(query)[2].items())
            text = "".join(f'<Part><PartNumber>{n}</PartNumber><ETag>"{e}"</ETag><Size>{len(d)}</Size></Part>' for n, (d, e) in parts)
            return self.answer(200, f"<ListPartsResult><IsTruncated>false</IsTruncated>{text}</ListPartsResult>".encode())
        if key not in state.objects:
            raise Refused(404, "NoSuchKey")
        data, etag, meta, made = state.objects[key]
        headers = [("ETag", etag), ("Last-Modified", made.strftime("%a, %d %b %Y %H:%M:%S GMT")), *meta.items()]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and self.command == "GET":
            first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
            if first >= len(data):
                raise Refused(416, "InvalidRange")
            return self.answer(206, data[first:last + 1], [*headers, ("Content-Range", f"bytes {first}-{last}/{len(data)}")])
        return self.answer(200, data, [*headers, ("Content-Length", str(len(data)))])

    def object_post(self, key, query):
        if "uploads" in query:
            state.counter += 1
            upload = f"upload/{state.counter}+x"
            state.uploads[upload] = (key, self.meta(), {}, now())
            return self.answer(200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>".encode())
        _, meta, parts, _ = self.upload(query)
        self.check_condition(key)
        data, last = b"", 0
        wanted = re.findall(rb"<PartNumber>(\d+)</PartNumber><ETag>&quot;(\w+)&quot;", self.body)
        for place, (number, etag) in enumerate(wanted):
            part = parts.get(int(number))
            if not part or part[1] != etag.decode():
                raise Refused(400, "InvalidPart")
            if int(number) <= last:
                raise Refused(400, "InvalidPartOrder")
            if len(part[0]) < PART_MIN and place + 1 < len(wanted):
                raise Refused(400, "EntityTooSmall")
            last = int(number)
            data += part[0]
        self.store(key, data, hashlib.md5(data).hexdigest() + f"-{len(wanted)}", meta)
        del state.uploads[query["uploadId"]]
        return self.answer(200, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def object_delete(self, key, query):
        if "uploadId" in query:
            self.upload(query)
            del state.uploads[query["uploadId"]]
        else:
            state.objects.pop(key, None)
        self.answer(204)

    def bucket_get(self, _key, query):
        prefix, after = query.get("prefix", ""), query.get("start-after", "")
        if "uploads" in query:
            text = "".join(f"<Upload><Key>{k}</Key><UploadId>{u}</UploadId><Initiated>{iso(t)}</Initiated></Upload>"
                           for u, (k, _, _, t) in state.uploads.items() if k.startswith(prefix))
            return self.answer(200, f"<ListMultipartUploadsResult>{text}</ListMultipartUploadsResult>".encode())
        page = int(query.get("max-keys", 1000))
        found = sorted(k for k in state.objects if k.startswith(prefix) and k > after)
        text = "".join(f"<Contents><Key>{urllib.parse.quote(k)}</Key><Size>{len(state.objects[k][0])}</Size><ETag>"
                       f"{saxutils.escape(state.objects[k][1])}</ETag><LastModified>{iso(state.objects[k][3])}</LastModified></Contents>"
                       for k in found[:page])
        more = str(len(found) > page).lower()
        self.answer(200, f"<?xml version='1.0'?><ListBucketResult><IsTruncated>{more}</IsTruncated>{text}</ListBucketResult>".encode())

    def bucket_post(self, _key, _query):
        for key in re.findall(rb"<Key>([^<]*)</Key>", self.body):
            state.objects.pop(key.decode(), None)
        self.answer(200, b"<DeleteResult></DeleteResult>")

    def bucket_put(self, _key, _query):
        self.answer(200)

    def bucket_delete(self, _key, _query):
        state.objects.clear()
        self.answer(204)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


def main():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


main()
