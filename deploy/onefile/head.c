/* The head of the one file: unpacks the tree behind it once, checks it at each start, runs it.
 *
 * The file is this program (static, so that it runs on every distribution), then the manifest and
 * the contents of the files, each a zlib stream, then a line with their sizes and their hash. See
 * pack.py, which writes it.
 *
 * Whoever can write into the tree can run what he likes as the user who starts it, mostly root. So
 * no directory from / to the tree may be one that another user could have made or can write into,
 * no link is followed below the directory that was chosen, and the tree becomes visible, by
 * rename(2), when it is whole. At each start the owner, the mode, the size and the time of each of
 * its files is compared with the manifest: a file that was added, changed or cleaned away shows.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>
#include <zlib.h>

#define FORMAT "tallyman-onefile 1 %10llu %10llu %10llu %10llu %10llu %16[0-9a-f]\n"
#define TRAILER (18 + 5 * 11 + 1 + 16 + 1)
#define SYSTEM "/var/lib" /* where root unpacks, for all users */
#define NAME "tallyman"
#define PROGRAM "bin/tallyman"
#ifndef STALE
#define STALE 3600 /* seconds after which what another start left half unpacked is removed */
#endif

extern char **environ;

struct image {
    int file;
    unsigned long long manifest_packed, manifest_size, tree_packed, tree_size, stamp;
    char hash[17];
    char *manifest;
};

struct entry {
    char type; /* d or f */
    unsigned mode;
    unsigned long long size;
    const char *path;
};

static int unfinished_base = -1; /* what is being unpacked, and goes when that fails */
static char unfinished[64];

static void remove_tree(int at, const char *name);

