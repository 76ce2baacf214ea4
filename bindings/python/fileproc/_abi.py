"""Owns: the C declarations as ctypes sees them: structs, functions, and the loading of the library.
Must not know: how Python programs use them; that is __init__.py."""

import ctypes
import os
from ctypes import (POINTER, Structure, c_char, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint32,
                    c_uint64, c_void_p)

SONAME = "libfileproc.so.0.1"
VERSION = (0, 1)  # major, minor: before 1.0 a minor release may break


class Error(Structure):
    _fields_ = [("code", c_int32), ("cause", c_int32), ("flags", c_uint32), ("retry_after_ms", c_uint32),
                ("reserved", c_uint64 * 2), ("domain", c_char * 16), ("message", c_char * 208)]


class Buf(Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t), ("capacity", c_size_t), ("alloc", c_void_p)]


class Sized(Structure):
    """A struct that begins with its own size, which the constructor fills in."""

    def __init__(self, **members):
        super().__init__(struct_size=ctypes.sizeof(type(self)), **members)


class QueueOptions(Sized):
    _fields_ = [("struct_size", c_size_t), ("database", c_void_p), ("poll_interval_ms", c_uint32),
                ("reserved", c_uint32)]


class PipelinesOptions(Sized):
    _fields_ = [("struct_size", c_size_t), ("helper_path", c_char_p), ("definitions", c_char_p),
                ("temporary_folder", c_char_p), ("max_pixels", c_uint64), ("max_output_bytes", c_uint64),
                ("helper_memory_bytes", c_uint64), ("max_unpacked_bytes", c_uint64), ("max_entries", c_uint32),
                ("max_pages", c_uint32), ("wall_clock_ms", c_uint32), ("jobs_per_helper", c_uint32),
                ("clamd_uri", c_char_p), ("scan_max_bytes", c_uint64), ("scan_timeout_ms", c_uint32),
                ("reserved", c_uint32)]


class JobsOptions(Sized):
    _fields_ = [("struct_size", c_size_t), ("database", c_void_p), ("queue", c_void_p), ("storage", c_void_p),
                ("catalog", c_void_p), ("pipelines", c_void_p), ("lease_ms", c_uint32), ("max_attempts", c_uint32),
                ("backoff_base_ms", c_uint32), ("backoff_cap_ms", c_uint32), ("on_change", c_void_p),
                ("user_data", c_void_p), ("retention_ms", c_int64), ("quarantine", c_void_p)]


class UploadsOptions(Sized):
    _fields_ = [("struct_size", c_size_t), ("database", c_void_p), ("storage", c_void_p), ("catalog", c_void_p),
                ("jobs", c_void_p), ("allowed_types", c_char_p), ("bucket", c_char_p), ("max_file_size", c_uint64),
                ("chunk_size", c_uint64), ("min_free_bytes", c_uint64), ("session_timeout_ms", c_int64),
                ("tombstone_ms", c_int64), ("on_progress", c_void_p), ("user_data", c_void_p), ("cache", c_void_p),
                ("lease_ms", c_uint32), ("database_leases", c_uint32), ("append_step", c_uint64),
                ("owner_max_bytes", c_uint64), ("owner_max_uploads", c_uint64), ("idle_timeout_ms", c_int64),
                ("on_lost", c_void_p)]


class UploadRequest(Sized):
    _fields_ = [("struct_size", c_size_t), ("filename", c_char_p), ("mime_type", c_char_p), ("owner", c_char_p),
                ("metadata", c_char_p), ("size", c_uint64), ("note", c_char_p), ("size_unknown", c_uint32),
                ("flags", c_uint32), ("sha256", c_char_p), ("idempotency_key", c_char_p)]


class FileQuery(Sized):
    _fields_ = [("struct_size", c_size_t), ("owner", c_char_p), ("parent_id", c_char_p), ("mime_type", c_char_p),
                ("cursor", c_char_p), ("limit", c_size_t)]


class Upload(Structure):
    _fields_ = [("struct_size", c_size_t), ("id", c_char_p), ("filename", c_char_p), ("mime_type", c_char_p),
                ("owner", c_char_p), ("status", c_char_p), ("metadata", c_char_p), ("file_id", c_char_p),
                ("job_id", c_char_p), ("sha256", c_char_p), ("storage_url", c_char_p), ("size", c_uint64),
                ("bytes_received", c_uint64), ("chunk_size", c_uint64), ("chunks_uploaded", c_uint64),
                ("total_chunks", c_uint64), ("created_at_ms", c_int64), ("updated_at_ms", c_int64),
                ("expires_at_ms", c_int64), ("note", c_char_p), ("offset", c_uint64), ("size_unknown", c_uint32),
                ("flags", c_uint32), ("expected_sha256", c_char_p)]


class File(Structure):
    _fields_ = [("struct_size", c_size_t), ("id", c_char_p), ("filename", c_char_p), ("size", c_uint64),
                ("mime_type", c_char_p), ("detected_mime_type", c_char_p), ("sha256", c_char_p), ("state", c_char_p),
                ("owner", c_char_p), ("parent_id", c_char_p), ("operation", c_char_p), ("storage_key", c_char_p),
                ("info", c_char_p), ("created_at_ms", c_int64)]


class FilePage(Structure):
    _fields_ = [("struct_size", c_size_t), ("count", c_size_t), ("items", POINTER(POINTER(File))), ("next", c_char_p)]


