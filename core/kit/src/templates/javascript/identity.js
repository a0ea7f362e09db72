// {{name}}: which caller identity does a vendor see?

// Numbers may have a #, the user part of a URI may not.
const escaped = (number) => number.replaceAll("#", "%23");

export const identity = {
  /** Asked for each attempt. */
  present(question) {
    const { callerOut, identityOut, display, host, targetTrusted } = question;
    const headers = [];
    // The number that is asserted, if there is one; a private caller's only where the vendor is
    // trusted. Change this line:
    if (identityOut && (!question.private || targetTrusted)) {
      headers.push({ name: "P-Asserted-Identity", value: `<sip:${escaped(identityOut)}@${host}>` });
    }
    if (question.private) headers.push({ name: "Privacy", value: "id" });
    if (question.private || !callerOut) {
      return { display: "Anonymous", user: "anonymous", host: "anonymous.invalid", headers };
    }
    return { display, user: escaped(callerOut), host, headers };
  },
};
