// {{name}}: may this call, which is up, continue?
#include "plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Longest call in seconds. Change this line:
static const uint32_t LONGEST_S = 3600;

// Asked when the call is answered, and again at the time that this answer requests.
void exports_strowger_policy_supervision_supervise(
    exports_strowger_policy_supervision_question_t *question,
    exports_strowger_policy_supervision_answer_t *answer) {
  uint32_t answered_s = question->answered_s;
  exports_strowger_policy_supervision_question_free(question);
  memset(answer, 0, sizeof *answer);
  if (answered_s < LONGEST_S) {
    answer->course.tag = EXPORTS_STROWGER_POLICY_SUPERVISION_COURSE_GO_ON;
    answer->ask_again_s = LONGEST_S - answered_s;
    return;
  }
  char detail[40];
  snprintf(detail, sizeof detail, "up for %u s", (unsigned)answered_s);
  answer->course.tag = EXPORTS_STROWGER_POLICY_SUPERVISION_COURSE_END;
  answer->course.val.end.cause = 31;
  plugin_string_dup(&answer->course.val.end.reason, "too_long");
  plugin_string_dup(&answer->course.val.end.detail, detail);
  answer->marks.ptr = malloc(sizeof *answer->marks.ptr);
  answer->marks.len = 1;
  plugin_string_dup(&answer->marks.ptr[0], "long");
}
