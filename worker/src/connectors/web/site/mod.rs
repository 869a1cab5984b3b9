//! Websites: pages that starts, sitemaps and links lead to.
//!
//! A listing reads pages, because their links say which others there are. Pages of HTML come with their content; other documents are
//! fetched by the jobs that read objects. What a page said the last time is kept with the object, so that an unchanged page is not
//! sent again and still has its links.

mod address;
mod crawl;
mod frontier;
mod links;
mod robots;
mod scope;
mod server;
mod sitemap;
mod source;
mod visit;

pub(in crate::connectors) use self::source::open;
