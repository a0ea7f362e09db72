
// The plugin's description of itself.
export const lifecycle = {
  describe() {
    return {
      name: "{{name}}",
      version: "0.1.0",
      summary: "{{summary}}",
      // JSON Schema of the settings; this plugin has none.
      configSchema: '{"type":"object","unevaluatedProperties":false}',
    };
  },

  /** The settings as JSON; throw a text to refuse them. */
  configure(config) {},

  /** The plugin's own examples, run before it goes live: the number that passed. */
  selfTest() {
    return 0;
  },
};
