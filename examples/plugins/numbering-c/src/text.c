#include "text.h"

#include <stdlib.h>
#include <string.h>

void *allocate(size_t size) {
  void *memory = malloc(size ? size : 1);
  if (!memory) __builtin_trap();
  return memory;
}

text text_of(const char *literal) {
  return (text){literal, strlen(literal)};
}

bool text_equal(text a, text b) {
  return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

text text_from(text t, size_t start) {
  return (text){t.at + start, t.length - start};
}

text text_until(text t, size_t end) {
  return (text){t.at, end};
}

// The property White_Space of Unicode.
bool is_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

uint32_t first_character(text t, size_t *bytes) {
  const unsigned char *b = (const unsigned char *)t.at;
  if (b[0] < 0x80) {
    *bytes = 1;
    return b[0];
  }
  // The interface carries valid UTF-8 only, so the first byte gives the length.
  size_t length = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
  uint32_t character = b[0] & (0xff >> (length + 1));
  for (size_t i = 1; i < length && i < t.length; i++) character = character << 6 | (b[i] & 0x3f);
  *bytes = length <= t.length ? length : t.length;
  return character;
}

text text_trim(text t) {
  while (t.length) {
    size_t bytes;
    if (!is_space(first_character(t, &bytes))) break;
    t = text_from(t, bytes);
  }
  while (t.length) {
    size_t start = t.length - 1;
    while (start > 0 && ((unsigned char)t.at[start] & 0xc0) == 0x80) start--;
    size_t bytes;
    if (!is_space(first_character(text_from(t, start), &bytes))) break;
    t.length = start;
  }
  return t;
}

characters decode(text t) {
  characters result = {allocate(t.length * sizeof(uint32_t)), 0};
  while (t.length) {
    size_t bytes;
    result.at[result.length++] = first_character(t, &bytes);
    t = text_from(t, bytes);
  }
  return result;
}

static void make_room(builder *b, size_t more) {
  if (b->length + more <= b->room) return;
  size_t room = (b->length + more) * 2;
  char *at = realloc(b->at, room);
  if (!at) __builtin_trap();
  b->at = at;
  b->room = room;
}

void put(builder *b, text t) {
  if (t.length == 0) return;
  make_room(b, t.length);
  memcpy(b->at + b->length, t.at, t.length);
  b->length += t.length;
}

void put_literal(builder *b, const char *literal) {
  put(b, text_of(literal));
}

void put_character(builder *b, uint32_t c) {
  char bytes[4];
  size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = length - 1; i > 0; i--, c >>= 6) bytes[i] = (char)(0x80 | (c & 0x3f));
  static const unsigned char first[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
  bytes[0] = (char)(first[length] | c);
  put(b, (text){bytes, length});
}

void put_number(builder *b, uint64_t number, size_t width) {
  char digits[20];
  size_t start = sizeof digits;
  do {
    digits[--start] = (char)('0' + number % 10);
    number /= 10;
  } while (number || (start > 0 && sizeof digits - start < width));
  put(b, (text){digits + start, sizeof digits - start});
}

void put_handle(builder *b, uint64_t handle) {
  for (int shift = 60; shift >= 0; shift -= 4) {
    put_character(b, (uint32_t)"0123456789abcdef"[handle >> shift & 15]);
  }
}

text built(const builder *b) {
  return (text){b->at, b->length};
}
