// Replaces the WASI imports of wasi-libc, which plugins do not have: formatting into memory works,
// and so does `abort`; printing and reading end the question.
#include <stdint.h>

#define NOT_HERE __builtin_trap()

int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t fd) {
  (void)fd;
  NOT_HERE;
}

int32_t __imported_wasi_snapshot_preview1_fd_fdstat_get(int32_t fd, int32_t stat) {
  (void)fd, (void)stat;
  NOT_HERE;
}

int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t fd, int64_t offset, int32_t whence,
                                                  int32_t position) {
  (void)fd, (void)offset, (void)whence, (void)position;
  NOT_HERE;
}

int32_t __imported_wasi_snapshot_preview1_fd_read(int32_t fd, int32_t parts, int32_t count,
                                                  int32_t read) {
  (void)fd, (void)parts, (void)count, (void)read;
  NOT_HERE;
}

int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t fd, int32_t parts, int32_t count,
                                                   int32_t written) {
  (void)fd, (void)parts, (void)count, (void)written;
  NOT_HERE;
}

_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t code) {
  (void)code;
  NOT_HERE;
}
