// {{name}}: which vendor trunks are tried, in which order.
#include "plugin.h"

#include <stdlib.h>

typedef exports_strowger_policy_routing_candidate_t candidate;

// Which of two candidates is tried first?
static int by_price(const void *first, const void *second) {
  const candidate *a = first, *b = second;
  // The cheapest first. Change this line to make your own router:
  int64_t order = a->buy_price - b->buy_price;
  if (order == 0) order = (int64_t)a->trunk - (int64_t)b->trunk;
  return order < 0 ? -1 : order > 0;
}

// The trunks to try, first to last.
bool exports_strowger_policy_routing_select(
    exports_strowger_policy_routing_question_t *question, plugin_list_u32_t *trunks,
    exports_strowger_policy_routing_rejection_t *rejection) {
  (void)rejection;
  size_t count = question->candidates.len;
  qsort(question->candidates.ptr, count, sizeof(candidate), by_price);
  trunks->len = count;
  trunks->ptr = count ? malloc(count * sizeof *trunks->ptr) : NULL;
  for (size_t i = 0; i < count; i++) trunks->ptr[i] = question->candidates.ptr[i].trunk;
  exports_strowger_policy_routing_question_free(question);
  return true;
}

// What happens after a failed attempt?
void exports_strowger_policy_routing_after_failure(
    exports_strowger_policy_routing_call_t *call, exports_strowger_policy_routing_outcome_t *outcome,
    exports_strowger_policy_routing_decision_t *decision) {
  (void)call;
  decision->tag = outcome->code == 486 ? EXPORTS_STROWGER_POLICY_ROUTING_DECISION_STOP
                                       : EXPORTS_STROWGER_POLICY_ROUTING_DECISION_NEXT;
  exports_strowger_policy_routing_outcome_free(outcome);
}
