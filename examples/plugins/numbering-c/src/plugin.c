// Rewrites numbers by the rules of a trunk: the functions that the host calls.
#include "plugin.h"
#include "ruleset.h"

#include <stdlib.h>

typedef exports_strowger_policy_numbering_question_t question_t;
typedef exports_strowger_policy_numbering_numbers_t numbers_t;
typedef exports_strowger_policy_numbering_rejection_t rejection_t;

static text read(plugin_string_t string) {
  return (text){(const char *)string.ptr, string.len};
}

// The bindings free the strings of an answer, unless they are empty.
static plugin_string_t give(builder b) {
  if (b.length == 0) {
    free(b.at);
    b.at = NULL;
  }
  return (plugin_string_t){(uint8_t *)b.at, b.length};
}

static plugin_string_t say(const char *words) {
  builder b = {0};
  put_literal(&b, words);
  return give(b);
}

static bool reject(rejection_t *rejection, uint16_t code, const char *reason, builder detail) {
  *rejection = (rejection_t){code, say(reason), give(detail)};
  return false;
}

// NUM-03: 1 to 64 characters, `+` only in first place.
static bool is_number(text t) {
  if (t.length == 0 || t.length > 64) return false;
  for (size_t i = t.at[0] == '+' ? 1 : 0; i < t.length; i++) {
    char c = t.at[i];
    bool allowed = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                   c == '*' || c == '#' || c == '.' || c == '_' || c == '-';
    if (!allowed) return false;
  }
  return true;
}

// `rules` is NULL if there are none; false refuses the call.
static bool find_rules(uint64_t handle, const rule_set **rules, rejection_t *rejection) {
  *rules = rule_set_get(handle);
  if (!*rules || !(*rules)->error.length) return true;
  builder detail = {0};
  put_literal(&detail, "rule set ");
  put_handle(&detail, handle);
  put_literal(&detail, " ");
  put(&detail, built(&(*rules)->error));
  return reject(rejection, 500, "internal_error", detail);
}

static bool rewrite_callee(const question_t *q, builder *callee, rejection_t *rejection) {
  text number = read(q->callee);
  const rule_set *rules;
  if (!find_rules(q->callee_rules, &rules, rejection)) return false;
  bool matched = rules && rule_set_rewrite(rules, number, callee);
  builder detail = {0};
  if (!matched && rules && q->reject_unmatched) {
    put_literal(&detail, "no rule matches callee `");
    put(&detail, number);
    put_literal(&detail, "`");
    return reject(rejection, 484, "number_invalid", detail);
  }
  if (!matched) put(callee, number);
  if (is_number(built(callee))) return true;
  put_literal(&detail, "callee `");
  if (callee->length == 0) {
    put(&detail, number);
    put_literal(&detail, "` is empty after its rewrite");
  } else {
    put(&detail, built(callee));
    put_literal(&detail, "`, rewritten from `");
    put(&detail, number);
    put_literal(&detail, "`, is not a number");
  }
  return reject(rejection, 484, "number_invalid", detail);
}

// A caller that is not a number is dropped (NUM-03).
static bool rewrite_caller(uint64_t handle, text number, builder *caller, rejection_t *rejection) {
  const rule_set *rules;
  if (!find_rules(handle, &rules, rejection)) return false;
  bool matched = rules && rule_set_rewrite(rules, number, caller);
  if (!matched) put(caller, number);
  if (!is_number(built(caller))) caller->length = 0;
  return true;
}

// The callee, then the caller, then the identity number: random draws happen in this order.
static bool rewrite(const question_t *q, numbers_t *numbers, rejection_t *rejection) {
  builder callee = {0}, caller = {0}, identity = {0};
  bool done = rewrite_callee(q, &callee, rejection) &&
              rewrite_caller(q->caller_rules, read(q->caller), &caller, rejection);
  if (done && q->stage == EXPORTS_STROWGER_POLICY_NUMBERING_STAGE_EGRESS) {
    done = rewrite_caller(q->identity_rules, built(&caller), &identity, rejection);
    builder prefixed = {0};
    put(&prefixed, read(q->tech_prefix));
    put(&prefixed, built(&callee));
    free(callee.at);
    callee = prefixed;
  }
  if (done) {
    *numbers = (numbers_t){.caller = give(caller), .callee = give(callee),
                           .identity = give(identity)};
  } else {
    free(callee.at);
    free(caller.at);
    free(identity.at);
  }
  return done;
}

bool exports_strowger_policy_numbering_rewrite(question_t *q, numbers_t *numbers,
                                               rejection_t *rejection) {
  bool done = rewrite(q, numbers, rejection);
  exports_strowger_policy_numbering_question_free(q);
  return done;
}

void exports_strowger_policy_lifecycle_describe(
    exports_strowger_policy_lifecycle_description_t *description) {
  description->name = say("numbering");
  description->version = say("1.0.0");
  description->summary = say("Rewrites numbers by pattern rules, longest match, one rule; in C.");
  description->config_schema = say("{\"type\":\"object\",\"unevaluatedProperties\":false}");
}

// There are no settings: the first one in `{"NAME":...}` is refused by name.
bool exports_strowger_policy_lifecycle_configure(plugin_string_t *config, plugin_string_t *error) {
  text json = read(*config);
  size_t start = 0, end;
  while (start < json.length && json.at[start++] != '"') {
  }
  for (end = start; end < json.length && json.at[end] != '"';) end++;
  text field = text_from(text_until(json, end), start);
  bool empty = field.length == 0;
  if (!empty) {
    builder words = {0};
    put_literal(&words, "field `");
    put(&words, field);
    put_literal(&words, "`: unknown field `");
    put(&words, field);
    put_literal(&words, "`, there are no fields");
    *error = give(words);
  }
  plugin_string_free(config);
  return empty;
}

// Rules, number and result; a NULL result means that the rules must be refused.
static const char *const EXAMPLES[][3] = {
    {"025 -> 010", "02584316146", "01084316146"},
    {"* -> 025*\n01 -> 00", "0112345678", "0012345678"},
    {"???? -> $$9$", "12345678", "12945678"},
    {"44E10 -> 0\n44 -> 00", "44123456789", "00123456789"},
    {"\\*99 ->", "*99880171", "880171"},
    {"120* -> 5000-4000", "", NULL},
    {"01 -> $$$", "", NULL},
};

bool exports_strowger_policy_lifecycle_self_test(uint32_t *passed, plugin_string_t *error) {
  size_t count = sizeof EXAMPLES / sizeof EXAMPLES[0];
  for (size_t i = 0; i < count; i++) {
    rule_set set = {0};
    rule_set_parse(text_of(EXAMPLES[i][0]), &set);
    builder result = {0};
    bool good = EXAMPLES[i][2] == NULL
                    ? set.error.length > 0
                    : set.error.length == 0 &&
                          rule_set_rewrite(&set, text_of(EXAMPLES[i][1]), &result) &&
                          text_equal(built(&result), text_of(EXAMPLES[i][2]));
    free(result.at);
    if (!good) {
      *error = say(EXAMPLES[i][0]);
      return false;
    }
  }
  *passed = (uint32_t)count;
  return true;
}
