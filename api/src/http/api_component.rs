//! Describing extractors and responses to the OpenAPI document.

/// Implements [`apistos::ApiComponent`]: `api_component!({generics} Type)` for a type without a schema of its own,
/// `api_component!({generics} Type as Inner)` for one with the schema of another; further methods follow in braces.
macro_rules! api_component {
    ($({$($generics:tt)*})? $type:ty as $inner:ty $({ $($method:item)* })?) => {
        impl $(<$($generics)*>)? apistos::ApiComponent for $type {
            fn child_schemas() -> Vec<(String, apistos::reference_or::ReferenceOr<apistos::Schema>)> {
                <$inner as apistos::ApiComponent>::child_schemas()
            }

            fn schema() -> Option<(String, apistos::reference_or::ReferenceOr<apistos::Schema>)> {
                <$inner as apistos::ApiComponent>::schema()
            }

            $($($method)*)?
        }
    };
    ($({$($generics:tt)*})? $type:ty $({ $($method:item)* })?) => {
        impl $(<$($generics)*>)? apistos::ApiComponent for $type {
            fn child_schemas() -> Vec<(String, apistos::reference_or::ReferenceOr<apistos::Schema>)> {
                Vec::new()
            }

            fn schema() -> Option<(String, apistos::reference_or::ReferenceOr<apistos::Schema>)> {
                None
            }

            $($($method)*)?
        }
    };
}
pub(crate) use api_component;
