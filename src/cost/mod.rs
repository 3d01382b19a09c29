//! What traffic costs: prices from the configuration, and what a month of usage comes to under them.
//!
//! Money is whole nano-dollars ([`Money`]), so that sums are exact; floats occur only in the statistics of a
//! projection. Pure: no I/O and no clock. Callers bring usage, aggregated by whatever they report on (classes, sites,
//! rules), and decide how much of it they keep: nothing here grows but with what is handed in.
//!
//! **What is billed.** The bytes that leave a source, by where they go ([`Destination`]), and requests by kind
//! ([`Usage`]). Storage is left out: it costs the same whoever reads.
//!
//! **How bills are put together.** Sources of one table are billed together, as AWS adds up all that leaves a region
//! before it looks for the tier; tables of one account share one free allowance. A month is 730 hours.
//!
//! **A share is an average, a saving is marginal.** [`Bill`] gives each line of usage its part of what was paid, at the
//! average price over all that was billed together, and parts add up to the total exactly. What stopping it would save
//! ([`saving`]) is the difference between two bills: less than the share where it fell into cheap tiers, or where the
//! others would have used the free allowance less than it does.

mod alternatives;
mod bill;
mod book;
mod calendar;
mod decimal;
mod gateway;
mod location;
mod money;
mod presets;
mod prices;
mod project;
mod settings;
#[cfg(test)]
mod tests;
mod usage;

pub use alternatives::{Alternative, PLANS, Plan, alternatives};
pub use bill::{Bill, Line, Share, saving, saving_of};
pub use book::PriceBook;
pub use calendar::{Day, Month};
pub use decimal::{Gigabyte, Price, Size, fixed};
pub use gateway::{Effect, in_front};
pub use location::Location;
pub use money::Money;
pub use presets::Preset;
pub use prices::{Prices, Requests, Tier};
pub use project::{DayUsage, Projection, project};
pub use settings::{Currency, PricesSettings, RequestSettings, TierSettings};
pub use usage::{Destination, MONTH, Usage, is_billed};
