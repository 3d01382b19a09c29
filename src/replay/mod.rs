//! Past logs through the very engine that judges live traffic: what was taken, by whom, and what a policy would have done.
//!
//! Logs are read by several threads (`source`, `lines`, `formats`), put in the order of time (`window`), and judged one
//! by one (`judge`) into the books.

mod bucket;
mod formats;
mod hindsight;
mod judge;
mod lines;
mod owned;
mod passes;
mod places;
mod reader;
mod record;
mod run;
mod source;
mod summary;
mod window;

pub use bucket::{Access, Address, Bucket, BucketError, LogObject, Object, Objects};
pub use formats::Format;
pub use hindsight::Hindsight;
pub use judge::{Basis, Judge, Past};
pub use places::{Addressed, Places};
pub use reader::{Damaged, Example, Reader, Tally, Unparsable};
pub use run::{Change, Changes, LeftOut, Plan, Replayed, Ruled, replay};
pub use source::{Log, LogFile, SourceError, find, open, unpacked};
pub use summary::Summary;
pub use window::Bounds;
