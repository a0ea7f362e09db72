#include "ruleset.h"

#include "plugin.h"

#include <stdlib.h>
#include <string.h>

// Most rule sets in memory; one more clears them all, and they are read again when needed.
#define CAPACITY 4096
// Slots of the hash table, a power of two: at most half full.
#define PLACES (CAPACITY * 2)

static rule_set *kept[PLACES];
static size_t kept_count;

// A `#` with white space or an end of the line on each side begins a note.
static text without_note(text line) {
  bool before_is_space = true;
  for (size_t at = 0; at < line.length;) {
    size_t bytes;
    uint32_t character = first_character(text_from(line, at), &bytes);
    text after = text_from(line, at + bytes);
    size_t ignored;
    bool ends = after.length == 0 || is_space(first_character(after, &ignored));
    if (character == '#' && before_is_space && ends) return text_until(line, at);
    before_is_space = is_space(character);
    at += bytes;
  }
  return line;
}

// Source or target without surrounding white space.
static text side(text t) {
  t = text_trim(t);
  return text_equal(t, text_of("(nothing)")) ? text_of("") : t;
}

static bool parse_line(text line, rule *result, builder *error) {
  size_t arrow = 0;
  while (arrow + 1 < line.length && memcmp(line.at + arrow, "->", 2) != 0) arrow++;
  if (arrow + 1 >= line.length) {
    put_literal(error, "`");
    put(error, line);
    put_literal(error, "` is no rule; write `source -> target`");
    return false;
  }
  text source = side(text_until(line, arrow)), target = side(text_from(line, arrow + 2));
  builder reason = {0};
  bool parsed = rule_parse(source, target, result, &reason);
  if (!parsed) {
    put_literal(error, "rule `");
    put(error, source);
    put_literal(error, " -> ");
    put(error, target);
    put_literal(error, "`: ");
    put(error, built(&reason));
  }
  free(reason.at);
  return parsed;
}

void rule_set_parse(text rest, rule_set *set) {
  size_t most = 1;
  for (size_t i = 0; i < rest.length; i++) most += rest.at[i] == '\n';
  set->rules = allocate(most * sizeof(rule));
  set->count = 0;
  for (size_t number = 1; rest.length; number++) {
    size_t end = 0;
    while (end < rest.length && rest.at[end] != '\n') end++;
    text line = text_trim(without_note(text_until(rest, end)));
    rest = text_from(rest, end < rest.length ? end + 1 : end);
    if (line.length == 0) continue;
    builder reason = {0};
    rule *next = &set->rules[set->count];
    if (!parse_line(line, next, &reason)) {
      put_literal(&set->error, "line ");
      put_number(&set->error, number, 1);
      put_literal(&set->error, ": ");
      put(&set->error, built(&reason));
      free(reason.at);
      return;
    }
    next->position = set->count++;
  }
  qsort(set->rules, set->count, sizeof(rule), rule_order);
}

bool rule_set_rewrite(const rule_set *set, text number, builder *result) {
  characters decoded = decode(number);
  bool found = false;
  for (size_t i = 0; i < set->count && !found; i++) {
    found = rule_apply(&set->rules[i], decoded, result);
  }
  free(decoded.at);
  return found;
}

static void forget(rule_set *set) {
  for (size_t i = 0; i < set->count; i++) rule_free(&set->rules[i]);
  free(set->rules);
  free(set->error.at);
  free(set);
}

static rule_set **place_of(uint64_t handle) {
  size_t place = (size_t)(handle * 0x9e3779b97f4a7c15u >> 40) % PLACES;
  while (kept[place] && kept[place]->handle != handle) place = (place + 1) % PLACES;
  return &kept[place];
}

const rule_set *rule_set_get(uint64_t handle) {
  if (handle == 0) return NULL;
  rule_set **place = place_of(handle);
  if (*place) return *place;
  if (kept_count == CAPACITY) {
    for (size_t i = 0; i < PLACES; i++) {
      if (kept[i]) forget(kept[i]);
      kept[i] = NULL;
    }
    kept_count = 0;
    place = place_of(handle);
  }
  rule_set *set = allocate(sizeof *set);
  *set = (rule_set){.handle = handle};
  plugin_string_t lines;
  if (strowger_policy_host_config_text(handle, &lines)) {
    rule_set_parse((text){(const char *)lines.ptr, lines.len}, set);
    plugin_string_free(&lines);
  } else {
    put_literal(&set->error, "has no text in this configuration");
  }
  kept_count++;
  return *place = set;
}
