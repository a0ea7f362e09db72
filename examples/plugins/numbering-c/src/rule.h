// One rule, `source -> target`: its grammar and its effect on a number.
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

// Bound of a missing constraint.
#define NO_BOUND (-1)
// Head entry for `?`; not a Unicode character.
#define ANY_DIGIT 0xffffffffu

typedef enum { LITERAL, RANDOM_DIGIT, COPY, REST } piece_kind;

typedef struct {
  piece_kind kind;
  // LITERAL: the character. COPY: its index in the original number.
  uint32_t value;
} piece;

typedef struct {
  // A range from `low` to `high`, written with `width` digits; width 0: no range.
  size_t width;
  uint64_t low, high;
  piece *pieces;
  size_t count;
} alternative;

typedef struct {
  uint32_t *head;
  size_t head_length, literals;
  bool star;
  // Constraints on the length of the rest.
  int equal, less, greater;
  alternative *alternatives;
  size_t count;
  // Position in the list, from 0.
  size_t position;
} rule;

// Reads a rule; if it returns false, `reason` says which part of the grammar the rule breaks.
bool rule_parse(text source, text target, rule *result, builder *reason);
void rule_free(rule *r);

// Best rule first (NUM-13); for qsort.
int rule_order(const void *a, const void *b);

// Writes the number after this rule; false if the rule does not match (NUM-14 to NUM-16).
bool rule_apply(const rule *r, characters number, builder *result);

#endif
