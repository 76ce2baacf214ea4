"""Take files in, store them, process them, ask what is known of them: libfileproc from Python.

    import fileproc

    with fileproc.Fileproc("/var/lib/myapp/files") as files:
        photo = files.upload("photo.jpg", mime_type="image/jpeg")
        files.process(photo)
        print(files.file(photo.id)["info"]["image"])
        for derivative in files.derivatives(photo.id):
            files.save(derivative, "/tmp/" + derivative["filename"])

Owns: how Python programs use the library. Must not know: struct layouts; those are in _abi.py.
"""

import ctypes
import json
import os
import pathlib
from collections import namedtuple
from ctypes import byref

from . import _abi

__all__ = ["Fileproc", "Error", "NotFound", "Invalid", "Closed", "Uploaded"]

_lib = _abi.load()


class Error(Exception):
    """A call failed. `reason` is the stable name, such as "type_not_allowed"."""

    def __init__(self, err):
        super().__init__(err.message.decode())
        self.code = err.code
        self.reason = _lib.fp_error_reason(byref(err)).decode()


class NotFound(Error):
    """The thing named does not exist."""


class Invalid(Error):
    """The request itself is wrong."""


class Closed(Invalid, ValueError):
    """close() was called before; a ValueError as with Python's own files."""

    def __init__(self):
        Exception.__init__(self, "this Fileproc is closed")
        self.code, self.reason = -2, "closed"


_CLASSES = {-2: Invalid, -4: NotFound}

#: What upload() answers: ids of the file and of its default job (None when its type has none).
Uploaded = namedtuple("Uploaded", "id job_id sha256")


def _call(function, *arguments):
    err = _abi.Error()
    if function(*arguments, byref(err)) < 0:
        raise _CLASSES.get(err.code, Error)(err)


def _text(value):
    """As C wants it. C would take what stands before a NUL for the whole."""
    text = None if value is None else os.fsencode(value)
    if text and b"\0" in text:
        raise ValueError("text for the library has a NUL in it")
    return text