static _Noreturn void fail(const char *format, ...)
{
    va_list values;
    if (unfinished_base >= 0)
        remove_tree(unfinished_base, unfinished);
    va_start(values, format);
    fputs("tallyman: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    exit(2); /* as the agent says that a person must act; see RestartPreventExitStatus in its unit */
}

static _Noreturn void incomplete(void)
{
    fail("this file is damaged or was downloaded in part; compare its checksum and fetch it again");
}

/* The file's own parts */

static void read_trailer(struct image *image)
{
    char trailer[TRAILER + 1] = "";
    struct stat file;

    image->file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (image->file < 0) /* no /proc yet: what the kernel was told to execute */
        image->file = open((const char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
    if (image->file < 0)
        fail("cannot read itself: %s", strerror(errno));
    if (fstat(image->file, &file) || file.st_size < TRAILER ||
        pread(image->file, trailer, TRAILER, file.st_size - TRAILER) != TRAILER ||
        sscanf(trailer, FORMAT, &image->manifest_packed, &image->manifest_size,
               &image->tree_packed, &image->tree_size, &image->stamp, image->hash) != 6)
        incomplete();
    off_t packed = (off_t)(image->manifest_packed + image->tree_packed) + TRAILER;
    if (packed > file.st_size || lseek(image->file, file.st_size - packed, SEEK_SET) < 0)
        incomplete();
}

struct stream {
    z_stream z;
    int file;
    int ended; /* zlib has seen the end, and compared the checksum */
    unsigned long long left; /* compressed bytes that were not read yet */
    unsigned char input[1 << 16];
};

static struct stream *open_stream(int file, unsigned long long packed)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream || inflateInit(&stream->z) != Z_OK)
        fail("out of memory");
    stream->file = file;
    stream->left = packed;
    return stream;
}

/* Fill the buffer; after the last one the stream must be at its end. */
static void inflate_into(struct stream *stream, void *buffer, size_t size, int last)
{
    stream->z.next_out = buffer;
    stream->z.avail_out = size;
    while (stream->z.avail_out || (last && !stream->ended)) {
        if (stream->ended)
            incomplete();
        if (!stream->z.avail_in && stream->left) {
            size_t want = stream->left < sizeof stream->input ? stream->left : sizeof stream->input;
            ssize_t got = read(stream->file, stream->input, want);
            if (got <= 0)
                incomplete();
            stream->left -= got;
            stream->z.next_in = stream->input;
            stream->z.avail_in = got;
        }
        int result = inflate(&stream->z, Z_NO_FLUSH);
        if (result == Z_STREAM_END)
            stream->ended = 1;
        else if (result != Z_OK)
            incomplete();
    }
}

static void read_manifest(struct image *image)
{
    struct stream *stream = open_stream(image->file, image->manifest_packed);
    image->manifest = malloc(image->manifest_size + 1);
    if (!image->manifest)
        fail("out of memory");
    inflate_into(stream, image->manifest, image->manifest_size, 1);
    image->manifest[image->manifest_size] = 0;
    inflateEnd(&stream->z);
    free(stream);
}

/* Return the entry of a line of the manifest and move to the next line; 0 at the end. */
static int next_entry(char **line, struct entry *entry)
{
    int path = 0;
    char *end = strchr(*line, '\n');
    if (!end)
        return 0;
    *end = 0;
    if (sscanf(*line, "%c %o %llu %n", &entry->type, &entry->mode, &entry->size, &path) != 3 ||
        !path)
        incomplete();
    entry->path = *line + path;
    *line = end + 1;
    return 1;
}

/* Directories that no other user can have made or can write into */

static void trusted(const char *path, const struct stat *found, uid_t owner, int last)
{
    if (!S_ISDIR(found->st_mode))
        fail("%s is no directory; remove it, or name another directory in TALLYMAN_UNPACK_DIR", path);
    if (found->st_uid != 0 && found->st_uid != owner)
        fail("%s belongs to user %u, who could exchange what is unpacked in it; "
             "name another directory in TALLYMAN_UNPACK_DIR", path, (unsigned)found->st_uid);
    /* In a sticky directory others can add, but not exchange what is the user's. */
    if (found->st_mode & (S_IWGRP | S_IWOTH) && (last || !(found->st_mode & S_ISVTX)))
        fail("%s can be written by others, who could exchange what is unpacked in it; "
             "chmod go-w, or name another directory in TALLYMAN_UNPACK_DIR", path);
}

/* Return a descriptor of the directory, which is made if need be. */
static int open_trusted(const char *path, mode_t mode)
{
    char walked[PATH_MAX] = "", rest[PATH_MAX];
    struct stat found;
    int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    snprintf(rest, sizeof rest, "%s", path);
    for (char *state, *part = strtok_r(rest, "/", &state), *next; part; part = next) {
        next = strtok_r(NULL, "/", &state);
        strncat(walked, "/", sizeof walked - strlen(walked) - 1);
        strncat(walked, part, sizeof walked - strlen(walked) - 1);
        int below = openat(at, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0 && errno == ENOENT) {
            if (mkdirat(at, part, mode) && errno != EEXIST) /* another start may make it */
                fail("cannot make %s: %s; name another directory in TALLYMAN_UNPACK_DIR", walked,
                     strerror(errno));
            below = openat(at, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        }
        if (below < 0 || fstat(below, &found))
            fail("cannot open %s: %s", walked, strerror(errno));
        trusted(walked, &found, geteuid(), !next);
        close(at);
        at = below;
    }
    return at;
}

/* The tree */

/* Return what is wrong with the tree in words, or NULL. */
static const char *damage(int tree, const struct image *image, uid_t owner)
{
    static char words[PATH_MAX + 64];
    char *copy = strdup(image->manifest), *line = copy;
    struct entry entry;
    struct stat found;

    if (!copy)
        fail("out of memory");
    while (next_entry(&line, &entry)) {
        const char *what = NULL;
        if (fstatat(tree, entry.path, &found, AT_SYMLINK_NOFOLLOW))
            what = strerror(errno);
        else if ((found.st_mode & S_IFMT) != (entry.type == 'd' ? S_IFDIR : S_IFREG))
            what = "is something else";
        else if (found.st_uid != owner)
            what = "belongs to another user";
        else if ((found.st_mode & 07777) != entry.mode)
            what = "has another mode";
        else if (entry.type == 'f' && (unsigned long long)found.st_size != entry.size)
            what = "has another size";
        else if ((unsigned long long)found.st_mtime != image->stamp)
            what = "was changed";
        if (what) {
            snprintf(words, sizeof words, "%s: %s", entry.path, what);
            free(copy);
            return words;
        }
    }
    free(copy);
    return NULL;
}

static void remove_tree(int at, const char *name)
{
    int directory = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = directory < 0 ? NULL : fdopendir(directory);
    if (entries) {
        for (struct dirent *entry; (entry = readdir(entries));)
            if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
                if (unlinkat(directory, entry->d_name, 0))
                    remove_tree(directory, entry->d_name);
        closedir(entries);
    }
    unlinkat(at, name, AT_REMOVEDIR);
}

/* What a start that was killed left. */
static void remove_stale(int base)
{
    int directory = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = directory < 0 ? NULL : fdopendir(directory);
    struct stat found;
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (!strncmp(entry->d_name, ".new-", 5) &&
            !fstatat(base, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) &&
            found.st_ctime < time(NULL) - STALE)
            remove_tree(base, entry->d_name);
    closedir(entries);
}

static int write_file(int tree, const struct entry *entry, struct stream *stream, int last)
{
    unsigned char buffer[1 << 16];
    int file = openat(tree, entry->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return -1;
    unsigned long long left = entry->size;
    do {
        size_t size = left < sizeof buffer ? left : sizeof buffer;
        left -= size;
        inflate_into(stream, buffer, size, last && !left);
        for (size_t done = 0; done < size;) {
            ssize_t wrote = write(file, buffer + done, size - done);
            if (wrote < 0)
                return -1;
            done += wrote;
        }
    } while (left);
    return fchmod(file, entry->mode) ? -1 : file;
}

static int write_tree(int tree, const struct image *image)
{
    struct stream *stream = open_stream(image->file, image->tree_packed);
    const struct timespec times[2] = {{.tv_sec = image->stamp}, {.tv_sec = image->stamp}};
    char *copy = strdup(image->manifest), *line = copy;
    struct entry entry;
    size_t count = 0, last = 0;

    if (!copy)
        fail("out of memory");
    while (next_entry(&line, &entry)) {
        count++;
        if (entry.type == 'f')
            last = count;
    }
    memcpy(copy, image->manifest, image->manifest_size);
    line = copy;
    for (size_t number = 1; next_entry(&line, &entry); number++) {
        if (entry.type == 'd') {
            if (strcmp(entry.path, ".") && mkdirat(tree, entry.path, 0700))
                return -1;
            continue;
        }
        int file = write_file(tree, &entry, stream, number == last);
        if (file < 0 || futimens(file, times) || close(file))
            return -1;
    }
    /* A directory's time changes with each of its entries, so theirs come last. */
    memcpy(copy, image->manifest, image->manifest_size);
    for (line = copy; next_entry(&line, &entry);)
        if (entry.type == 'd' && (fchmodat(tree, entry.path, entry.mode, 0) ||
                                  utimensat(tree, entry.path, times, 0)))
            return -1;
    free(copy);
    inflateEnd(&stream->z);
    free(stream);
    return 0;
}

/* Unpack the tree beside its place and rename it; another start may be first. */
static void unpack(int base, const char *path, const struct image *image)
{
    struct statvfs filesystem;
    struct timespec now;

    if (!statvfs(path, &filesystem) && filesystem.f_flag & ST_NOEXEC)
        fail("%s is mounted noexec, so nothing in it can be executed; "
             "name another directory in TALLYMAN_UNPACK_DIR", path);
    remove_stale(base);
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(unfinished, sizeof unfinished, ".new-%ld-%lld-%ld", (long)getpid(),
             (long long)now.tv_sec, now.tv_nsec);
    int tree = -1;
    if (mkdirat(base, unfinished, 0700))
        fail("cannot write into %s: %s; name another directory in TALLYMAN_UNPACK_DIR", path,
             strerror(errno));
    unfinished_base = base;
    tree = openat(base, unfinished, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (tree < 0 || write_tree(tree, image))
        fail("cannot unpack into %s: %s; that takes %llu MB; "
             "or name another directory in TALLYMAN_UNPACK_DIR",
             path, strerror(errno), (image->tree_size >> 20) + 1);
    close(tree);
    if (renameat(base, unfinished, base, image->hash)) {
        if (errno != EEXIST && errno != ENOTEMPTY)
            fail("cannot rename %s/%s: %s", path, unfinished, strerror(errno));
        remove_tree(base, unfinished); /* another start was first */
    }
    unfinished_base = -1;
}

static int open_tree(int base, const struct image *image)
{
    return openat(base, image->hash, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* Write the absolute path of the directory, or of the one that is to be made in its parent. */
static void resolve(const char *wanted, char *path)
{
    if (*wanted != '/')
        fail("%s is not an absolute path", wanted);
    if (realpath(wanted, path))
        return;
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", wanted);
    char *slash = strrchr(parent, '/');
    *slash = 0;
    if (errno != ENOENT || !realpath(slash == parent ? "/" : parent, path))
        fail("%s: %s; name another directory in TALLYMAN_UNPACK_DIR", wanted, strerror(errno));
    strncat(path, "/", PATH_MAX - strlen(path) - 1);
    strncat(path, slash + 1, PATH_MAX - strlen(path) - 1);
}

static void choose_base(char *path)
{
    char wanted[PATH_MAX];
    const char *named = getenv("TALLYMAN_UNPACK_DIR"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (named && *named)
        snprintf(wanted, sizeof wanted, "%s", named);
    else if (geteuid() == 0)
        snprintf(wanted, sizeof wanted, SYSTEM);
    else if (cache && *cache == '/')
        snprintf(wanted, sizeof wanted, "%s", cache);
    else if (home && *home == '/')
        snprintf(wanted, sizeof wanted, "%s/.cache", home);
    else
        fail("HOME is not set; name a directory to unpack into in TALLYMAN_UNPACK_DIR");
    resolve(wanted, path);
    strncat(path, "/" NAME, PATH_MAX - strlen(path) - 1);
}

/* Write the path of the checked tree, unpacked if need be. */
static void prepare(const struct image *image, char *path)
{
    struct stat found;
    const char *named = getenv("TALLYMAN_UNPACK_DIR");
    int base, tree = -1;

    /* What root has unpacked is for everybody: a service's own user may have no home. */
    if (geteuid() != 0 && !(named && *named)) {
        snprintf(path, PATH_MAX, SYSTEM "/" NAME);
        if (!lstat(path, &found) && S_ISDIR(found.st_mode) && found.st_uid == 0 &&
            !(found.st_mode & (S_IWGRP | S_IWOTH)))
            tree = open_tree(open_trusted(path, 0), image);
    }
    if (tree < 0) {
        choose_base(path);
        mode_t mask = umask(022); /* others read root's: serve becomes another user */
        base = open_trusted(path, geteuid() == 0 ? 0755 : 0700);
        umask(mask);
        tree = open_tree(base, image);
        if (tree < 0 && errno == ENOENT) {
            unpack(base, path, image);
            tree = open_tree(base, image);
        }
    }
    strncat(path, "/", PATH_MAX - strlen(path) - 1);
    strncat(path, image->hash, PATH_MAX - strlen(path) - 1);
    if (tree < 0 || fstat(tree, &found))
        fail("cannot open %s: %s", path, strerror(errno));
    if (!S_ISDIR(found.st_mode) || (found.st_uid != 0 && found.st_uid != geteuid()))
        fail("%s is not what this file unpacked: it is no directory of yours or root's", path);
    const char *what = damage(tree, image, found.st_uid);
    if (what)
        fail("%s is damaged (%s); remove it, and the next start unpacks it again: rm -r %s", path,
             what, path);
    close(tree);
}

/* A Python of the user's own environment is none of ours. */
static void clean_environment(void)
{
    char **kept = environ;
    for (char **variable = environ; *variable; variable++)
        if (strncmp(*variable, "PYTHON", 6))
            *kept++ = *variable;
    *kept = NULL;
    setenv("PYTHONDONTWRITEBYTECODE", "1", 1); /* the tree stays as it was unpacked */
}

int main(int count, char **words)
{
    struct image image = {0};
    char path[PATH_MAX], program[PATH_MAX + sizeof "/" PROGRAM];
    char **arguments = calloc(count + 4, sizeof *arguments);

    if (!arguments)
        fail("out of memory");
    read_trailer(&image);
    read_manifest(&image);
    prepare(&image, path);
    clean_environment();
    snprintf(program, sizeof program, "%s/" PROGRAM, path);
    int at = 0;
    arguments[at++] = program;
    arguments[at++] = "-P";
    arguments[at++] = "-m";
    arguments[at++] = "agent";
    for (int word = 1; word < count; word++)
        arguments[at++] = words[word];
    execv(program, arguments);
    if (errno == ENOENT) /* it is there: what misses is the dynamic loader that it names */
        fail("this system has no glibc, the C library of most distributions (Alpine has musl): "
             "run the container image of Tallyman here");
    fail("cannot execute %s: %s", program, strerror(errno));
}