class Job(Structure):
    _fields_ = [("struct_size", c_size_t), ("id", c_char_p), ("file_id", c_char_p), ("owner", c_char_p),
                ("pipeline", c_char_p), ("state", c_char_p), ("steps", c_char_p), ("error_code", c_char_p),
                ("error_detail", c_char_p), ("result", c_char_p), ("progress", c_double), ("created_at_ms", c_int64),
                ("started_at_ms", c_int64), ("finished_at_ms", c_int64), ("attempt", c_uint32),
                ("max_attempts", c_uint32), ("error_permanent", c_int32), ("reserved", c_int32)]


_ERR = POINTER(Error)
_HANDLE = c_void_p
_OUT = POINTER(c_void_p)

#: name: (result, arguments)
FUNCTIONS = {
    "fp_version_number": (c_uint32, []),
    "fp_error_reason": (c_char_p, [_ERR]),
    "fp_buf_dispose": (None, [POINTER(Buf)]),
    "fp_context_new": (c_int32, [c_void_p, _OUT, _ERR]),
    "fp_context_free": (None, [_HANDLE]),
    "fp_storage_open": (c_int32, [_HANDLE, c_char_p, c_void_p, _OUT, _ERR]),
    "fp_storage_free": (None, [_HANDLE]),
    "fp_storage_read": (c_int32, [_HANDLE, c_char_p, c_uint64, c_void_p, c_size_t, POINTER(c_size_t), _ERR]),
    "fp_database_open": (c_int32, [_HANDLE, c_char_p, c_void_p, _OUT, _ERR]),
    "fp_database_migrate": (c_int32, [_HANDLE, _ERR]),
    "fp_database_free": (None, [_HANDLE]),
    "fp_queue_open": (c_int32, [_HANDLE, c_char_p, POINTER(QueueOptions), _OUT, _ERR]),
    "fp_queue_free": (None, [_HANDLE]),
    "fp_catalog_open": (c_int32, [_HANDLE, _HANDLE, _HANDLE, _OUT, _ERR]),
    "fp_catalog_get": (c_int32, [_HANDLE, c_char_p, POINTER(POINTER(File)), _ERR]),
    "fp_catalog_get_json": (c_int32, [_HANDLE, c_char_p, POINTER(Buf), POINTER(c_uint64), _ERR]),
    "fp_catalog_list": (c_int32, [_HANDLE, POINTER(FileQuery), POINTER(POINTER(FilePage)), _ERR]),
    "fp_catalog_delete": (c_int32, [_HANDLE, c_char_p, _ERR]),
    "fp_catalog_free": (None, [_HANDLE]),
    "fp_catalog_set_cache": (c_int32, [_HANDLE, c_size_t, c_uint32, _ERR]),
    "fp_file_to_json": (c_int32, [_HANDLE, POINTER(File), POINTER(Buf), _ERR]),
    "fp_file_free": (None, [POINTER(File)]),
    "fp_file_page_free": (None, [POINTER(FilePage)]),
    "fp_pipelines_open": (c_int32, [_HANDLE, POINTER(PipelinesOptions), _OUT, _ERR]),
    "fp_pipelines_free": (None, [_HANDLE]),
    "fp_jobs_open": (c_int32, [_HANDLE, POINTER(JobsOptions), _OUT, _ERR]),
    "fp_jobs_free": (None, [_HANDLE]),
    "fp_job_create": (c_int32, [_HANDLE, c_char_p, c_char_p, POINTER(POINTER(Job)), _ERR]),
    "fp_job_get": (c_int32, [_HANDLE, c_char_p, POINTER(POINTER(Job)), _ERR]),
    "fp_job_to_json": (c_int32, [_HANDLE, POINTER(Job), POINTER(Buf), _ERR]),
    "fp_job_free": (None, [POINTER(Job)]),
    "fp_worker_new": (c_int32, [_HANDLE, _OUT, _ERR]),
    "fp_worker_run": (c_int32, [_HANDLE, c_uint32, POINTER(c_int32), _ERR]),
    "fp_worker_serve": (c_int32, [_HANDLE, c_uint32, POINTER(c_uint64), _ERR]),
    "fp_worker_free": (None, [_HANDLE]),
    "fp_uploads_open": (c_int32, [_HANDLE, POINTER(UploadsOptions), _OUT, _ERR]),
    "fp_uploads_free": (None, [_HANDLE]),
    "fp_upload_create": (c_int32, [_HANDLE, POINTER(UploadRequest), POINTER(POINTER(Upload)), _ERR]),
    "fp_chunk_begin": (c_int32, [_HANDLE, c_char_p, c_uint64, c_void_p, _OUT, _ERR]),
    "fp_chunk_length": (c_uint64, [_HANDLE]),
    "fp_chunk_write": (c_int32, [_HANDLE, c_char_p, c_size_t, _ERR]),
    "fp_chunk_commit": (c_int32, [_HANDLE, POINTER(POINTER(Upload)), _ERR]),
    "fp_chunk_free": (None, [_HANDLE]),
    "fp_upload_complete": (c_int32, [_HANDLE, c_char_p, POINTER(POINTER(Upload)), _ERR]),
    "fp_upload_free": (None, [POINTER(Upload)]),
}


def load():
    """The library, declared; from FILEPROC_LIBRARY when that is set, else where the loader finds it."""
    library = ctypes.CDLL(os.environ.get("FILEPROC_LIBRARY", SONAME))
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    number = library.fp_version_number()
    if (number // 1_000_000, number // 1_000 % 1_000) != VERSION:
        raise ImportError(f"libfileproc {number} is loaded, this package needs {VERSION[0]}.{VERSION[1]}")
    return library
