"""Owns: jobs over HTTP: inline pipelines, wrong pipelines, cancelling, lists."""

import io
import json

import pytest
from PIL import Image

from api import RFC3339, UNKNOWN, all_items, ask, check_problem, content, get, is_uuid, process, upload, wait_for_job, wait_until
from media_files import MANUALS, encoded, halves, slow_picture

PHOTO = encoded(halves(), quality=95)


@pytest.fixture(scope="module")
def photo_id(shared_daemon):
    done = upload(shared_daemon, PHOTO, "halves.jpg", "image/jpeg", user_id="the owner")
    wait_for_job(shared_daemon, done["processing_job_id"])
    return done["file_id"]


def run(server, file_id, pipeline):
    reply = ask(server, "POST", f"/v1/files/{file_id}/jobs", json={"pipeline": pipeline})
    assert reply.status_code == 202, reply.text
    job = reply.json()
    assert reply.headers["Location"] == f"/v1/jobs/{job['id']}" and is_uuid(job["id"]) and job["file_id"] == file_id
    return wait_for_job(server, job["id"])


def test_an_inline_pipeline_makes_what_it_says(server, photo_id):
    job = run(server, photo_id, {"steps": [
        {"name": "square", "operation": "image.resize",
         "params": {"width": 100, "height": 100, "fit": "cover", "format": "png"}},
        {"name": "print", "operation": "image.convert", "params": {"format": "tiff"}}]})
    assert job["state"] == "succeeded" and job["pipeline"] == "inline", job
    assert [(s["name"], s["operation"], s["state"]) for s in job["steps"]] == [
        ("square", "image.resize", "succeeded"), ("print", "image.convert", "succeeded")]
    square, tiff = (Image.open(io.BytesIO(content(server, s["outputs"][0]))) for s in job["steps"])
    assert (square.format, square.size, tiff.format, tiff.size) == ("PNG", (100, 100), "TIFF", (1200, 800))
    assert square.getpixel((20, 50))[0] > 180 and square.getpixel((80, 50))[2] > 180
    assert job["error"] is None and set(job["result"]) == {"square", "print"}
    assert all(RFC3339.fullmatch(job[at]) for at in ("created_at", "started_at", "finished_at"))


def test_a_pipeline_by_name_and_the_default(server, photo_id):
    assert run(server, photo_id, "image")["pipeline"] == "image"
    for body in ({}, {"pipeline": None}):
        reply = ask(server, "POST", f"/v1/files/{photo_id}/jobs", json=body)
        assert reply.status_code == 202 and reply.json()["pipeline"] == "image"
    assert ask(server, "POST", f"/v1/files/{photo_id}/jobs").status_code == 202, "no body at all"


def test_a_derivative_can_be_processed_again(server, photo_id):
    first = run(server, photo_id, {"steps": [{"operation": "image.resize", "params": {"width": 50}}]})
    made = first["steps"][0]["outputs"][0]
    second = run(server, made, {"steps": [{"operation": "image.info"}]})
    assert second["state"] == "succeeded" and get(server, f"/v1/files/{made}")["info"]["image"]["width"] == 50


@pytest.mark.parametrize("pipeline, status, code", [
    ("nothing of that name", 404, "pipeline_unknown"),
    ({}, 422, "pipeline_invalid"), ({"steps": []}, 422, "pipeline_invalid"), ({"steps": "x"}, 422, "pipeline_invalid"),
    ({"steps": [{}]}, 422, "pipeline_invalid"), ({"steps": [{"operation": 5}]}, 422, "pipeline_invalid"),
    ({"steps": [{"operation": "no.such"}]}, 422, "operation_unknown"),
    ({"steps": [{"operation": "image.info", "params": {"x": 1}}]}, 422, "parameter_invalid"),
    ({"steps": [{"operation": "image.resize", "params": {"width": "wide"}}]}, 422, "parameter_invalid"),
    ({"steps": [{"operation": "image.resize", "params": {"width": 0}}]}, 422, "parameter_invalid"),
    ({"steps": [{"operation": "image.resize", "params": {"width": 10 ** 9}}]}, 422, "parameter_invalid"),
    ({"steps": [{"operation": "image.convert"}]}, 422, "parameter_invalid"),
    ({"steps": [{"operation": "image.convert", "params": {"format": "exe"}}]}, 422, "parameter_invalid"),
    ({"steps": [{"name": "a", "operation": "image.info"}, {"name": "a", "operation": "image.info"}]}, 422, "pipeline_invalid"),
    ({"steps": [{"operation": "image.info"}] * 1000}, 422, "pipeline_invalid"),
    ({"steps": [{"operation": "image.info"}], "surprise": 1}, 422, "pipeline_invalid"),
    (7, 422, "parameter_invalid"), ([], 422, "parameter_invalid"), (True, 422, "parameter_invalid"),
], ids=lambda value: str(value)[:40])
def test_wrong_pipelines_are_refused_and_make_no_job(server, photo_id, pipeline, status, code):
    before = len(list(all_items(server, "/v1/jobs", file_id=photo_id)))
    check_problem(ask(server, "POST", f"/v1/files/{photo_id}/jobs", json={"pipeline": pipeline}), status, code)
    assert len(list(all_items(server, "/v1/jobs", file_id=photo_id))) == before


