// {{name}}: which caller identity does a vendor see?
#include "plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy(plugin_string_t *to, plugin_string_t from) {
  plugin_string_dup_n(to, (const char *)from.ptr, from.len);
}

// Asked for each attempt.
bool exports_strowger_policy_identity_present(
    exports_strowger_policy_identity_question_t *question,
    exports_strowger_policy_identity_answer_t *answer,
    exports_strowger_policy_identity_rejection_t *rejection) {
  (void)rejection;
  memset(answer, 0, sizeof *answer);
  copy(&answer->display, question->display);
  copy(&answer->user, question->caller_out);
  copy(&answer->host, question->host);
  // The number that is asserted, if there is one. Change this line:
  if (question->identity_out.len) {
    char value[300];
    snprintf(value, sizeof value, "<sip:%.*s@%.*s>", (int)question->identity_out.len,
             (const char *)question->identity_out.ptr, (int)question->host.len,
             (const char *)question->host.ptr);
    answer->headers.len = 1;
    answer->headers.ptr = malloc(sizeof *answer->headers.ptr);
    plugin_string_dup(&answer->headers.ptr[0].name, "P-Asserted-Identity");
    plugin_string_dup(&answer->headers.ptr[0].value, value);
  }
  exports_strowger_policy_identity_question_free(question);
  return true;
}
