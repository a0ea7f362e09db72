
// The plugin's description of itself. The host frees the texts that it receives, so each one is
// copied.

void exports_strowger_policy_lifecycle_describe(
    exports_strowger_policy_lifecycle_description_t *description) {
  plugin_string_dup(&description->name, "{{name}}");
  plugin_string_dup(&description->version, "0.1.0");
  plugin_string_dup(&description->summary, "{{summary}}");
  // JSON Schema of the settings; this plugin has none.
  plugin_string_dup(&description->config_schema,
                    "{\"type\":\"object\",\"unevaluatedProperties\":false}");
}

// The settings as JSON; false with an error refuses them.
bool exports_strowger_policy_lifecycle_configure(plugin_string_t *config, plugin_string_t *error) {
  (void)error;
  plugin_string_free(config);
  return true;
}

// The plugin's own examples, run before it goes live: the number that passed.
bool exports_strowger_policy_lifecycle_self_test(uint32_t *passed, plugin_string_t *error) {
  (void)error;
  *passed = 0;
  return true;
}
