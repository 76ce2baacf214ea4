/* Owns: the answers of postgresql_schema.h in a build without PostgreSQL.
 * Must not know: what is tested. */
#include <stddef.h>

#include <check.h>

#include "postgresql_schema.h"

const char *postgresql_server(void)
{
    return NULL;
}

void postgresql_schema_make(char uri[128])
{
    (void)uri;
    ck_abort_msg("this build has no PostgreSQL");
}

void postgresql_schema_remove(const char *uri)
{
    (void)uri;
}

long postgresql_sql(const char *uri, const char *fmt, ...)
{
    (void)uri, (void)fmt;
    return 0;
}
