/* Owns: a helper program of a test, spoken to by lines: its standard input and output are pipes.
 * Must not know: which program. */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <sys/types.h>

typedef struct child {
    pid_t pid;
    int in, out;
} child;

/* Starts "python3 <script> <argument>" (NULL = none); must succeed. */
void child_start(child *c, const char *script, const char *argument);
/* A line of its output, without the end. */
void child_line(child *c, char *out, size_t size);
/* Sends a line and waits for a line as the answer. */
void child_tell(child *c, const char *line);
/* Closes its standard input, at which it ends, and waits. */
void child_end(child *c);

#endif
