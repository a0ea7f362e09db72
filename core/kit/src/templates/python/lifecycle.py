

class Lifecycle:
    """What the plugin says about itself."""

    def describe(self) -> lifecycle.Description:
        return lifecycle.Description(
            name="{{name}}",
            version="0.1.0",
            summary="{{summary}}",
            # JSON Schema of the settings; this plugin has none.
            config_schema='{"type":"object","unevaluatedProperties":false}',
        )

    def configure(self, config: str) -> None:
        """The settings as JSON; raise Err("why") of componentize_py_types to refuse them."""

    def self_test(self) -> int:
        """The plugin's own examples, run before it goes live: how many passed."""
        return 0
