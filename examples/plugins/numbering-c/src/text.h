// Text as the interface gives it: bytes with a length, UTF-8, no zero at the end.
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A piece of text that belongs to somebody else.
typedef struct {
  const char *at;
  size_t length;
} text;

// Text that grows; `at` belongs to whoever takes it.
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

// Memory that is always there: the host ends the question when there is none.
void *allocate(size_t size);

text text_of(const char *literal);
bool text_equal(text a, text b);
text text_from(text t, size_t start);
text text_until(text t, size_t end);
// Without white space at both ends.
text text_trim(text t);
bool is_space(uint32_t character);

// The character at the beginning, and how many bytes it takes; `t` is not empty.
uint32_t first_character(text t, size_t *bytes);
characters decode(text t);

void put(builder *b, text t);
void put_literal(builder *b, const char *literal);
void put_character(builder *b, uint32_t character);
// Decimal, with zeros in front up to `width`.
void put_number(builder *b, uint64_t number, size_t width);
// Sixteen hexadecimal digits.
void put_handle(builder *b, uint64_t handle);
text built(const builder *b);

#endif
