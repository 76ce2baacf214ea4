/* Owns: the one table of settings: names, types, ranges, defaults, help.
 * Must not know: how values are read, or what a setting does. */
#include "core/config_private.h"

#define KIB INT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)
#define PIB (TIB * 1024)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Names without FILEPROC_ are the starter kit's. A row belongs here once something reads it. Keep the groups together: help and
 * documentation follow the order of this table. */
static const fpi_setting rows[] = {
    { "FILEPROC_PORT", FPI_SETTING_INTEGER, FPI_GROUP_SERVER, "auto", 0, 65535, "auto",
      "TCP port to serve on. auto is 8000 for fileprocd and fileproc-upload, 8001 for fileproc-metadata, 8002 for fileproc-ai, "
      "8003 for fileproc-storage, 8004 for fileproc-processing. 0 takes a free one." },
    { "FILEPROC_LISTEN", FPI_SETTING_TEXT, FPI_GROUP_SERVER, "127.0.0.1", 1, 64, NULL,
      "Address to listen on. Without authentication any address but loopback needs --insecure." },
    { "FILEPROC_INSECURE", FPI_SETTING_SWITCH, FPI_GROUP_SERVER, "false", 0, 1, NULL,
      "Serve other machines although nobody has to log in." },
    { "FILEPROC_HTTP_THREADS", FPI_SETTING_INTEGER, FPI_GROUP_SERVER, "64", 4, 4096, NULL,
      "Connections served at once; each holds a thread." },
    { "FILEPROC_KEEP_ALIVE_TIMEOUT", FPI_SETTING_DURATION, FPI_GROUP_SERVER, "5s", 0, HOUR, NULL,
      "How long an idle connection is kept. 0 closes it after each answer." },
    { "FILEPROC_REQUEST_TIMEOUT", FPI_SETTING_DURATION, FPI_GROUP_SERVER, "30s", 100, DAY, NULL,
      "How long a client may pause within a request." },
    { "FILEPROC_DRAIN_TIMEOUT", FPI_SETTING_DURATION, FPI_GROUP_SERVER, "30s", 0, HOUR, NULL,
      "How long requests in progress may take to end after SIGTERM." },
    { "FILEPROC_ALLOWED_HOSTS", FPI_SETTING_LIST, FPI_GROUP_SERVER, "", 0, 256, NULL,
      "Names under which clients and proxies may address the server, beside localhost; * is any. Checked on loopback, "
      "or when given." },
    { "FILEPROC_CORS_ORIGINS", FPI_SETTING_LIST, FPI_GROUP_SERVER, "", 0, 256, NULL,
      "Origins whose pages may call the API, such as https://app.example.com. Empty: none." },
    { "FILEPROC_RATE_LIMIT", FPI_SETTING_INTEGER, FPI_GROUP_SERVER, "0", 0, 1000000000, NULL,
      "Requests that one client address may send in FILEPROC_RATE_WINDOW, health and metrics aside. 0 is any number. Counted by all "
      "daemons together with REDIS_URL, else by each." },
    { "FILEPROC_RATE_LIMIT_OWNER", FPI_SETTING_INTEGER, FPI_GROUP_SERVER, "0", 0, 1000000000, NULL,
      "Uploads that one owner (user_id) may begin in FILEPROC_RATE_WINDOW. 0 is any number." },
    { "FILEPROC_RATE_WINDOW", FPI_SETTING_DURATION, FPI_GROUP_SERVER, "1m", 1000, DAY, NULL,
      "Sliding window of the two limits above." },
    { "FILEPROC_TRUSTED_PROXIES", FPI_SETTING_LIST, FPI_GROUP_SERVER, "", 0, 256, NULL,
      "Addresses of proxies that are believed: X-Forwarded-For says who the client is, X-Forwarded-Prefix, -Proto and "
      "-Host, or Forwarded, at which address it sees this server." },
    { "FILEPROC_MAX_WATCHERS", FPI_SETTING_INTEGER, FPI_GROUP_SERVER, "8192", 0, 100000, NULL,
      "WebSockets open at once; each is one of the process's open files, of which they get half at the most." },
    { "FILEPROC_MAX_STREAMS", FPI_SETTING_INTEGER, FPI_GROUP_SERVER, "512", 0, 4096, NULL,
      "Event streams open at once; each is an open file, too, of which they get a quarter at the most, and has a thread of its own." },
    { "FILEPROC_PEER_UPLOAD", FPI_SETTING_URI, FPI_GROUP_SERVER, "http://127.0.0.1:8000", 1, 4096,
      NULL, "Where fileproc-upload is, for /health/all." },
    { "FILEPROC_PEER_METADATA", FPI_SETTING_URI, FPI_GROUP_SERVER, "http://127.0.0.1:8001", 1, 4096,
      NULL, "Where fileproc-metadata is, for /health/all." },
    { "FILEPROC_PEER_AI", FPI_SETTING_URI, FPI_GROUP_SERVER, "http://127.0.0.1:8002", 1, 4096, NULL,
      "Where fileproc-ai is, for /health/all." },
    { "FILEPROC_PEER_STORAGE", FPI_SETTING_URI, FPI_GROUP_SERVER, "http://127.0.0.1:8003", 1, 4096,
      NULL, "Where fileproc-storage is, for /health/all." },
    { "FILEPROC_PEER_PROCESSING", FPI_SETTING_URI, FPI_GROUP_SERVER, "http://127.0.0.1:8004", 1,
      4096, NULL, "Where fileproc-processing is, for /health/all." },
    { "FILEPROC_PEER_TIMEOUT", FPI_SETTING_DURATION, FPI_GROUP_SERVER, "4s", 10, MINUTE, NULL,
      "How long /health/all waits for the other services." },

    { "FILEPROC_DATA", FPI_SETTING_PATH, FPI_GROUP_DATA, "./data", 1, 4000, NULL,
      "Folder for everything that is kept: objects and the database. Made when missing, and not used when both are on servers." },
    { "DATABASE_URL", FPI_SETTING_URI, FPI_GROUP_DATA, "", 0, 4096, NULL,
      "Database: sqlite:///var/lib/fileproc/fileproc.db, or postgresql://user:password@host:5432/name. Empty: a SQLite file in "
      "the data folder." },
    { "RABBITMQ_URL", FPI_SETTING_URI, FPI_GROUP_DATA, "", 0, 4096, NULL,
      "Broker for jobs and events, such as amqp://user:password@host:5672/. Empty: the database rings, events go nowhere." },
    { "REDIS_URL", FPI_SETTING_URI, FPI_GROUP_DATA, "", 0, 4096, NULL,
      "Redis server that several daemons on one database and store have in common, such as redis://:password@host:6379/0. Empty: "
      "watchers hear late of what other daemons do, or not at all." },
    { "FILEPROC_STORAGE_URL", FPI_SETTING_URI, FPI_GROUP_DATA, "", 0, 4096, NULL,
      "Store for the bytes of files, such as s3://bucket?endpoint=host:9000&secure=0. Empty: MINIO_BUCKET "
      "at MINIO_ENDPOINT when that is set, else files in the data folder." },
    { "MINIO_ENDPOINT", FPI_SETTING_TEXT, FPI_GROUP_DATA, "", 0, 255, NULL,
      "An S3 server of any make, as host:port." },
    { "MINIO_ACCESS_KEY", FPI_SETTING_SECRET, FPI_GROUP_DATA, "", 0, 1024, NULL,
      "Access key for the S3 server." },
    { "MINIO_SECRET_KEY", FPI_SETTING_SECRET, FPI_GROUP_DATA, "", 0, 1024, NULL,
      "Secret key for the S3 server." },
    { "MINIO_SECURE", FPI_SETTING_SWITCH, FPI_GROUP_DATA, "false", 0, 1, NULL,
      "Talk to MINIO_ENDPOINT by HTTPS." },
    { "MINIO_BUCKET", FPI_SETTING_TEXT, FPI_GROUP_DATA, "uploads", 1, 63, NULL,
      "Bucket at MINIO_ENDPOINT, and the one shown in the storage_url of a file." },

    { "MAX_FILE_SIZE", FPI_SETTING_SIZE, FPI_GROUP_UPLOADS, "100MiB", 1, PIB, NULL,
      "Largest file accepted." },
    { "CHUNK_SIZE", FPI_SETTING_SIZE, FPI_GROUP_UPLOADS, "5MiB", 1, GIB, NULL,
      "Size of every chunk of an upload but the last." },
    { "ALLOWED_MIME_TYPES", FPI_SETTING_LIST, FPI_GROUP_UPLOADS,
      "image/jpeg,image/png,image/gif,image/webp,application/pdf,text/plain,text/csv,application/zip,"
      "application/x-tar",
      1, 256, NULL, "Declared types accepted; image/* takes a whole family, * everything." },
    { "SESSION_TIMEOUT", FPI_SETTING_DURATION, FPI_GROUP_UPLOADS, "1h", SECOND, 3650 * DAY, NULL,
      "Life of an unfinished upload." },
    { "FILEPROC_IDLE_TIMEOUT", FPI_SETTING_DURATION, FPI_GROUP_UPLOADS, "0", 0, 3650 * DAY, NULL,
      "Time after which an unfinished upload is removed that got no bytes; those that come move its end, up to SESSION_TIMEOUT after "
      "its beginning. 0: only SESSION_TIMEOUT counts." },
    { "FILEPROC_MIN_FREE", FPI_SETTING_SIZE, FPI_GROUP_UPLOADS, "0", 0, PIB, NULL,
      "Room that a new upload must leave on the disk of the objects, else it is refused at once. 0 doesn't look." },
    { "FILEPROC_OWNER_MAX_SIZE", FPI_SETTING_SIZE, FPI_GROUP_UPLOADS, "0", 0, PIB, NULL,
      "Bytes that all files of one owner (user_id) may have, with what was made of them and his unfinished uploads, when he begins "
      "another upload. 0 is any number." },
    { "FILEPROC_OWNER_MAX_UPLOADS", FPI_SETTING_INTEGER, FPI_GROUP_UPLOADS, "0", 0, 1000000, NULL,
      "Unfinished uploads that one owner (user_id) may have. 0 is any number." },
    { "FILEPROC_REUSE_FILES", FPI_SETTING_SWITCH, FPI_GROUP_UPLOADS, "false", 0, 1, NULL,
      "A client that gives at initiate the sha256 of a file that the same user_id has already gets the upload completed without "
      "sending bytes." },
    { "FILEPROC_TOMBSTONE", FPI_SETTING_DURATION, FPI_GROUP_UPLOADS, "7d", SECOND, 3650 * DAY, NULL,
      "How long an ended upload is remembered, so that asking for it gets a precise answer." },
    { "FILEPROC_REAP_INTERVAL", FPI_SETTING_DURATION, FPI_GROUP_UPLOADS, "1m", 100, DAY, NULL,
      "How often expired and cancelled uploads are removed." },
    { "FILEPROC_REAP_GRACE", FPI_SETTING_DURATION, FPI_GROUP_UPLOADS, "1h", 0, 365 * DAY, NULL,
      "Age at which staged bytes that belong to no upload are removed." },

    { "FILEPROC_PREPUBLISH", FPI_SETTING_LIST, FPI_GROUP_UPLOADS, "", 0, 16, NULL,
      "Checks that a file passes in quarantine before anybody can read it, in this order: type.check, clamav.scan. All services need "
      "this setting and those below. Empty: files are there at once." },
    { "FILEPROC_CLAMD_URI", FPI_SETTING_URI, FPI_GROUP_UPLOADS, "", 0, 4096, NULL,
      "The clamd that clamav.scan asks: tcp://host:3310 or unix:///run/clamav/clamd.ctl." },
    { "FILEPROC_SCAN_MAX_SIZE", FPI_SETTING_SIZE, FPI_GROUP_UPLOADS, "100MiB", 1, PIB, NULL,
      "Larger files are unscannable. clamd has a limit of its own, StreamMaxLength." },
    { "FILEPROC_SCAN_TIMEOUT", FPI_SETTING_DURATION, FPI_GROUP_UPLOADS, "2m", 100, DAY, NULL,
      "How long clamd may take and say nothing." },
    { "FILEPROC_SCAN_UNSCANNABLE", FPI_SETTING_CHOICE, FPI_GROUP_UPLOADS, "hold", 0, 0,
      "accept hold reject", "What becomes of a file that can't be checked: too large, encrypted." },
    { "FILEPROC_SCAN_DOWN", FPI_SETTING_CHOICE, FPI_GROUP_UPLOADS, "retry", 0, 0,
      "accept hold reject retry",
      "What becomes of a file when clamd did not answer FILEPROC_JOB_MAX_ATTEMPTS times. retry asks again until it does." },
    { "FILEPROC_TYPE_MISMATCH", FPI_SETTING_CHOICE, FPI_GROUP_UPLOADS, "accept", 0, 0,
      "accept hold reject",
      "What becomes of a file in which type.check finds another type than was declared." },
    { "FILEPROC_REJECTED", FPI_SETTING_CHOICE, FPI_GROUP_UPLOADS, "remove", 0, 0, "remove keep",
      "What becomes of the bytes of a rejected file." },

    { "FILEPROC_WORKERS", FPI_SETTING_INTEGER, FPI_GROUP_JOBS, "auto", 0, 1024, "auto",
      "Jobs run at once. auto is one per core; 0 runs none in this process." },
    { "FILEPROC_JOB_MAX_ATTEMPTS", FPI_SETTING_INTEGER, FPI_GROUP_JOBS, "5", 1, 1000, NULL,
      "Starts of a job before it is dead." },
    { "FILEPROC_JOB_LEASE", FPI_SETTING_DURATION, FPI_GROUP_JOBS, "30s", 3 * SECOND, DAY, NULL,
      "How long a job stays with a worker that gives no sign of life." },
    { "FILEPROC_JOB_BACKOFF_BASE", FPI_SETTING_DURATION, FPI_GROUP_JOBS, "1s", 1, HOUR, NULL,
      "Longest wait before the first retry; it doubles with each." },
    { "FILEPROC_JOB_BACKOFF_CAP", FPI_SETTING_DURATION, FPI_GROUP_JOBS, "5m", 1, 7 * DAY, NULL,
      "Longest wait before any retry." },
    { "FILEPROC_JOB_RETENTION", FPI_SETTING_DURATION, FPI_GROUP_JOBS, "30d", 0, 3650 * DAY, NULL,
      "How long a job is remembered after its end; what it made stays. 0 keeps all." },
    { "FILEPROC_PIPELINES", FPI_SETTING_PATH, FPI_GROUP_JOBS, "", 0, 4000, NULL,
      "JSON file with pipelines that replace or add to the built-in ones." },

    { "FILEPROC_HELPER", FPI_SETTING_PATH, FPI_GROUP_MEDIA, "", 0, 4000, NULL,
      "The fileproc-media program, which alone decodes files. Empty: where it was installed." },
    { "FILEPROC_HELPER_MEMORY", FPI_SETTING_SIZE, FPI_GROUP_MEDIA, "4GiB", 256 * MIB, 64 * TIB,
      NULL, "Address space of one helper process." },
    { "FILEPROC_HELPER_TIMEOUT", FPI_SETTING_DURATION, FPI_GROUP_MEDIA, "2m", SECOND, DAY, NULL,
      "A helper is killed when one pipeline takes longer." },
    { "FILEPROC_MAX_PIXELS", FPI_SETTING_INTEGER, FPI_GROUP_MEDIA, "100000000", 1,
      INT64_C(100000000000), NULL,
      "Width x height x frames that an image or a rendered page may have." },
    { "FILEPROC_MAX_OUTPUT_SIZE", FPI_SETTING_SIZE, FPI_GROUP_MEDIA, "256MiB", KIB, TIB, NULL,
      "Largest derivative." },
    { "FILEPROC_MAX_UNPACKED_SIZE", FPI_SETTING_SIZE, FPI_GROUP_MEDIA, "10GiB", KIB, PIB, NULL,
      "What an archive may unpack to." },
    { "FILEPROC_MAX_ARCHIVE_ENTRIES", FPI_SETTING_INTEGER, FPI_GROUP_MEDIA, "100000", 1, 100000000,
      NULL, "Entries that an archive may have." },
    { "FILEPROC_MAX_PAGES", FPI_SETTING_INTEGER, FPI_GROUP_MEDIA, "500", 1, 1000000, NULL,
      "Pages of a document read or rendered in one step." },

    { "LOG_LEVEL", FPI_SETTING_CHOICE, FPI_GROUP_LOGGING, "INFO", 0, 0,
      "DEBUG INFO WARNING ERROR CRITICAL", "Least important messages that are logged." },
    { "ENVIRONMENT", FPI_SETTING_TEXT, FPI_GROUP_LOGGING, "development", 1, 64, NULL,
      "Name of this installation, in the log and in /health." },

    { "FILEPROC_HELP", FPI_SETTING_SWITCH, FPI_GROUP_COMMANDS, "false", 0, 1, NULL,
      "Show this text and end." },
    { "FILEPROC_VERSION", FPI_SETTING_SWITCH, FPI_GROUP_COMMANDS, "false", 0, 1, NULL,
      "Show the version and end." },
    { "FILEPROC_PRINT_CONFIG", FPI_SETTING_SWITCH, FPI_GROUP_COMMANDS, "false", 0, 1, NULL,
      "Show the settings in force, secrets masked, and end." },
    { "FILEPROC_REAP_DRY_RUN", FPI_SETTING_SWITCH, FPI_GROUP_COMMANDS, "false", 0, 1, NULL,
      "Show which uploads and bytes would be removed now as expired or left over, remove nothing, and end. The daemon may run meanwhile." },
};

const fpi_setting_table fpi_settings = { rows, sizeof(rows) / sizeof(*rows) };
