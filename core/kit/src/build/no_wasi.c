// Replaces the WASI imports of wasi-libc, which plugins do not have: formatting into memory works,
// and so does `abort`. What is written to standard error, as `assert` does, becomes the text of the
// fault if the question ends in a trap. Standard output and files end the question.
#include "plugin.h"

#include <string.h>

static void explain(const char *text, size_t length) {
#ifdef STROWGER_HOST_FAULT
  plugin_string_t string = {(uint8_t *)text, length};
  strowger_policy_host_fault_explain(&string);
#else
  (void)text, (void)length;
#endif
}

static _Noreturn void not_here(const char *what) {
  explain(what, strlen(what));
  __builtin_trap();
}

int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t fd) {
  (void)fd;
  not_here("a plugin has no files to close");
}

// wasi-libc asks only about standard output: is it a terminal?
int32_t __imported_wasi_snapshot_preview1_fd_fdstat_get(int32_t fd, int32_t stat) {
  (void)fd, (void)stat;
  not_here("a plugin has no standard output; log with host-log, or write to standard error");
}

int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t fd, int64_t offset, int32_t whence,
                                                  int32_t position) {
  (void)fd, (void)offset, (void)whence, (void)position;
  not_here("a plugin has no files to seek in");
}

int32_t __imported_wasi_snapshot_preview1_fd_read(int32_t fd, int32_t parts, int32_t count,
                                                  int32_t read) {
  (void)fd, (void)parts, (void)count, (void)read;
  not_here("a plugin has no files to read");
}

struct part {
  const char *text;
  size_t length;
};

int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t fd, int32_t parts, int32_t count,
                                                   int32_t written) {
  if (fd != 2) not_here("a plugin has no standard output; log with host-log, or write to standard error");
  const struct part *part = (const struct part *)(uintptr_t)parts;
  size_t length = 0;
  for (int32_t i = 0; i < count; i++) {
    explain(part[i].text, part[i].length);
    length += part[i].length;
  }
  *(size_t *)(uintptr_t)written = length;
  return 0;
}

_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t code) {
  (void)code;
  not_here("a plugin has no process to exit from");
}
