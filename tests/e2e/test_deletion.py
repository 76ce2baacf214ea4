"""Owns: deleting files: rows, derivatives and objects go together, and nothing else does."""

import threading

from api import ask, check_problem, content, get, process, upload, wait_for_job, wait_until
from media_files import encoded, halves, slow_picture


def objects(daemon):
    return {path for path in (daemon.data / "objects" / "objects").rglob("*") if path.is_file()}


def test_a_file_goes_with_its_derivatives_and_their_bytes(daemon):
    kept = upload(daemon, b"stays")
    wait_for_job(daemon, kept["processing_job_id"])
    before = objects(daemon)
    file, job, derivatives = process(daemon, encoded(halves()), "a.jpg", "image/jpeg")
    assert len(derivatives) == 2 and len(objects(daemon)) == len(before) + 3
    assert ask(daemon, "DELETE", f"/v1/files/{file['id']}").status_code == 204
    for file_id in (file["id"], *(d["id"] for d in derivatives)):
        for path in ("", "/content", "/derivatives"):
            check_problem(ask(daemon, "GET", f"/v1/files/{file_id}{path}"), 404, "file_not_found")
    check_problem(ask(daemon, "DELETE", f"/v1/files/{file['id']}"), 404, "file_not_found")
    assert objects(daemon) == before
    assert [f["id"] for f in get(daemon, "/v1/files")["items"]] == [kept["file_id"]]
    assert content(daemon, kept["file_id"]) == b"stays"


def test_a_derivative_can_go_alone(daemon):
    file, _, derivatives = process(daemon, encoded(halves()), "a.jpg", "image/jpeg")
    assert ask(daemon, "DELETE", f"/v1/files/{derivatives[0]['id']}").status_code == 204
    left = get(daemon, f"/v1/files/{file['id']}/derivatives")["items"]
    assert [d["id"] for d in left] == [derivatives[1]["id"]] and len(objects(daemon)) == 2


def test_deleting_while_its_job_runs_leaves_nothing(daemon):
    picture = slow_picture(2000)
    for _ in range(3):
        done = upload(daemon, picture, "slow.jpg", "image/jpeg")
        wait_until(lambda: get(daemon, f"/v1/jobs?file_id={done['file_id']}")["items"][0]["state"] != "queued", 20)
        assert ask(daemon, "DELETE", f"/v1/files/{done['file_id']}").status_code == 204
    wait_until(lambda: not objects(daemon), 30, "objects of a deleted file are left")
    assert get(daemon, "/v1/files")["items"] == []
    after = upload(daemon, b"words")
    assert wait_for_job(daemon, after["processing_job_id"])["state"] == "succeeded"
    wait_until(lambda: len(objects(daemon)) == 1 and not any(daemon.data.glob("objects/staging/*.data")), 30)


def test_deleting_at_once_from_several_clients_deletes_once(daemon):
    file_id = upload(daemon, b"x")["file_id"]
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(daemon, "DELETE", f"/v1/files/{file_id}").status_code))
               for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {204, 404} and 204 in answers


def test_a_download_in_progress_survives_the_deletion(daemon):
    import requests

    data = bytes(20 << 20)
    session = upload(daemon, data, "big.txt")
    with requests.get(f"{daemon.url}/v1/files/{session['file_id']}/content", stream=True, timeout=30) as reply:
        pieces = reply.iter_content(1 << 16)
        got = len(next(pieces))
        assert ask(daemon, "DELETE", f"/v1/files/{session['file_id']}").status_code == 204
        assert got + sum(map(len, pieces)) == len(data)
