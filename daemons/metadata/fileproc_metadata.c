/* Owns: the program fileproc-metadata: files alone, beside the other four services.
 * Must not know: how the service works. */
#include "daemon.h"
#include "file_routes.h"
#include "service.h"

int main(int argc, char **argv)
{
    static const fpd_daemon metadata = {
        .name = "fileproc-metadata",
        .port = 8001,
        .needs = FPD_METADATA_NEEDS,
        .add_routes = fpd_file_routes_add,
    };

    return fpd_daemon_main(&metadata, argc, argv);
}
