// {{name}}: receives each state change of a call.

import { log } from "strowger:policy/host-log@0.1.0";

export const events = {
  notify(event) {
    // Logs answered calls. Change this line:
    if (event.kind === "answered") log("info", `${event.callee} was answered by trunk ${event.trunk}`);
  },
};
