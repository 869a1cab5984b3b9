//! Identifiers of the domain, inline in the OpenAPI document.

use nvisy_shared::domain::run;
use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, Schema, SchemaObject},
};
use serde::{Deserialize, Serialize};

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident($of:ty) $all:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $of);

        impl JsonSchema for $name {
            fn is_referenceable() -> bool {
                false
            }

            fn schema_name() -> String {
                stringify!($name).to_owned()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let values = $all.iter().map(|value| value.name().into()).collect();
                SchemaObject {
                    instance_type: Some(InstanceType::String.into()),
                    enum_values: Some(values),
                    ..SchemaObject::default()
                }
                .into()
            }
        }
    )+};
}

identifiers! {
    /// The state of a run.
    RunState(run::RunState) run::RunState::ALL;
    /// The state of an item.
    ItemState(run::ItemState) run::ItemState::ALL;
    /// The reason why a run was started.
    RunTrigger(run::RunTrigger) run::RunTrigger::ALL;
    /// The kind of a log entry.
    LogKind(run::LogKind) run::LogKind::ALL;
}
