//! What was read and does not count, and why.

/// What was read and does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Writes and deletions.
    pub writes: u64,
    /// What the provider did by itself, settings of buckets, requests without a client.
    pub other: u64,
    /// The gateway's own reads: they are in its own books.
    pub own_reads: u64,
    /// Reads of buckets that no site has.
    pub elsewhere: u64,
    /// Records that came twice.
    pub duplicates: u64,
    /// Records from outside the time that was asked for.
    pub out_of_time: u64,
}

impl LeftOut {
    /// Adds what another reader left out; duplicates are known to nobody but who sees them all.
    pub(super) fn add(&mut self, other: &LeftOut) {
        self.writes += other.writes;
        self.other += other.other;
        self.own_reads += other.own_reads;
        self.elsewhere += other.elsewhere;
        self.out_of_time += other.out_of_time;
    }
}
