/* Owns: the contract of fileproc/storage.h, run against the drivers in this build; its allocation failures.
 * Must not know: what only one driver does. */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "runner.h"
#include "storage_contract.h"
#include "storage_steps.h"

static void fresh_folder(char uri[128])
{
    char folder[64];

    scratch_make(folder);
    snprintf(uri, 128, "file://%s/made/by%%20the/driver", folder);
}

static void remove_folder(const char *uri)
{
    char folder[128];

    snprintf(folder, sizeof(folder), "%s", uri + strlen("file://"));
    *strstr(folder, "/made") = '\0';
    scratch_remove(folder);
}

static void fresh_memory(char uri[128])
{
    snprintf(uri, 128, "mem:");
}

static void forget_memory(const char *uri)
{
    (void)uri;
}

static const storage_contract drivers[] = { { "file", fresh_folder, remove_folder, true },
                                            { "mem", fresh_memory, forget_memory, false } };
#define DRIVERS ((int)(sizeof(drivers) / sizeof(*drivers)))

int main(void)
{
    Suite *suite = suite_create("storage");

    storage_contract_add(suite, drivers, DRIVERS);
    assembly_contract_add(suite, drivers, DRIVERS);
    return run_suite(suite);
}
