// Text in the form of the interface: bytes with a length, UTF-8, no terminating zero.
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Text in memory that it does not own.
typedef struct {
  const char *at;
  size_t length;
} text;

// Growing text; the code that takes `at` frees it.
typedef struct {
  char *at;
  size_t length;
  size_t room;
} builder;

// The characters of a text, decoded.
typedef struct {
  uint32_t *at;
  size_t length;
} characters;

// Never returns NULL: without memory it traps, and the host ends the question.
void *allocate(size_t size);

text text_of(const char *literal);
bool text_equal(text a, text b);
text text_from(text t, size_t start);
text text_until(text t, size_t end);
// Without white space at either end.
text text_trim(text t);
bool is_space(uint32_t character);

// The first character, and its length in bytes; `t` is not empty.
uint32_t first_character(text t, size_t *bytes);
characters decode(text t);

void put(builder *b, text t);
void put_literal(builder *b, const char *literal);
void put_character(builder *b, uint32_t character);
// Decimal, padded with zeros to `width`.
void put_number(builder *b, uint64_t number, size_t width);
// Sixteen hexadecimal digits.
void put_handle(builder *b, uint64_t handle);
text built(const builder *b);

#endif
