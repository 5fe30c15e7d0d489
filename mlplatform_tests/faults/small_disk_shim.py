"""What a full or a read-only disk answers, as a library that is loaded before C's own: for files below one folder only."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT, STATE = "SMALL_DISK_ROOT", "SMALL_DISK_STATE"
"""Variables that name the folder, and the file that says how its disk is."""
FULL, READ_ONLY = "full", "ro"

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* 'f' full, 'r' read-only, 0 neither. */
static char state(void) {
    char first = 0;
    const char *name = getenv("SMALL_DISK_STATE");
    int file = name ? syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    if (syscall(SYS_read, file, &first, 1) != 1) first = 0;
    syscall(SYS_close, file);
    return first;
}
static int below(const char *path) {
    const char *root = getenv("SMALL_DISK_ROOT");
    size_t length = root ? strlen(root) : 0;
    return length > 1 && (!strncmp(path, root, length) || (!strncmp(path, root, length - 1) && !path[length - 1]));
}
static int names(int folder, const char *path) {
    char whole[8192];
    if (path[0] == '/') return below(path);
    char link[64];
    if (folder == AT_FDCWD) strcpy(link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t n = readlink(link, whole, 4096);
    if (n < 0) return 0;
    snprintf(whole + n, sizeof whole - n, "/%s", path);
    return below(whole);
}
/* SQLite's index of its log goes when the last connection closes, which makes room for the next one. */
static int holds(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 4 || !strncmp(path + n - 4, "-shm", 4)) return 0;
    path[n] = 0;
    return below(path);
}
static int refused(int error) { errno = error; return -1; }
static int frozen(int folder, const char *path) { return state() == 'r' && names(folder, path); }
/* Whether a write of so many bytes at `at` (-1: where the file stands) would need room that is not there. */
static int grows(int file, off_t at, size_t bytes) {
    struct stat found;
    if (!bytes || state() != 'f' || !holds(file) || fstat(file, &found) || !S_ISREG(found.st_mode)) return 0;
    if (at < 0) at = fcntl(file, F_GETFL) & O_APPEND ? found.st_size : lseek(file, 0, SEEK_CUR);
    return at + (off_t)bytes > found.st_size;
}
#define NEXT(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

ssize_t write(int f, const void *b, size_t n) {
    return grows(f, -1, n) ? refused(ENOSPC) : NEXT(ssize_t, write, int, const void *, size_t)(f, b, n);
}
ssize_t pwrite(int f, const void *b, size_t n, off_t at) {
    return grows(f, at, n) ? refused(ENOSPC) : NEXT(ssize_t, pwrite, int, const void *, size_t, off_t)(f, b, n, at);
}
ssize_t pwrite64(int f, const void *b, size_t n, off64_t at) {
    return grows(f, at, n) ? refused(ENOSPC) : NEXT(ssize_t, pwrite64, int, const void *, size_t, off64_t)(f, b, n, at);
}
static size_t total(const struct iovec *v, int n) { size_t t = 0; while (n--) t += v[n].iov_len; return t; }
ssize_t writev(int f, const struct iovec *v, int n) {
    return grows(f, -1, total(v, n)) ? refused(ENOSPC) : NEXT(ssize_t, writev, int, const struct iovec *, int)(f, v, n);
}
static int lengthens(int f, off_t size) {
    struct stat found;
    return state() == 'f' && holds(f) && !fstat(f, &found) && size > found.st_size;
}
int ftruncate(int f, off_t n) { return NEXT(int, ftruncate, int, off_t)(f, n); }
int fallocate(int f, int mode, off_t at, off_t n) {
    return lengthens(f, at + n) ? refused(ENOSPC) : NEXT(int, fallocate, int, int, off_t, off_t)(f, mode, at, n);
}
int posix_fallocate(int f, off_t at, off_t n) {
    return lengthens(f, at + n) ? ENOSPC : NEXT(int, posix_fallocate, int, off_t, off_t)(f, at, n);
}
int posix_fallocate64(int f, off64_t at, off64_t n) {
    return lengthens(f, at + n) ? ENOSPC : NEXT(int, posix_fallocate64, int, off64_t, off64_t)(f, at, n);
}
/* What Python's shutil copies by goes the long way instead. */
ssize_t sendfile(int to, int from, off_t *at, size_t n) {
    return state() == 'f' && holds(to) ? refused(ENOSPC) : NEXT(ssize_t, sendfile, int, int, off_t *, size_t)(to, from, at, n);
}
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t n, unsigned flags) {
    return state() == 'f' && holds(to) ? refused(ENOSPC)
        : NEXT(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned)(from, a, to, b, n, flags);
}
#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & (O_CREAT | O_TRUNC)))
#define OPENS(name) \
    int name(const char *p, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list v; va_start(v, flags); mode = va_arg(v, mode_t); va_end(v); } \
        return WRITES(flags) && frozen(AT_FDCWD, p) ? refused(EROFS) : NEXT(int, name, const char *, int, ...)(p, flags, mode); \
    }
OPENS(open)
OPENS(open64)
#define OPENS_AT(name) \
    int name(int d, const char *p, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list v; va_start(v, flags); mode = va_arg(v, mode_t); va_end(v); } \
        return WRITES(flags) && frozen(d, p) ? refused(EROFS) : NEXT(int, name, int, const char *, int, ...)(d, p, flags, mode); \
    }
OPENS_AT(openat)
OPENS_AT(openat64)
int access(const char *p, int how) {
    return how & W_OK && frozen(AT_FDCWD, p) ? refused(EROFS) : NEXT(int, access, const char *, int)(p, how);
}
int faccessat(int d, const char *p, int how, int flags) {
    return how & W_OK && frozen(d, p) ? refused(EROFS) : NEXT(int, faccessat, int, const char *, int, int)(d, p, how, flags);
}
int mkdir(const char *p, mode_t m) {
    return frozen(AT_FDCWD, p) ? refused(EROFS) : NEXT(int, mkdir, const char *, mode_t)(p, m);
}
int unlink(const char *p) { return frozen(AT_FDCWD, p) ? refused(EROFS) : NEXT(int, unlink, const char *)(p); }
int rename(const char *a, const char *b) {
    return frozen(AT_FDCWD, b) ? refused(EROFS) : NEXT(int, rename, const char *, const char *)(a, b);
}
"""


def build(folder: Path) -> Path:
    """The library, compiled into `folder`."""
    compiler = shutil.which("cc")
    assert compiler, "nothing can be mounted here, so that a C compiler is needed for a small disk (Debian: gcc)"
    (folder / "disk.c").write_text(SHIM)
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", "disk.so", "disk.c", "-ldl"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "disk.so"