def test_a_mistake_is_named_with_its_place(server, photo_id):
    wrong = {"steps": [{"operation": "image.info"}, {"operation": "image.resize", "params": {"width": "wide"}}]}
    problem = check_problem(ask(server, "POST", f"/v1/files/{photo_id}/jobs", json={"pipeline": wrong}), 422)
    assert "steps[1]" in problem["detail"] and "width" in problem["detail"]


def test_an_operation_that_does_not_take_the_type_fails_for_good(server, photo_id):
    reply = ask(server, "POST", f"/v1/files/{photo_id}/jobs", json={"pipeline": {"steps": [{"operation": "pdf.info"}]}})
    if reply.status_code == 202:
        job = wait_for_job(server, reply.json()["id"])
        assert job["state"] == "failed" and job["error"]["permanent"] is True
        assert job["error"]["code"] in ("media_type_mismatch", "media_unsupported")
    else:
        check_problem(reply, 422, "media_unsupported")


def test_lists_show_what_is_asked_for(server, photo_id):
    for job in all_items(server, "/v1/jobs", file_id=photo_id):
        wait_for_job(server, job["id"])
    jobs = list(all_items(server, "/v1/jobs", file_id=photo_id, limit=2))
    assert len(jobs) >= 2 and {job["file_id"] for job in jobs} == {photo_id}
    assert [job["created_at"] for job in jobs] == sorted((job["created_at"] for job in jobs), reverse=True)
    assert len({job["id"] for job in jobs}) == len(jobs)
    assert all(job["state"] == "failed" for job in all_items(server, "/v1/jobs", state="failed"))
    owned = list(all_items(server, "/v1/jobs", owner="the owner"))
    assert {job["id"] for job in owned} >= {job["id"] for job in jobs}
    assert list(all_items(server, "/v1/jobs", owner="nobody")) == []
    assert list(all_items(server, "/v1/jobs", file_id=UNKNOWN)) == []


def test_unknown_jobs(server):
    for method, path in (("GET", UNKNOWN), ("DELETE", UNKNOWN), ("POST", UNKNOWN + "/cancel"), ("GET", "nonsense")):
        check_problem(ask(server, method, f"/v1/jobs/{path}"), 404, "job_not_found")


def test_a_finished_job_can_not_be_cancelled(server, photo_id):
    job = run(server, photo_id, {"steps": [{"operation": "image.info"}]})
    check_problem(ask(server, "POST", f"/v1/jobs/{job['id']}/cancel"), 409, "job_finished")
    assert get(server, f"/v1/jobs/{job['id']}") == job


@pytest.mark.daemon_options("--workers", "0")
def test_a_queued_job_is_cancelled_at_once(daemon):
    done = upload(daemon, b"words", "a.txt", "text/plain")
    assert get(daemon, "/health")["dependencies"]["helper"] == "available"
    for method, path in (("POST", "/cancel"), ("POST", "/cancel"), ("DELETE", "")):
        reply = ask(daemon, method, f"/v1/jobs/{done['processing_job_id']}{path}")
        if reply.status_code == 409:
            check_problem(reply, 409, "job_finished")
        else:
            assert reply.status_code == 200 and reply.json()["state"] == "cancelled"
    job = get(daemon, f"/v1/jobs/{done['processing_job_id']}")
    assert job["state"] == "cancelled" and job["finished_at"] and job["attempt"] == 0


