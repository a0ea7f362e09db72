// {{name}}: which caller identity does a vendor see?
#include "plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Room for the user part of a URI: numbers have at most 64 characters.
#define USER 256

static void copy(plugin_string_t *to, plugin_string_t from) {
  plugin_string_dup_n(to, (const char *)from.ptr, from.len);
}

// Numbers may contain a #, the user part of a URI must not.
static const char *escaped(char user[USER], plugin_string_t number) {
  size_t length = 0;
  for (size_t i = 0; i < number.len && length + 4 <= USER; i++) {
    if (number.ptr[i] == '#') {
      memcpy(user + length, "%23", 3);
      length += 3;
    } else {
      user[length++] = (char)number.ptr[i];
    }
  }
  user[length] = 0;
  return user;
}

static void add(exports_strowger_policy_identity_answer_t *answer, const char *name,
                const char *value) {
  size_t place = answer->headers.len++;
  plugin_string_dup(&answer->headers.ptr[place].name, name);
  plugin_string_dup(&answer->headers.ptr[place].value, value);
}

// Asked once per attempt.
bool exports_strowger_policy_identity_present(
    exports_strowger_policy_identity_question_t *question,
    exports_strowger_policy_identity_answer_t *answer,
    exports_strowger_policy_identity_rejection_t *rejection) {
  (void)rejection;
  char user[USER];
  bool private = question->private_;
  memset(answer, 0, sizeof *answer);
  answer->headers.ptr = malloc(2 * sizeof *answer->headers.ptr);
  // The asserted number, if there is one; a private caller's number only if the vendor is trusted.
  // Change this line:
  if (question->identity_out.len && (!private || question->target_trusted)) {
    char value[USER + 300];
    snprintf(value, sizeof value, "<sip:%s@%.*s>", escaped(user, question->identity_out),
             (int)question->host.len, (const char *)question->host.ptr);
    add(answer, "P-Asserted-Identity", value);
  }
  if (private) add(answer, "Privacy", "id");
  if (private || !question->caller_out.len) {
    plugin_string_dup(&answer->display, "Anonymous");
    plugin_string_dup(&answer->user, "anonymous");
    plugin_string_dup(&answer->host, "anonymous.invalid");
  } else {
    copy(&answer->display, question->display);
    plugin_string_dup(&answer->user, escaped(user, question->caller_out));
    copy(&answer->host, question->host);
  }
  exports_strowger_policy_identity_question_free(question);
  return true;
}
