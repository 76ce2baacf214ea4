/* Owns: the job benchmark: jobs that do nothing, so that what is measured is the ledger: queueing, ringing, claiming, committing, on
 * disk. Workers are processes of their own, each with some threads; how many jobs they end in a second, and how long it takes
 * from the call that queues a job to its start.
 * Must not know: internals. Prints one JSON line.
 * Usage: bench_jobs FOLDER HELPER PROCESSES THREADS JOBS LATENCIES [DATABASE-URI [QUEUE-URI]] */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fileproc/driver/operation_driver.h>
#include <fileproc/fileproc.h>

#define PIPELINE "{\"steps\":[{\"operation\":\"bench.nothing\"}]}"
#define TOPIC "fileproc.jobs"
#define MAX_THREADS 64
#define MAX_PROCESSES 16
/* Threads that queue jobs. */
#define CREATORS 8
/* Between two jobs of the latency: workers are idle again. */
#define PAUSE_NS 3000000

/* What all processes see. */
typedef struct board {
    _Atomic int64_t started_ns; /* the last job */
    _Atomic int64_t ended_ns;   /* the last job */
    atomic_int ended;           /* jobs */
} board;

static struct {
    const char *folder, *helper, *database, *queue;
    int processes, threads, jobs, latencies;
} given;

static board *shared;
static fp_context *ctx;
static fp_storage *storage;
static fp_database *database;
static fp_queue *queue;
static fp_catalog *catalog;
static fp_pipelines *pipelines;
static fp_jobs *jobs;
static fp_uploads *uploads;
static char file_id[64];
static atomic_int left;

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void must(fp_status rc, const fp_error *err)
{
    if (rc == FILEPROC_OK)
        return;
    fprintf(stderr, "%s: %s\n", fp_error_reason(err), err->message);
    exit(1);
}

static fp_status do_nothing(const fp_operation_call *call, void *user_data, fp_buf *result,
                            fp_error *err)
{
    (void)call, (void)user_data;
    atomic_store(&shared->started_ns, now_ns());
    return fp_buf_append(ctx, result, "{}", 2, err);
}

static const fp_operation nothing = { FILEPROC_OPERATION_INIT("bench.nothing"), .accepts = "*",
                                      .run = do_nothing };

/* Told after the commit. */
static void on_change(void *user_data, const char *job_id, const char *file, const char *state,
                      double progress)
{
    (void)user_data, (void)job_id, (void)file, (void)progress;
    if (strcmp(state, "succeeded") != 0)
        return;
    atomic_store(&shared->ended_ns, now_ns());
    atomic_fetch_add(&shared->ended, 1);
}

static void open_ledger(void)
{
    fp_pipelines_options po = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_queue_options qo = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_uploads_options uo = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_jobs_options jo = FILEPROC_JOBS_OPTIONS_INIT;
    fp_error err = { 0 };

    qo.database = database;
    must(fp_queue_open(ctx, given.queue, &qo, &queue, &err), &err);
    must(fp_catalog_open(ctx, database, storage, &catalog, &err), &err);
    po.helper_path = given.helper;
    must(fp_pipelines_open(ctx, &po, &pipelines, &err), &err);
    jo.database = database;
    jo.queue = queue;
    jo.storage = storage;
    jo.catalog = catalog;
    jo.pipelines = pipelines;
    jo.on_change = on_change;
    must(fp_jobs_open(ctx, &jo, &jobs, &err), &err);
    uo.database = database;
    uo.storage = storage;
    uo.catalog = catalog; /* no jobs: the bench queues its own */
    must(fp_uploads_open(ctx, &uo, &uploads, &err), &err);
}

static void open_all(void)
{
    char uri[1024];
    fp_error err = { 0 };

    must(fp_context_new(NULL, &ctx, &err), &err);
    must(fp_context_add_operation(ctx, &nothing, &err), &err);
    snprintf(uri, sizeof(uri), "file://%s/objects", given.folder);
    must(fp_storage_open(ctx, uri, NULL, &storage, &err), &err);
    snprintf(uri, sizeof(uri), "sqlite://%s/fileproc.db", given.folder);
    must(fp_database_open(ctx, given.database ? given.database : uri, NULL, &database, &err), &err);
    must(fp_database_migrate(database, &err), &err);
    open_ledger();
}

