// {{name}}: which caller identity does a vendor see?

export const identity = {
  /** Asked for each attempt. */
  present(question) {
    const { callerOut, identityOut, display, host } = question;
    const headers = [];
    // The number that is asserted, if there is one. Change this line:
    if (identityOut) headers.push({ name: "P-Asserted-Identity", value: `<sip:${identityOut}@${host}>` });
    return { display, user: callerOut, host, headers };
  },
};
