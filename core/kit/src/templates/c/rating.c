// {{name}}: what does a call cost? Money is a whole number of 10^-10 of the currency unit.
#include "plugin.h"

// Asked at admission for the first increment, at the end for each side.
bool exports_strowger_policy_rating_rate(exports_strowger_policy_rating_subject_t *who,
                                         exports_strowger_policy_rating_deck_row_t *row,
                                         exports_strowger_policy_rating_rounding_t *rounding,
                                         uint64_t duration_ms,
                                         exports_strowger_policy_rating_charge_t *charge,
                                         exports_strowger_policy_rating_no_charge_t *no_charge) {
  (void)who, (void)rounding, (void)no_charge;
  int64_t seconds = (int64_t)((duration_ms + 999) / 1000);
  // Billed by the second; prices are per minute. Change this line:
  int64_t amount = row->connect_fee + (row->price_next * seconds + 59) / 60;
  charge->amount = seconds ? amount : 0;
  charge->billed_seconds = (uint32_t)seconds;
  return true;
}
