#include "rule.h"

#include "plugin.h"

#include <stdlib.h>
#include <string.h>

// More digits do not fit in 64 bits.
#define RANGE_DIGITS 18

// A character of a rule; if escaped, it has no special meaning.
typedef struct {
  uint32_t character;
  bool escaped;
} token;

typedef struct {
  token *at;
  size_t length;
} tokens;

static bool fail(builder *reason, const char *words) {
  put_literal(reason, words);
  return false;
}

static bool is(token t, char character) {
  return !t.escaped && t.character == (uint32_t)character;
}

static bool is_digit(uint32_t c) {
  return c >= '0' && c <= '9';
}

static int digit(token t) {
  return !t.escaped && is_digit(t.character) ? (int)(t.character - '0') : -1;
}

static bool is_allowed(uint32_t c) {
  return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c < 0x80 && c != 0 && strchr("+*#._-", (int)c));
}

static bool tokenize(text t, tokens *result, builder *reason) {
  *result = (tokens){allocate(t.length * sizeof(token)), 0};
  while (t.length) {
    bool escaped = t.at[0] == '\\';
    if (escaped) t = text_from(t, 1);
    if (t.length == 0) return fail(reason, "`\\` at the end escapes nothing");
    size_t bytes;
    result->at[result->length++] = (token){first_character(t, &bytes), escaped};
    t = text_from(t, bytes);
  }
  return true;
}

static bool literal(token t, uint32_t *character, builder *reason) {
  if (!t.escaped && !is_allowed(t.character)) {
    put_literal(reason, "`");
    put_character(reason, t.character);
    return fail(reason, "` is not allowed in a number (0-9 + * # A-Z a-z . _ -)");
  }
  *character = t.character;
  return true;
}

static char constraint_letter(token t) {
  return is(t, 'L') ? 'L' : is(t, 'E') ? 'E' : is(t, 'G') ? 'G' : 0;
}

// Length in tokens of the constraint at the end of the source; 0: no constraint.
static size_t constraint_at_end(tokens source, char *letter, int *bound) {
  size_t n = source.length;
  token *end = source.at + n;
  if (n >= 2 && (*letter = constraint_letter(end[-2])) && digit(end[-1]) >= 0) {
    *bound = digit(end[-1]);
    return 2;
  }
  if (n >= 3 && (*letter = constraint_letter(end[-3])) && digit(end[-2]) >= 0 &&
      digit(end[-1]) >= 0) {
    *bound = digit(end[-2]) * 10 + digit(end[-1]);
    return 3;
  }
  return 0;
}

// Removes the constraints from the end of a source.
static bool take_constraint(tokens *source, rule *r, builder *reason) {
  r->equal = r->less = r->greater = NO_BOUND;
  char letter;
  int bound, found = 0;
  for (size_t length; (length = constraint_at_end(*source, &letter, &bound)); found++) {
    int *field = letter == 'L' ? &r->less : letter == 'G' ? &r->greater : &r->equal;
    if (*field != NO_BOUND) {
      put_literal(reason, "`");
      put_character(reason, (uint32_t)letter);
      put_literal(reason, "` is given twice; write `\\");
      put_character(reason, (uint32_t)letter);
      return fail(reason, "` for the letter");
    }
    *field = bound;
    source->length -= length;
  }
  if (r->equal != NO_BOUND && found > 1) {
    return fail(reason, "`E` stands alone; write `\\E`, `\\L`, `\\G` for the letters");
  }
  return true;
}

static bool parse_source(tokens source, rule *r, builder *reason) {
  if (!take_constraint(&source, r, reason)) return false;
  r->star = source.length && is(source.at[source.length - 1], '*');
  if (r->star) source.length--;
  r->head = allocate(source.length * sizeof(uint32_t));
  r->head_length = source.length;
  for (size_t i = 0; i < source.length; i++) {
    if (is(source.at[i], '*')) return fail(reason, "`*` must be the last of the source");
    if (is(source.at[i], '?')) {
      r->head[i] = ANY_DIGIT;
    } else {
      if (!literal(source.at[i], &r->head[i], reason)) return false;
      r->literals++;
    }
  }
  return true;
}

static void put_digits(builder *b, const token *at, size_t length) {
  for (size_t i = 0; i < length; i++) put_character(b, at[i].character);
}

static uint64_t value(const token *at, size_t length) {
  uint64_t number = 0;
  for (size_t i = 0; i < length; i++) number = number * 10 + (uint64_t)digit(at[i]);
  return number;
}

// `a-b`, if the alternative consists only of digits, one `-` and digits.
static bool parse_range(tokens part, alternative *result, builder *reason) {
  size_t dash = 0;
  while (dash < part.length && !is(part.at[dash], '-')) dash++;
  if (dash == 0 || dash + 1 >= part.length) return true;
  for (size_t i = 0; i < part.length; i++) {
    if (i != dash && digit(part.at[i]) < 0) return true;
  }
  const token *high = part.at + dash + 1;
  size_t width = dash, high_width = part.length - dash - 1;
  const char *wrong = width != high_width ? "`: both ends must have the same width"
                      : width > RANGE_DIGITS ? "`: at most 18 digits"
                                             : NULL;
  if (wrong) {
    put_literal(reason, "range `");
    put_digits(reason, part.at, width);
    put_literal(reason, "-");
    put_digits(reason, high, high_width);
    return fail(reason, wrong);
  }
  *result = (alternative){width, value(part.at, width), value(high, width), NULL, 0};
  if (result->low > result->high) {
    put_literal(reason, "range ");
    put_number(reason, result->low, width);
    put_literal(reason, "-");
    put_number(reason, result->high, width);
    return fail(reason, ": the first is above the second");
  }
  return true;
}

