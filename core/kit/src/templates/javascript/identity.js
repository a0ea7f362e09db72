// {{name}}: which caller identity does a vendor see?

// Numbers may contain a #, the user part of a URI must not.
const escaped = (number) => number.replaceAll("#", "%23");

export const identity = {
  /** Asked once per attempt. */
  present(question) {
    const { callerOut, identityOut, display, host, targetTrusted } = question;
    const headers = [];
    // The asserted number, if there is one; a private caller's number only if the vendor is
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
