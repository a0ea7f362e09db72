// {{name}}: receives each state change of a call.
#include "plugin.h"

#include <stdio.h>

void exports_strowger_policy_events_notify(exports_strowger_policy_events_event_t *event) {
  // Logs answered calls. Change this line:
  if (event->kind == EXPORTS_STROWGER_POLICY_EVENTS_KIND_ANSWERED) {
    char line[200];
    snprintf(line, sizeof line, "%.*s was answered by trunk %u", (int)event->callee.len,
             (const char *)event->callee.ptr, (unsigned)event->trunk);
    plugin_string_t text;
    plugin_string_set(&text, line);
    strowger_policy_host_log_log(STROWGER_POLICY_HOST_LOG_LEVEL_INFO, &text);
  }
  exports_strowger_policy_events_event_free(event);
}
