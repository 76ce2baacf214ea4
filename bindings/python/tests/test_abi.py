"""Owns: the proof that _abi.py says what the C headers say."""

import ctypes
import subprocess

from conftest import PREFIX
from fileproc import _abi

STRUCTS = {"fp_error": _abi.Error, "fp_buf": _abi.Buf, "fp_queue_options": _abi.QueueOptions,
           "fp_pipelines_options": _abi.PipelinesOptions, "fp_jobs_options": _abi.JobsOptions,
           "fp_uploads_options": _abi.UploadsOptions, "fp_upload_request": _abi.UploadRequest,
           "fp_file_query": _abi.FileQuery, "fp_upload": _abi.Upload, "fp_file": _abi.File,
           "fp_file_page": _abi.FilePage, "fp_job": _abi.Job}


def test_sizes_and_offsets_are_those_of_c(tmp_path):
    lines = []
    for name, struct in STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        lines += [f'printf("{name}.{m[0]} %zu\\n", offsetof({name}, {m[0]}));' for m in struct._fields_]
    source = tmp_path / "offsets.c"
    source.write_text("#include <stdio.h>\n#include <stddef.h>\n#include <fileproc/fileproc.h>\n"
                      "int main(void) {" + "\n".join(lines) + "return 0;}")
    subprocess.run(["cc", f"-I{PREFIX}/include", source, "-o", tmp_path / "offsets"], check=True)
    said = dict(line.split() for line in subprocess.check_output([tmp_path / "offsets"], text=True).splitlines())
    for name, struct in STRUCTS.items():
        assert int(said[name]) == ctypes.sizeof(struct), name
        for member in struct._fields_:
            assert int(said[f"{name}.{member[0]}"]) == getattr(struct, member[0]).offset, (name, member[0])
