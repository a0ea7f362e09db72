// {{name}}: may this call proceed?
#include "plugin.h"

#include <stdio.h>
#include <string.h>

// Numbers that nobody may call. Change this line:
static const char *const BARRED[] = {"4490", "4987"};

void exports_strowger_policy_screening_screen(
    exports_strowger_policy_screening_question_t *question,
    exports_strowger_policy_screening_verdict_t *verdict) {
  verdict->tag = EXPORTS_STROWGER_POLICY_SCREENING_VERDICT_ALLOW;
  const char *callee = (const char *)question->callee.ptr;
  for (size_t i = 0; i < sizeof BARRED / sizeof *BARRED; i++) {
    size_t length = strlen(BARRED[i]);
    if (question->callee.len < length || memcmp(callee, BARRED[i], length) != 0) continue;
    char detail[200];
    snprintf(detail, sizeof detail, "nobody may call %.*s", (int)question->callee.len, callee);
    verdict->tag = EXPORTS_STROWGER_POLICY_SCREENING_VERDICT_REJECT;
    verdict->val.reject.code = 403;
    plugin_string_dup(&verdict->val.reject.reason, "destination_barred");
    plugin_string_dup(&verdict->val.reject.detail, detail);
    break;
  }
  exports_strowger_policy_screening_question_free(question);
}
