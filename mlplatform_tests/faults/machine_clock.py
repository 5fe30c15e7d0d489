"""A wall clock that a test sets for processes it starts, while they run: what is asked of it is answered with an offset.

Timers go on as they do where a machine's clock is set: CLOCK_MONOTONIC is left alone, and a wait until a time of the wall
clock lasts as long as it would have. Files keep the times that the kernel gives them.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset(void) {
    static volatile long long *shared;
    if (!shared) {
        const char *name = getenv("MACHINE_CLOCK");
        int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
        void *found = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        static volatile long long none;
        if (file >= 0) close(file);
        shared = found == MAP_FAILED ? &none : (volatile long long *)found;
    }
    return *shared;
}
static void *real(const char *name) {
    const char *versions[] = {"GLIBC_2.3.2", "GLIBC_2.17"};
    void *found = 0;
    for (int i = 0; !found && i < 2; i++) found = dlvsym(RTLD_NEXT, name, versions[i]);
    return found ? found : dlsym(RTLD_NEXT, name);
}
int clock_gettime(clockid_t clock, struct timespec *t) {
    static int (*next)(clockid_t, struct timespec *);
    if (!next) next = real("clock_gettime");
    int done = next(clock, t);
    if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) t->tv_sec += offset();
    return done;
}
int gettimeofday(struct timeval *t, void *zone) {
    static int (*next)(struct timeval *, void *);
    if (!next) next = real("gettimeofday");
    int done = next(t, zone);
    if (!done) t->tv_sec += offset();
    return done;
}
time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
/* A wait until a time: of the monotonic clock where it is small. */
static struct timespec until(const struct timespec *t) {
    struct timespec of_kernel = *t;
    if (of_kernel.tv_sec > 1000000000LL) of_kernel.tv_sec -= offset();
    if (of_kernel.tv_sec < 0) of_kernel.tv_sec = 0;
    return of_kernel;
}
int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t) {
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!next) next = real("pthread_cond_timedwait");
    struct timespec end = until(t);
    return next(c, m, &end);
}
int sem_timedwait(sem_t *s, const struct timespec *t) {
    static int (*next)(sem_t *, const struct timespec *);
    if (!next) next = real("sem_timedwait");
    struct timespec end = until(t);
    return next(s, &end);
}
int pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *t) {
    static int (*next)(pthread_mutex_t *, const struct timespec *);
    if (!next) next = real("pthread_mutex_timedlock");
    struct timespec end = until(t);
    return next(m, &end);
}
"""


class MachineClock:
    """The clock of every process that is started with `env`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        assert compiler, "a C compiler is needed to set the clock of a process (Debian: gcc)"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "clock.c").write_text(SHIM)
        command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", "clock.so", "clock.c", "-ldl"]
        subprocess.run(command, cwd=folder, check=True)
        self._file = folder / "offset"
        self.ahead = timedelta(0)
        self.set(timedelta(0))
        self.env = {"LD_PRELOAD": str(folder / "clock.so"), "MACHINE_CLOCK": str(self._file)}

    def set(self, ahead: timedelta) -> None:
        """Let it go `ahead` of this process's clock from now on."""
        self.ahead = ahead
        flags = "r+b" if self._file.exists() else "wb"
        with self._file.open(flags) as file:
            file.write(struct.pack("<q", int(ahead.total_seconds())))

    @property
    def now(self) -> datetime:
        """What it shows."""
        return datetime.fromtimestamp(time.time(), UTC) + self.ahead
