/* Owns: the program fileproc-ai, the place of analyses beside the other four services. This release has none of them: it answers
 * for its health, and 404 to everything else.
 * Must not know: other services. */
#include "daemon.h"
#include "service.h"

int main(int argc, char **argv)
{
    static const fpd_daemon ai = {
        .name = "fileproc-ai",
        .port = 8002,
        .needs = FPD_AI_NEEDS,
    };

    return fpd_daemon_main(&ai, argc, argv);
}
