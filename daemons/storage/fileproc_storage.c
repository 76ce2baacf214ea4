/* Owns: the program fileproc-storage: objects alone, beside the other four services.
 * Must not know: how the service works. */
#include "daemon.h"
#include "object_routes.h"
#include "service.h"

int main(int argc, char **argv)
{
    static const fpd_daemon storage = {
        .name = "fileproc-storage",
        .port = 8003,
        .needs = FPD_STORAGE_NEEDS,
        .add_routes = fpd_object_routes_add,
    };

    return fpd_daemon_main(&storage, argc, argv);
}