static bool parse_alternative(tokens part, rule *r, builder *reason) {
  alternative *result = &r->alternatives[r->count++];
  *result = (alternative){0};
  if (!parse_range(part, result, reason)) return false;
  if (result->width) return true;
  size_t stars = 0;
  for (size_t i = 0; i < part.length; i++) stars += is(part.at[i], '*');
  if (stars > 1) return fail(reason, "a target has at most one `*`");
  bool rest_kept = stars == 1 || !r->star;
  result->pieces = allocate(part.length * sizeof(piece));
  size_t position = 0;
  for (size_t i = 0; i < part.length; i++) {
    piece *p = &result->pieces[result->count++];
    *p = (piece){REST, 0};
    if (is(part.at[i], '*')) continue;
    position++;
    if (is(part.at[i], '?')) {
      p->kind = RANDOM_DIGIT;
    } else if (is(part.at[i], '$')) {
      if (rest_kept && position > r->head_length) {
        put_literal(reason, "`$` at position ");
        put_number(reason, position, 1);
        put_literal(reason, " is beyond the ");
        put_number(reason, r->head_length, 1);
        return fail(reason, " characters of the source while the rest is kept");
      }
      *p = (piece){COPY, (uint32_t)(position - 1)};
    } else {
      p->kind = LITERAL;
      if (!literal(part.at[i], &p->value, reason)) return false;
    }
  }
  return true;
}

static bool parse_target(tokens target, rule *r, builder *reason) {
  r->alternatives = allocate((target.length + 1) * sizeof(alternative));
  size_t start = 0;
  for (size_t i = 0; i <= target.length; i++) {
    if (i < target.length && !is(target.at[i], ';')) continue;
    if (!parse_alternative((tokens){target.at + start, i - start}, r, reason)) return false;
    start = i + 1;
  }
  return true;
}

bool rule_parse(text source, text target, rule *r, builder *reason) {
  *r = (rule){0};
  tokens left = {0}, right = {0};
  bool parsed = tokenize(source, &left, reason) && parse_source(left, r, reason) &&
                tokenize(target, &right, reason) && parse_target(right, r, reason);
  free(left.at);
  free(right.at);
  if (!parsed) rule_free(r);
  return parsed;
}

void rule_free(rule *r) {
  for (size_t i = 0; i < r->count; i++) free(r->alternatives[i].pieces);
  free(r->alternatives);
  free(r->head);
}

// E first, then L with G, then L or G alone, then no constraint.
static int constraint_rank(const rule *r) {
  if (r->equal != NO_BOUND) return 0;
  return 3 - (r->less != NO_BOUND) - (r->greater != NO_BOUND);
}

int rule_order(const void *first, const void *second) {
  const rule *a = first, *b = second;
  if (a->head_length != b->head_length) return a->head_length > b->head_length ? -1 : 1;
  if (a->literals != b->literals) return a->literals > b->literals ? -1 : 1;
  int rank = constraint_rank(a) - constraint_rank(b);
  if (rank) return rank;
  if (a->star != b->star) return a->star ? 1 : -1;
  return a->position < b->position ? -1 : 1;
}

static bool matches(const rule *r, characters number) {
  if (number.length < r->head_length) return false;
  for (size_t i = 0; i < r->head_length; i++) {
    bool fits = r->head[i] == ANY_DIGIT ? is_digit(number.at[i]) : r->head[i] == number.at[i];
    if (!fits) return false;
  }
  size_t rest = number.length - r->head_length;
  return (r->equal == NO_BOUND || rest == (size_t)r->equal) &&
         (r->less == NO_BOUND || rest < (size_t)r->less) &&
         (r->greater == NO_BOUND || rest > (size_t)r->greater);
}

// A uniform number below `limit`: a draw that would favour low numbers is repeated.
static uint64_t below(uint64_t limit) {
  uint64_t fair = UINT64_MAX - UINT64_MAX % limit, bits;
  do bits = strowger_policy_host_random_next();
  while (bits >= fair);
  return bits % limit;
}

static void put_rest(const rule *r, characters number, builder *result) {
  for (size_t i = r->head_length; i < number.length; i++) put_character(result, number.at[i]);
}

bool rule_apply(const rule *r, characters number, builder *result) {
  if (!matches(r, number)) return false;
  const alternative *chosen = &r->alternatives[r->count > 1 ? below(r->count) : 0];
  bool rest_written = false;
  if (chosen->width) {
    put_number(result, chosen->low + below(chosen->high - chosen->low + 1), chosen->width);
  }
  for (size_t i = 0; i < chosen->count; i++) {
    piece p = chosen->pieces[i];
    switch (p.kind) {
      case LITERAL: put_character(result, p.value); break;
      case RANDOM_DIGIT: put_character(result, (uint32_t)('0' + below(10))); break;
      case COPY:
        if (p.value < number.length) put_character(result, number.at[p.value]);
        break;
      case REST:
        rest_written = true;
        put_rest(r, number, result);
        break;
    }
  }
  if (!rest_written && !r->star) put_rest(r, number, result);
  return true;
}
