//! Describing extractors and responses to the OpenAPI document.

use std::collections::BTreeMap;

use apistos::{
    ApiComponent,
    paths::{Header, ParameterDefinition, Response},
    reference_or::ReferenceOr,
};

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

/// A header that every response of the kind has.
pub fn sent_header(description: &str) -> ReferenceOr<Header> {
    let schema = String::raw_schema().expect("a string has a schema");
    ReferenceOr::Object(Header {
        description: Some(description.to_owned()),
        required: Some(true),
        definition: Some(ParameterDefinition::Schema(Box::new(schema))),
        ..Header::default()
    })
}

/// The response 304, with the tag of the copy that the client has.
pub fn not_modified() -> ReferenceOr<Response> {
    let headers = BTreeMap::from([("ETag".to_owned(), sent_header("The tag of the content."))]);
    ReferenceOr::Object(Response { headers, ..Response::default() })
}
