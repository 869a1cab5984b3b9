//! The components that extractors use.

use actix_web::{HttpRequest, web::Data};

/// The component of type `T`. The server registers all of them before it binds its address (`server::Components`): an
/// extractor never goes on without one, and so never protects less.
///
/// # Panics
/// If the application has no such component.
pub fn component<T: 'static>(request: &HttpRequest) -> &Data<T> {
    let found = request.app_data();
    found.unwrap_or_else(|| panic!("the application has no {}", std::any::type_name::<T>()))
}
