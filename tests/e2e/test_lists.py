"""Owns: lists of files: filters, and cursors that neither skip nor repeat while others insert and delete."""

import threading

from api import all_items, ask, complete, get, initiate, upload


def test_files_come_newest_first_page_by_page(server):
    made = [upload(server, b"", f"{n}.txt", user_id="pages")["file_id"] for n in range(7)]
    for limit in (1, 2, 3, 7, 50):
        assert [f["id"] for f in all_items(server, "/v1/files", owner="pages", limit=limit)] == made[::-1]
    first = get(server, "/v1/files?owner=pages&limit=7")
    assert first["next"] is None or get(server, "/v1/files", params={"owner": "pages", "cursor": first["next"]})["items"] == []


def test_filters_are_exact(server):
    upload(server, b"a,b\n", "a.csv", "text/csv", user_id="filters")
    upload(server, b"", "a.txt", "text/plain", user_id="filters")
    assert [f["mime_type"] for f in all_items(server, "/v1/files", owner="filters", mime_type="text/csv")] == ["text/csv"]
    assert list(all_items(server, "/v1/files", owner="Filters")) == []
    assert list(all_items(server, "/v1/files", owner="filter%")) == []
    assert list(all_items(server, "/v1/files", owner="' OR 1=1 --")) == []
    assert list(all_items(server, "/v1/files", owner="filters", mime_type="image/png")) == []


def test_a_cursor_of_another_list_or_a_forged_one_does_no_harm(server):
    for n in range(3):
        upload(server, b"", f"{n}.txt", user_id="forged")
    cursor = get(server, "/v1/files?owner=forged&limit=1")["next"]
    for forged in (cursor[:-1], cursor + "x", cursor.swapcase(), "AAAA", cursor * 2):
        reply = ask(server, "GET", "/v1/files", params={"owner": "forged", "cursor": forged})
        assert reply.status_code in (200, 422)
    assert ask(server, "GET", "/v1/jobs", params={"cursor": cursor}).status_code in (200, 422)


def test_pages_neither_skip_nor_repeat_while_files_come_and_go(server):
    """What is there from the beginning to the end of the walk is seen exactly once."""
    steady = {upload(server, b"", f"{n}.txt", user_id="walk")["file_id"] for n in range(40)}
    stop, failures = threading.Event(), []

    def churn():
        while not stop.is_set():
            try:
                session = initiate(server, 0, "new.txt", user_id="walk")
                file_id = complete(server, session["upload_id"])["file_id"]
                assert ask(server, "DELETE", f"/v1/files/{file_id}").status_code == 204
            except Exception as e:  # shown below
                failures.append(e)
                return

    threads = [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            seen = [f["id"] for f in all_items(server, "/v1/files", owner="walk", limit=3)]
            assert len(seen) == len(set(seen)) and steady <= set(seen)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