static void upload(void)
{
    fp_upload_request req = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *up, *done;
    fp_chunk *chunk;
    fp_error err = { 0 };

    req.filename = "nothing.txt";
    req.mime_type = "text/plain";
    req.size = 5;
    must(fp_upload_create(uploads, &req, &up, &err), &err);
    must(fp_chunk_begin(uploads, up->id, 0, NULL, &chunk, &err), &err);
    must(fp_chunk_write(chunk, "hello", 5, &err), &err);
    must(fp_chunk_commit(chunk, NULL, &err), &err);
    fp_chunk_free(chunk);
    must(fp_upload_complete(uploads, up->id, &done, &err), &err);
    snprintf(file_id, sizeof(file_id), "%s", done->file_id);
    fp_upload_free(done);
    fp_upload_free(up);
}

static void *create(void *unused)
{
    fp_error err = { 0 };
    fp_job *job;

    while (atomic_fetch_sub(&left, 1) > 0) {
        must(fp_job_create(jobs, file_id, PIPELINE, &job, &err), &err);
        fp_job_free(job);
    }
    return unused;
}

/* Nothing may be left, and nothing may have gone wrong. */
static void check_states(void)
{
    static const char *const states[] = { "queued", "running", "failed", "dead", "cancelled" };
    fp_error err = { 0 };

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        fp_job_query query = FILEPROC_JOB_QUERY_INIT;
        fp_job_page *page;

        query.state = states[i];
        must(fp_job_list(jobs, &query, &page, &err), &err);
        if (page->count) {
            fprintf(stderr, "there are jobs %s\n", states[i]);
            exit(1);
        }
        fp_job_page_free(page);
    }
}

/* ---- the workers' side ---- */

static void *work(void *worker)
{
    fp_error err = { 0 };
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK)
        rc = fp_worker_serve(worker, 1000, NULL, &err);
    if (rc != FILEPROC_ERR_CANCELLED)
        must(rc, &err);
    return NULL;
}

static void start_workers(fp_worker **workers, pthread_t *threads)
{
    for (int i = 0; i < given.threads; i++)
        pthread_create(&threads[i], NULL, work, workers[i]);
}

static void join_workers(const pthread_t *threads)
{
    for (int i = 0; i < given.threads; i++)
        pthread_join(threads[i], NULL);
}

static void wait_for(int fd)
{
    char byte;

    if (read(fd, &byte, 1) != 1)
        exit(1);
}

static void tell(int fd)
{
    if (write(fd, "", 1) != 1)
        exit(1);
}

/* Subscribes, so that the doorbells have to be taken, too. A broker in which several make a queue at once may need a moment. */
static void listen_once(void)
{
    fp_message *bell = NULL;
    fp_error err = { 0 };
    fp_status rc;

    do
        rc = fp_queue_receive(queue, TOPIC, 100, &bell, &err);
    while (rc == FILEPROC_ERR_BUSY);
    must(rc, &err);
    fp_message_free(bell);
}

