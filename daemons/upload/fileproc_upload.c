/* Owns: the program fileproc-upload: uploads alone, beside the other four services.
 * Must not know: how the service works. */
#include "daemon.h"
#include "upload_routes.h"
#include "service.h"

int main(int argc, char **argv)
{
    static const fpd_daemon upload = {
        .name = "fileproc-upload",
        .port = 8000,
        .needs = FPD_UPLOAD_NEEDS,
        .add_routes = fpd_upload_routes_add,
    };

    return fpd_daemon_main(&upload, argc, argv);
}
