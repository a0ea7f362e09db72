// A list of rules and the choice among those that match; lists that were read before.
#ifndef RULESET_H
#define RULESET_H

#include "rule.h"

typedef struct {
  uint64_t handle;
  // Best rule first.
  rule *rules;
  size_t count;
  // Why the text is no rule set; empty when it is one.
  builder error;
} rule_set;

// Reads a text, one rule on each line; `error` names the first line that is none.
void rule_set_parse(text lines, rule_set *result);

// The number after the one rule that NUM-13 chooses; false if no rule matches.
bool rule_set_rewrite(const rule_set *set, text number, builder *result);

// The rules behind a handle, NULL for 0. Equal handles are equal texts, so a text is
// fetched and read once.
const rule_set *rule_set_get(uint64_t handle);

#endif