/* Each word of the parent is answered when it is done: open, work, stop. */
static void be_worker(int in, int out)
{
    fp_worker *workers[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    fp_error err = { 0 };

    wait_for(in);
    open_all();
    for (int i = 0; i < given.threads; i++)
        must(fp_worker_new(jobs, &workers[i], &err), &err);
    listen_once();
    tell(out);
    wait_for(in);
    start_workers(workers, threads);
    tell(out);
    wait_for(in);
    for (int i = 0; i < given.threads; i++)
        fp_worker_stop(workers[i]);
    fp_queue_wake(queue);
    join_workers(threads);
    exit(0);
}

/* ---- the parent's ---- */

typedef struct process {
    pid_t pid;
    int in, out;
} process;

static void start_process(process *p)
{
    int in[2], out[2];

    if (pipe(in) != 0 || pipe(out) != 0)
        exit(1);
    p->pid = fork();
    if (p->pid < 0)
        exit(1);
    if (p->pid == 0) {
        close(in[1]);
        close(out[0]);
        be_worker(in[0], out[1]);
    }
    close(in[0]);
    close(out[1]);
    p->in = in[1];
    p->out = out[0];
}

static void command(const process *workers)
{
    for (int i = 0; i < given.processes; i++)
        tell(workers[i].in);
    for (int i = 0; i < given.processes; i++)
        wait_for(workers[i].out);
}

/* Seconds until all jobs have ended. */
static double run_all(const process *workers)
{
    const struct timespec nap = { 0, 2000000 };
    int64_t start = now_ns();

    atomic_store(&shared->ended, 0);
    command(workers);
    while (atomic_load(&shared->ended) < given.jobs)
        nanosleep(&nap, NULL);
    return (double)(atomic_load(&shared->ended_ns) - start) / 1e9;
}

static double create_all(void)
{
    pthread_t threads[CREATORS];
    int64_t start = now_ns();

    atomic_store(&left, given.jobs);
    for (int i = 0; i < CREATORS; i++)
        pthread_create(&threads[i], NULL, create, NULL);
    for (int i = 0; i < CREATORS; i++)
        pthread_join(threads[i], NULL);
    return (double)(now_ns() - start) / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Milliseconds from the call that queues a job to its start, sorted. */
static double *measure_latencies(void)
{
    double *ms = calloc((size_t)given.latencies + 1, sizeof(*ms));
    const struct timespec pause = { 0, PAUSE_NS }, nap = { 0, 50000 };

    if (!ms)
        exit(1);
    for (int i = 0; i < given.latencies; i++) {
        int64_t start = now_ns();

        atomic_store(&shared->started_ns, 0);
        atomic_store(&left, 1);
        (void)create(NULL);
        while (!atomic_load(&shared->started_ns))
            nanosleep(&nap, NULL);
        ms[i] = (double)(atomic_load(&shared->started_ns) - start) / 1e6;
        nanosleep(&pause, NULL);
    }
    qsort(ms, (size_t)given.latencies, sizeof(*ms), compare);
    return ms;
}

/* The first job learns the type of the file. */
static void warm_up(void)
{
    fp_error err = { 0 };
    fp_worker *worker;
    int32_t ran = 0;

    upload();
    atomic_store(&left, 1);
    (void)create(NULL);
    must(fp_worker_new(jobs, &worker, &err), &err);
    while (!ran)
        must(fp_worker_run(worker, 0, &ran, &err), &err);
    fp_worker_free(worker);
}

static void measure(const process *workers)
{
    double created, done, *ms;
    int n = given.latencies;

    open_all();
    warm_up();
    command(workers); /* open */
    created = create_all();
    done = run_all(workers);
    check_states();
    ms = measure_latencies();
    printf("{\"processes\": %d, \"threads\": %d, \"created_per_s\": %.0f, \"jobs_per_s\": %.0f,"
           " \"start_p50_ms\": %.2f, \"start_p99_ms\": %.2f}\n",
           given.processes, given.threads, given.jobs / created, given.jobs / done, ms[n / 2],
           ms[n * 99 / 100]);
    free(ms);
}

static int number(const char *text, int most)
{
    long n = strtol(text, NULL, 10);

    return n < 0 || n > most ? -1 : (int)n;
}

int main(int argc, char **argv)
{
    process workers[MAX_PROCESSES];

    if (argc < 7 || argc > 9)
        return 2;
    given.folder = argv[1];
    given.helper = argv[2];
    given.processes = number(argv[3], MAX_PROCESSES);
    given.threads = number(argv[4], MAX_THREADS);
    given.jobs = number(argv[5], 10000000);
    given.latencies = number(argv[6], 1000000);
    given.database = argc > 7 ? argv[7] : NULL;
    given.queue = argc > 8 ? argv[8] : "database:";
    if (given.processes < 1 || given.threads < 1 || given.jobs < 1 || given.latencies < 0)
        return 2;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    for (int i = 0; i < given.processes; i++)
        start_process(&workers[i]);
    measure(workers);
    for (int i = 0; i < given.processes; i++) {
        tell(workers[i].in);
        waitpid(workers[i].pid, NULL, 0);
    }
    return 0;
}
