"""Owns: the table from each MUST of tus 1.0.0 that concerns a server to the tests that break it, section by section.
Must not know: how the tests do it."""

import importlib

import pytest

# What a server must, in our words, and who breaks it. Whatever is answered to a client that keeps to the protocol is checked by all of
# them: tus.call() insists on Tus-Resumable, tus.head() on Cache-Control.
MUSTS = {
    "Core protocol: headers": {
        "Upload-Offset and Upload-Length are whole numbers that are not negative": ["test_tus.test_numbers_are_numbers",
                                                                                    "test_tus.test_headers_that_stand_twice_are_refused"],
        "Tus-Version lists the versions": ["test_tus.test_options_tell_what_there_is_to_anybody"],
        "every answer but that to OPTIONS has Tus-Resumable, and so every request": ["test_tus.test_other_versions_are_not_processed"],
        "another version is 412 with Tus-Version, and nothing is done": ["test_tus.test_other_versions_are_not_processed"],
        "Tus-Extension and Tus-Max-Size have their forms": ["test_tus.test_options_tell_what_there_is_to_anybody"],
        "X-HTTP-Method-Override is the method, whatever the request line says": ["test_tus.test_method_override_is_the_method"],
    },
    "Core protocol: requests": {
        "HEAD has Upload-Offset, also at 0 and at the end": ["test_tus.test_head_tells_offset_length_and_metadata_as_they_came",
                                                             "test_tus.test_an_upload_in_pieces_becomes_a_file_with_a_job",
                                                             "test_tus.test_an_empty_upload_is_complete_at_once"],
        "HEAD has Upload-Length when it is known": ["test_tus.test_head_tells_offset_length_and_metadata_as_they_came",
                                                    "test_tus.test_length_can_come_later_and_once"],
        "HEAD is not cached": ["test_tus.test_head_tells_offset_length_and_metadata_as_they_came"],
        "PATCH has the one media type": ["test_tus.test_offset_and_type_are_needed"],
        "another offset is 409, and nothing changes": ["test_tus.test_another_offset_is_a_conflict_and_changes_nothing"],
        "PATCH is 204 with the offset before and what came": ["test_tus.test_an_upload_in_pieces_becomes_a_file_with_a_job",
                                                              "test_tus.test_empty_patch_is_none"],
        "OPTIONS has Tus-Version, whatever Tus-Resumable says": ["test_tus.test_options_tell_what_there_is_to_anybody"],
    },
    "Creation": {
        "a length, or its deferral, which can only be 1": ["test_tus.test_length_or_its_deferral_is_needed"],
        "HEAD has Upload-Defer-Length until the length is known, and only until then": ["test_tus.test_length_can_come_later_and_once"],
        "a length does not change": ["test_tus.test_length_can_come_later_and_once"],
        "Upload-Metadata: pairs, one space, keys of their own without blanks and commas, base64": [
            "test_tus.test_metadata_is_read_strictly"],
        "HEAD has Upload-Metadata as they came": ["test_tus.test_head_tells_offset_length_and_metadata_as_they_came"],
        "what is too large is 413": ["test_tus.test_what_is_too_large_is_refused_at_once"],
        "201 with Location": ["test_tus.test_location_is_relative_and_the_id_can_not_be_guessed"],
    },
    "Creation with upload": {
        "the media type of PATCH": ["test_tus.test_creation_with_upload_has_the_rules_of_patch"],
        "Upload-Offset tells what was taken": ["test_tus.test_first_bytes_come_with_the_creation"],
    },
    "Expiration": {
        "Upload-Expires in the answers to POST and PATCH, as a date of HTTP": ["test_tus.test_answers_tell_when_an_upload_expires"],
    },
    "Checksum": {
        "bytes are checked; those that are not right are dropped and the offset stays": [
            "test_tus.test_checksum_decides_about_exactly_its_bytes"],
        "an algorithm that is not there is refused, and nothing is taken": ["test_tus.test_checksums_that_can_not_be_checked_are_refused"],
        "sha1 is there; names are lower case": ["test_tus.test_checksum_in_the_protocol_s_own_example",
                                               "test_tus.test_options_tell_what_there_is_to_anybody"],
        "OPTIONS has Tus-Checksum-Algorithm": ["test_tus.test_options_tell_what_there_is_to_anybody"],
        "it may come behind the body": ["test_tus_trailer.test_the_checksum_may_come_behind_the_body",
                                        "test_tus_trailer.test_what_was_announced_must_come"],
        "the header is a name, a space and base64": ["test_tus.test_checksums_that_can_not_be_checked_are_refused"],
    },
    "Termination": {
        "204, and the upload is gone": ["test_tus.test_termination_frees_and_forgets"],
    },
    "Concatenation": {
        "the length of the whole is that of its pieces, in the order of the list": [
            "test_tus_concat.test_pieces_become_one_file_in_the_order_of_the_list"],
        "Upload-Concat is partial, or final with a list of addresses": [
            "test_tus_concat.test_other_values_are_refused", "test_tus_concat.test_addresses_may_be_absolute_and_have_a_proxys_prefix"],
        "a final upload has no Upload-Length": ["test_tus_concat.test_what_can_not_be_put_together_is_refused"],
        "unfinished pieces are waited for, as is announced": ["test_tus_concat.test_unfinished_pieces_are_waited_for"],
        "metadata of pieces are not those of the whole": ["test_tus_concat.test_metadata_of_pieces_are_not_those_of_the_file"],
        "PATCH of a final upload is 403, and nothing changes": ["test_tus_concat.test_a_final_upload_takes_no_bytes_ever"],
        "HEAD of a final upload: offset and length are equal once it is whole": [
            "test_tus_concat.test_pieces_become_one_file_in_the_order_of_the_list"],
        "HEAD of a partial upload has Upload-Offset": ["test_tus_concat.test_pieces_are_no_files"],
        "HEAD has Upload-Length as soon as it can be computed": ["test_tus_concat.test_length_is_told_once_it_is_known"],
        "HEAD has Upload-Concat as it came": ["test_tus_concat.test_addresses_may_be_absolute_and_have_a_proxys_prefix",
                                              "test_tus_concat.test_pieces_are_no_files"],
    },
}


@pytest.mark.parametrize("section", MUSTS)
def test_every_must_has_a_test_that_breaks_it(section):
    for must, tests in MUSTS[section].items():
        assert tests, must
        for name in tests:
            module, _, function = name.partition(".")
            assert callable(getattr(importlib.import_module(module), function, None)), (must, name)