@pytest.mark.daemon_options("--workers", "1")
def test_a_running_job_is_cancelled_soon_and_the_next_one_runs(daemon):
    picture = slow_picture()
    long_one = {"steps": [{"name": f"s{n}", "operation": "image.convert", "params": {"format": "avif", "quality": 70 + n}}
                          for n in range(10)]}
    done = upload(daemon, picture, "slow.jpg", "image/jpeg")
    wait_for_job(daemon, done["processing_job_id"])
    job = ask(daemon, "POST", f"/v1/files/{done['file_id']}/jobs", json={"pipeline": long_one}).json()
    wait_until(lambda: get(daemon, f"/v1/jobs/{job['id']}")["state"] == "running", 20)
    assert ask(daemon, "POST", f"/v1/jobs/{job['id']}/cancel").status_code == 200
    assert wait_for_job(daemon, job["id"], 10)["state"] == "cancelled"
    after = upload(daemon, b"words", "a.txt", "text/plain")
    assert wait_for_job(daemon, after["processing_job_id"], 20)["state"] == "succeeded"
    derivatives = get(daemon, f"/v1/files/{done['file_id']}/derivatives")["items"]
    assert {d["operation"] for d in derivatives} == {"image.resize"}, "a cancelled job leaves derivatives"


def logged(daemon, job):
    """The lines of the log about a job's end."""
    lines = [json.loads(line) for line in daemon.log_text().splitlines() if job["id"] in line]
    return [line for line in lines if line["component"] == "job"]


@pytest.mark.daemon_options("--job-max-attempts", "1", "--helper-timeout", "1s", "--log-level", "DEBUG")
def test_the_log_tells_of_jobs_that_ended_badly(daemon):
    _, good, _ = process(daemon, b"words", "a.txt", "text/plain")
    _, failed, _ = process(daemon, b"only words", "a \"photo\".png", "image/png")
    done = upload(daemon, (MANUALS / "fullrefman.pdf").read_bytes(), "big.pdf", "application/pdf")
    wait_for_job(daemon, done["processing_job_id"], 60)
    pages = {"steps": [{"operation": "pdf.render", "params": {"pages": "1-400", "dpi": 300}}]}
    dead = wait_for_job(daemon, ask(daemon, "POST", f"/v1/files/{done['file_id']}/jobs", json={"pipeline": pages}).json()["id"], 60)
    assert (good["state"], failed["state"], dead["state"]) == ("succeeded", "failed", "dead")
    wait_until(lambda: logged(daemon, dead))  # written after the commit
    for job, level in ((good, "debug"), (failed, "warning"), (dead, "warning")):
        [line] = [line for line in logged(daemon, job) if job["state"] in line["message"]]
        assert line["level"] == level and line["file_id"] == job["file_id"]
        if level == "warning":
            assert (line["code"], line["detail"], line["attempt"]) == (job["error"]["code"], job["error"]["detail"], job["attempt"])


def test_parameters_that_can_not_be_are_refused_before_there_is_a_job(server, photo_id):
    before = len(list(all_items(server, "/v1/jobs", file_id=photo_id)))
    for operation, params, word in (("image.resize", {}, "width or height"),
                                    ("image.resize", {"width": 9, "background": "white"}, "steps[0].params.background")):
        pipeline = {"steps": [{"operation": operation, "params": params}]}
        reply = ask(server, "POST", f"/v1/files/{photo_id}/jobs", json={"pipeline": pipeline})
        assert word in check_problem(reply, 422, "parameter_invalid")["detail"]
    assert len(list(all_items(server, "/v1/jobs", file_id=photo_id))) == before


@pytest.mark.daemon_options("--helper-timeout", "1s", "--job-max-attempts", "2", "--job-backoff-base", "10ms")
def test_a_job_that_takes_too_long_is_dead_after_its_attempts_and_the_helper_is_gone(daemon):
    done = upload(daemon, (MANUALS / "fullrefman.pdf").read_bytes(), "big.pdf", "application/pdf")
    wait_for_job(daemon, done["processing_job_id"], 60)
    pages = {"steps": [{"operation": "pdf.render", "params": {"pages": "1-400", "dpi": 300}}]}
    job = ask(daemon, "POST", f"/v1/files/{done['file_id']}/jobs", json={"pipeline": pages}).json()
    job = wait_for_job(daemon, job["id"], 60)
    assert job["state"] == "dead" and job["attempt"] == 2 and job["error"]["code"] == "helper_timeout", job
    assert job["error"]["permanent"] is False
    after = upload(daemon, b"words", "a.txt", "text/plain")
    assert wait_for_job(daemon, after["processing_job_id"])["state"] == "succeeded"
