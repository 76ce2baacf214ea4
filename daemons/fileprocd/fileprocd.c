/* Owns: which services this program has: all of them, from one data folder.
 * Must not know: how any of them works. */
#include "daemon.h"
#include "file_routes.h"
#include "job_routes.h"
#include "object_routes.h"
#include "upload_routes.h"

static bool add_routes(fpd_router *router, fpd_app *app)
{
    return fpd_upload_routes_add(router, app) && fpd_file_routes_add(router, app) &&
           fpd_job_routes_add(router, app) && fpd_object_routes_add(router, app);
}

int main(int argc, char **argv)
{
    static const fpd_daemon fileprocd = {
        .name = "fileprocd",
        .port = 8000,
        .needs = FPD_NEEDS_ALL,
        .add_routes = add_routes,
    };

    return fpd_daemon_main(&fileprocd, argc, argv);
}
