// {{name}}: which numbers are used.
#include "plugin.h"

#include <string.h>

// Asked when a call arrives and again for each attempt.
bool exports_strowger_policy_numbering_rewrite(
    exports_strowger_policy_numbering_question_t *question,
    exports_strowger_policy_numbering_numbers_t *numbers,
    exports_strowger_policy_numbering_rejection_t *rejection) {
  (void)rejection;
  memset(numbers, 0, sizeof *numbers);
  const char *callee = (const char *)question->callee.ptr;
  size_t length = question->callee.len;
  // Removes the 00 of an international call. Change this line:
  size_t skip = length > 2 && memcmp(callee, "00", 2) == 0 ? 2 : 0;
  plugin_string_dup_n(&numbers->callee, callee + skip, length - skip);
  plugin_string_dup_n(&numbers->caller, (const char *)question->caller.ptr, question->caller.len);
  plugin_string_dup_n(&numbers->identity, (const char *)question->caller.ptr, question->caller.len);
  exports_strowger_policy_numbering_question_free(question);
  return true;
}