class Fileproc:
    """An embedded libfileproc over one folder. Use it from one thread; close it, or use it in a `with`."""

    CHUNK_SIZE = 5 * 1024 * 1024
    _HANDLES = ("_ctx", "_storage", "_catalog", "_jobs", "_uploads", "_worker")

    def __init__(self, folder, *, helper=None, allowed_types=None, max_file_size=0, pipelines=None):
        folder = pathlib.Path(folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        self._closed = False
        self._handles = []  # (handle, how to free it), freed in reverse
        try:
            self._open(folder, helper, allowed_types, max_file_size, pipelines)
        except BaseException:
            self.close()
            raise

    def _own(self, opener, free, *arguments):
        handle = ctypes.c_void_p()
        _call(opener, *arguments, byref(handle))
        self._handles.append((handle, free))
        return handle

    def _open(self, folder, helper, allowed_types, max_file_size, pipelines):
        uri = folder.as_uri()  # percent-encoded
        own, lib = self._own, _lib
        self._ctx = own(lib.fp_context_new, lib.fp_context_free, None)
        self._storage = own(lib.fp_storage_open, lib.fp_storage_free, self._ctx, f"{uri}/objects".encode(), None)
        database = own(lib.fp_database_open, lib.fp_database_free, self._ctx,
                       f"{uri.replace('file:', 'sqlite:', 1)}/fileproc.db".encode(), None)
        _call(lib.fp_database_migrate, database)
        queue = own(lib.fp_queue_open, lib.fp_queue_free, self._ctx, b"database:",
                    byref(_abi.QueueOptions(database=database)))
        self._catalog = own(lib.fp_catalog_open, lib.fp_catalog_free, self._ctx, database, self._storage)
        options = _abi.PipelinesOptions(helper_path=_text(helper),
                                        definitions=json.dumps(pipelines).encode() if pipelines else None)
        pipelines = own(lib.fp_pipelines_open, lib.fp_pipelines_free, self._ctx, byref(options))
        options = _abi.JobsOptions(database=database, queue=queue, storage=self._storage, catalog=self._catalog,
                                   pipelines=pipelines)
        self._jobs = own(lib.fp_jobs_open, lib.fp_jobs_free, self._ctx, byref(options))
        options = _abi.UploadsOptions(database=database, storage=self._storage, catalog=self._catalog,
                                      jobs=self._jobs, allowed_types=_text(allowed_types),
                                      max_file_size=max_file_size, chunk_size=self.CHUNK_SIZE)
        self._uploads = own(lib.fp_uploads_open, lib.fp_uploads_free, self._ctx, byref(options))
        self._worker = own(lib.fp_worker_new, lib.fp_worker_free, self._jobs)

    def __getattr__(self, name):
        """Asked for what isn't there: so for the handles that close() dropped. The library must never see one of those."""
        if name in self._HANDLES and self.__dict__.get("_closed"):
            raise Closed
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def close(self):
        """Release everything; what is in the folder stays. Every later call raises Closed; close() itself may be repeated."""
        self._closed = True
        for name in self._HANDLES:
            self.__dict__.pop(name, None)
        while self._handles:
            handle, free = self._handles.pop()
            free(handle)
            handle.value = None  # what is called from now on is refused, instead of using freed memory

    def _check_open(self):
        """For what would otherwise do something before it needs a handle."""
        return self._ctx

    def __enter__(self):
        self._check_open()
        return self

    def __exit__(self, *_):
        self.close()

    def upload(self, path, *, mime_type, owner=None, metadata=None):
        """Store a file durably, with its default job queued."""
        self._check_open()
        path = pathlib.Path(path)
        request = _abi.UploadRequest(filename=_text(path.name), mime_type=_text(mime_type), owner=_text(owner),
                                     metadata=json.dumps(metadata).encode() if metadata else None,
                                     size=path.stat().st_size)
        upload = ctypes.POINTER(_abi.Upload)()
        _call(_lib.fp_upload_create, self._uploads, byref(request), byref(upload))
        try:
            upload_id, chunks = upload.contents.id, upload.contents.total_chunks
        finally:
            _lib.fp_upload_free(upload)
        with path.open("rb") as file:
            for index in range(chunks):
                self._send_chunk(file, upload_id, index)
        done = ctypes.POINTER(_abi.Upload)()
        _call(_lib.fp_upload_complete, self._uploads, upload_id, byref(done))
        try:
            members = (done.contents.file_id, done.contents.job_id, done.contents.sha256)
            return Uploaded(*(member and member.decode() for member in members))
        finally:
            _lib.fp_upload_free(done)

    def _send_chunk(self, file, upload_id, index):
        chunk = ctypes.c_void_p()
        _call(_lib.fp_chunk_begin, self._uploads, upload_id, index, None, byref(chunk))
        try:
            left = _lib.fp_chunk_length(chunk)
            while left:
                data = file.read(min(left, 1 << 20))
                if not data:
                    raise EOFError(f"{file.name} is shorter than it was")
                _call(_lib.fp_chunk_write, chunk, data, len(data))
                left -= len(data)
            _call(_lib.fp_chunk_commit, chunk, None)
        finally:
            _lib.fp_chunk_free(chunk)

    def process(self, uploaded):
        """Run queued jobs until the upload's own has ended; answers the job, or None when it has none."""
        self._check_open()
        while uploaded.job_id:
            _call(_lib.fp_worker_run, self._worker, 1000, None)
            job = self.job(uploaded.job_id)
            if job["finished_at"]:
                return job
        return None

    def run(self, file_id, pipeline):
        """Queue a pipeline (name, or dict with steps) on a file and run it to its end; answers the job."""
        if isinstance(pipeline, dict):
            pipeline = json.dumps(pipeline)
        job = ctypes.POINTER(_abi.Job)()
        _call(_lib.fp_job_create, self._jobs, _text(file_id), _text(pipeline), byref(job))
        job_id = job.contents.id.decode()
        _lib.fp_job_free(job)
        return self.process(Uploaded(file_id, job_id, None))

    def _json(self, to_json, record):
        text = _abi.Buf()
        try:
            _call(to_json, self._ctx, record, byref(text))
            return json.loads(ctypes.string_at(text.data, text.size))
        finally:
            _lib.fp_buf_dispose(byref(text))

    def file(self, file_id):
        """A file as a dict, members as in the REST API."""
        file = ctypes.POINTER(_abi.File)()
        _call(_lib.fp_catalog_get, self._catalog, _text(file_id), byref(file))
        try:
            return self._json(_lib.fp_file_to_json, file)
        finally:
            _lib.fp_file_free(file)

    def job(self, job_id):
        """A job as a dict, members as in the REST API."""
        job = ctypes.POINTER(_abi.Job)()
        _call(_lib.fp_job_get, self._jobs, _text(job_id), byref(job))
        try:
            return self._json(_lib.fp_job_to_json, job)
        finally:
            _lib.fp_job_free(job)

    def files(self, *, owner=None, mime_type=None):
        """All uploaded files, newest first, as an iterator of dicts."""
        self._check_open()
        return self._list(owner=_text(owner), mime_type=_text(mime_type))

    def derivatives(self, file_id):
        """What jobs made of a file, newest first, as an iterator of dicts."""
        self._check_open()
        if file_id is None:
            raise TypeError("derivatives() wants the id of a file")
        return self._list(parent_id=_text(file_id))

    def _list(self, **query):
        cursor = None
        while True:
            page = ctypes.POINTER(_abi.FilePage)()
            _call(_lib.fp_catalog_list, self._catalog, byref(_abi.FileQuery(cursor=cursor, limit=100, **query)),
                  byref(page))
            try:
                items = [self._json(_lib.fp_file_to_json, page.contents.items[i]) for i in range(page.contents.count)]
                cursor = page.contents.next
            finally:
                _lib.fp_file_page_free(page)
            for item in items:
                self._check_open()
                yield item
            if cursor is None:
                return

    def read(self, file_id, offset=0, size=1 << 20):
        """Up to size bytes of a file's content."""
        file = ctypes.POINTER(_abi.File)()
        _call(_lib.fp_catalog_get, self._catalog, _text(file_id), byref(file))
        try:
            data, got = ctypes.create_string_buffer(size), ctypes.c_size_t()
            _call(_lib.fp_storage_read, self._storage, file.contents.storage_key, offset, data, size, byref(got))
            return data.raw[:got.value]
        finally:
            _lib.fp_file_free(file)

    def save(self, file, path):
        """Write the content of a file (its dict or id) to a path."""
        self._check_open()  # before there is an empty file
        file_id = file["id"] if isinstance(file, dict) else file
        with open(path, "wb") as out:
            while data := self.read(file_id, out.tell()):
                out.write(data)

    def delete(self, file_id):
        """Delete a file and everything derived from it."""
        _call(_lib.fp_catalog_delete, self._catalog, _text(file_id))
