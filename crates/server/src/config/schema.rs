//! The config's JSON schema, made from the same structs that read it, with every backend's section in place.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::RawConfig;
use crate::registry::Backends;

/// JSON schema (draft 2020-12) of the config file.
#[must_use]
pub fn schema(backends: &Backends) -> Value {
    // Subschemas inline: the sections of backends can then be put where they stand in the file.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<RawConfig>().to_value();
    schema["title"] = json!("Usher configuration");
    if let Some(properties) =
        schema.pointer_mut("/properties/providers/items/properties").and_then(Value::as_object_mut)
    {
        for backend in backends.iter() {
            let mut section = backend.config_schema();
            if let Some(section) = section.as_object_mut() {
                section.remove("$schema");
            }
            properties.insert(backend.kind().to_owned(), section);
        }
    }
    schema
}
