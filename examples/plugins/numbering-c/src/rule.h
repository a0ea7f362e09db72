// One rule, `source -> target`: its grammar and what it does to a number.
//
//   source     = *( literal / "?" ) [ "*" ] *2constraint
//   constraint = ( "L" / "E" / "G" ) 1*2DIGIT
//   target     = alternative *( ";" alternative )
//   alternative= range / *( literal / "?" / "$" / "*" )
//   range      = 1*DIGIT "-" 1*DIGIT
//   literal    = any allowed character, or "\" followed by any character
#ifndef RULE_H
#define RULE_H

#include "text.h"

// Bound of a constraint that is not there.
#define NO_BOUND (-1)
// Head character `?`: no character of Unicode.
#define ANY_DIGIT 0xffffffffu

typedef enum { LITERAL, RANDOM_DIGIT, COPY, REST } piece_kind;

typedef struct {
  piece_kind kind;
  // LITERAL: the character. COPY: its index in the original number.
  uint32_t value;
} piece;

typedef struct {
  // A range from `low` to `high`, written with `width` digits; 0 is no range.
  size_t width;
  uint64_t low, high;
  piece *pieces;
  size_t count;
} alternative;

typedef struct {
  uint32_t *head;
  size_t head_length, literals;
  bool star;
  // On the length of the rest.
  int equal, less, greater;
  alternative *alternatives;
  size_t count;
  // In the list, from 0.
  size_t position;
} rule;

// Reads a rule; on false `reason` says which part of the grammar it breaks.
bool rule_parse(text source, text target, rule *result, builder *reason);
void rule_free(rule *r);

// Which rule comes first (NUM-13); for qsort.
int rule_order(const void *a, const void *b);

// Does the rule match? Then this is its result (NUM-14 to NUM-16).
bool rule_apply(const rule *r, characters number, builder *result);

#endif
