// A list of rules and the choice among those that match; a cache of parsed lists.
#ifndef RULESET_H
#define RULESET_H

#include "rule.h"

typedef struct {
  uint64_t handle;
  // Best rule first.
  rule *rules;
  size_t count;
  // Why the text is not a rule set; empty if it is one.
  builder error;
} rule_set;

// Reads a text, one rule per line; `error` names the first line that is not a rule.
void rule_set_parse(text lines, rule_set *result);

// Writes the number after the one rule that NUM-13 chooses; false if no rule matches.
bool rule_set_rewrite(const rule_set *set, text number, builder *result);

// The rules of a handle, NULL for 0. Equal handles mean equal texts, so a text is fetched and read
// once.
const rule_set *rule_set_get(uint64_t handle);

#endif
