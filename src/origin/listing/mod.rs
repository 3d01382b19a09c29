//! Listings of a bucket for clients that have proved who they are: what they may ask, and what they are shown.
//!
//! The origin is asked with a query of our own, and its answer is read and written anew, without what the client may
//! not have. Where the next page begins is sealed, since it may be at a key that the client must not know. Source:
//! ListObjects and ListObjectsV2 in the S3 API reference.

mod page;
mod query;
mod seal;

pub use page::{Page, PageError};
pub use query::{Asked, Begin, Listing, ListingError};
pub use seal::Seal;
