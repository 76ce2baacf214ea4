/* Owns: that objects of files in quarantine are not given out by their keys.
 * Must not know: how objects are read. */
#include "object_quarantine.h"

#include <string.h>

#include "problem.h"

#define FILES "files/"

/* An object comes before the row of its file does, and must not be read in between: so one without a row is none. */
bool fpd_object_readable(fpd_request *rq, fpd_app *app, const char *key)
{
    FPD_CLEANUP(fp_file) file = NULL;
    fp_error err = { 0 };

    if (!app->quarantine || strncmp(key, FILES, sizeof(FILES) - 1) != 0)
        return true;
    if (fp_catalog_get(app->catalog, key + sizeof(FILES) - 1, &file, &err) == FILEPROC_OK &&
        fp_file_check(file, &err) == FILEPROC_OK)
        return true;
    if (err.code == FILEPROC_ERR_NOTFOUND)
        fpd_problem(rq, 404, "object_not_found", "There is no such object.");
    else
        fpd_problem_error(rq, &err);
    return false;
}
