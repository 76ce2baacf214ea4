/* Owns: the program fileproc-processing: jobs alone, beside the other four services.
 * Must not know: how the service works. */
#include "daemon.h"
#include "job_routes.h"
#include "service.h"

int main(int argc, char **argv)
{
    static const fpd_daemon processing = {
        .name = "fileproc-processing",
        .port = 8004,
        .needs = FPD_PROCESSING_NEEDS,
        .add_routes = fpd_job_routes_add,
    };

    return fpd_daemon_main(&processing, argc, argv);
}
