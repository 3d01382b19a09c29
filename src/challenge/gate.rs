//! The gate: issues challenges, sells passes for solutions, and honours passes.

use super::account::Accounts;
use super::keys::SigningKeys;
use super::offer::Offer;
use super::pass::{Pass, PassError};
use super::puzzle::{Puzzle, RedeemError, two_hold, well_formed};
use super::settings::{ChallengeSettings, PassSettings};
use super::spent::{Spend, Spent};
use super::wait::SealedWait;
use crate::clock::Timestamp;
use crate::exchange::Replicated;
use crate::facts::Client;
use crate::network::IpNet;
use arc_swap::ArcSwap;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// What the browser sends to `/.windscreen/verify`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The challenge string as issued.
    pub challenge: String,
    /// Sixteen strictly increasing nonces.
    pub nonces: Vec<u32>,
}

/// A solution was accepted.
#[derive(Debug)]
pub struct Redeemed {
    /// The pass that it bought.
    pub pass: Pass,
    /// Whether this was the first time, and not a repetition of a submission whose answer was lost.
    pub first: bool,
}

/// A submission whose challenge is genuine and has been spent here.
#[derive(Debug)]
pub struct Attempt {
    puzzle: Puzzle,
    expires: Timestamp,
    first: bool,
}

impl Attempt {
    /// Whether this is the first time, and not a repetition of a submission whose answer was lost.
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// The site that the pass will be for.
    pub fn site(&self) -> &str {
        &self.puzzle.site
    }

    /// What is spent.
    pub fn id(&self) -> [u8; 16] {
        self.puzzle.id
    }

    /// When the challenge is of no interest any more.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// What became of a link that says: wait.
#[derive(Debug)]
pub enum Waited {
    /// It was followed too early: so long is left.
    Early(Duration),
    /// It is spent here; the pass is still to be sold.
    Enough(Attempt),
}

/// Everything about challenges and passes that outlives a request.
pub struct Gate {
    keys: ArcSwap<SigningKeys>,
    settings: ArcSwap<ChallengeSettings>,
    spent: Spent,
    accounts: Arc<Accounts>,
}

impl Gate {
    /// A gate that begins at `now`: passes issued before are worth a tenth, since nobody knows what they have used.
    pub fn new(keys: SigningKeys, settings: ChallengeSettings, now: Timestamp) -> Self {
        let accounts = Arc::new(Accounts::new(keys.derive("pass prefixes"), now));
        let (keys, settings) = (ArcSwap::from_pointee(keys), ArcSwap::from_pointee(settings));
        Gate { keys, settings, spent: Spent::default(), accounts }
    }

    /// Signs with the newest of other keys from now on, and honours what any of them has signed. What passes and prefixes
    /// are counted by stays as it was at start.
    pub fn set_keys(&self, keys: SigningKeys) {
        self.keys.store(Arc::new(keys));
    }

    /// Changes what passes are worth from now on. What has been used of them stays used.
    pub fn set_settings(&self, settings: ChallengeSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// What passes are worth.
    pub fn pass_settings(&self) -> PassSettings {
        self.settings.load().pass
    }

    /// Issues a challenge. `id` must be random.
    pub fn issue(&self, site: &str, difficulty: u32, prefix: IpNet, id: [u8; 16], now: Timestamp) -> String {
        let puzzle = Puzzle { site: site.to_owned(), difficulty, issued: now, id, prefix, before: None };
        puzzle.seal(&self.keys.load())
    }

    /// What a client may solve instead that has come to `prefix` since it got the challenge of `submission`: one that is
    /// good in both networks. There is none for a client that has moved before. `id` must be random.
    pub fn issue_again(&self, submission: &Submission, prefix: IpNet, id: [u8; 16], now: Timestamp) -> Option<Offer> {
        let keys = self.keys.load();
        let puzzle = Puzzle::open(&keys, &submission.challenge).ok()?;
        if puzzle.before.is_some() || puzzle.is_for(prefix) || now < puzzle.issued || now >= puzzle.expires() {
            return None;
        }
        let puzzle = Puzzle { issued: now, id, prefix, before: Some(puzzle.prefix), ..puzzle };
        Some(Offer::new(puzzle.seal(&keys), puzzle.difficulty, &puzzle.site))
    }

    /// Takes a submission and spends its challenge. Cheap checks come first, and nothing is hashed here; a challenge that
    /// was spent stays spent, whatever becomes of the attempt.
    ///
    /// # Errors
    /// When it is not good, or not good for this client.
    pub fn attempt(
        &self,
        submission: &Submission,
        accepts_site: impl Fn(&str) -> bool,
        client: Client,
        now: Timestamp,
    ) -> Result<Attempt, RedeemError> {
        if !well_formed(&submission.nonces) {
            return Err(RedeemError::Malformed);
        }
        let puzzle = Puzzle::open(&self.keys.load(), &submission.challenge)?;
        let expires = puzzle.expires();
        is_good(&puzzle, expires, accepts_site, client, now)?;
        self.spend(puzzle, expires, client, now)
    }

    fn spend(
        &self,
        puzzle: Puzzle,
        expires: Timestamp,
        client: Client,
        now: Timestamp,
    ) -> Result<Attempt, RedeemError> {
        let spend = self.spent.spend(puzzle.id, client, expires, now)?;
        Ok(Attempt { puzzle, expires, first: spend == Spend::First })
    }

    /// The query of a link that is worth a small pass after a while, where the tier allows it. `id` must be random;
    /// `target` is where it leads then.
    pub fn offer_wait(
        &self,
        (site, tier, difficulty): (&str, &str, u32),
        prefix: IpNet,
        target: &str,
        id: [u8; 16],
        now: Timestamp,
    ) -> Option<(String, Duration)> {
        let settings = self.settings.load();
        let wait = settings.wait.as_ref().filter(|wait| wait.tiers.iter().any(|name| name.value == tier))?;
        let puzzle = Puzzle { site: site.to_owned(), difficulty, issued: now, id, prefix, before: None };
        Some((SealedWait { puzzle, target: target.to_owned() }.seal(&self.keys.load())?, wait.after.0))
    }

    /// Where a link leads that we have sealed, and the pass that it is worth.
    ///
    /// # Errors
    /// When it was not sealed here.
    pub fn read_wait(&self, sealed: &str) -> Result<(String, Pass), RedeemError> {
        let wait = SealedWait::open(&self.keys.load(), sealed)?;
        Ok((wait.target, self.waited_pass(&wait.puzzle, sealed)))
    }

    fn waited_pass(&self, puzzle: &Puzzle, sealed: &str) -> Pass {
        let per = self.settings.load().wait.as_ref().map_or(Duration::ZERO, |wait| wait.per);
        self.pass_for(puzzle, sealed, per, true)
    }

    /// Takes a link that was followed, and spends it where it was not followed too early.
    ///
    /// # Errors
    /// When it is not good, or not good for this client.
    pub fn attempt_wait(
        &self,
        sealed: &str,
        accepts_site: impl Fn(&str) -> bool,
        client: Client,
        now: Timestamp,
    ) -> Result<Waited, RedeemError> {
        let wait = SealedWait::open(&self.keys.load(), sealed)?;
        let expires = wait.expires();
        let puzzle = wait.puzzle;
        let settings = self.settings.load();
        // What is switched off is not honoured any more.
        let after = settings.wait.as_ref().map(|wait| wait.after.0).ok_or(RedeemError::Expired)?;
        is_good(&puzzle, expires, accepts_site, client, now)?;
        let left = (puzzle.issued + after).since(now);
        if !left.is_zero() {
            return Ok(Waited::Early(left));
        }
        self.spend(puzzle, expires, client, now).map(Waited::Enough)
    }

    /// Sells the pass for a wait that was long enough.
    pub fn redeem_wait(&self, attempt: Attempt, sealed: &str) -> Redeemed {
        let Attempt { puzzle, expires, first } = attempt;
        if first {
            self.spent.solved(puzzle.id, expires);
        }
        Redeemed { pass: self.waited_pass(&puzzle, sealed), first }
    }

    /// All of a pass follows from the challenge, so that a repetition yields the same pass.
    fn pass_for(&self, puzzle: &Puzzle, sealed: &str, per: Duration, waited: bool) -> Pass {
        let key = sealed.split('~').nth(1).unwrap_or_default();
        Pass {
            id: Pass::id_for(&self.keys.load(), key, &puzzle.id),
            site: puzzle.site.clone(),
            difficulty: puzzle.difficulty,
            prefix: puzzle.prefix,
            waited,
            expires: puzzle.issued + per,
            first: puzzle.issued,
        }
    }

    /// Sells the pass if the solution of a spent challenge holds. `random` picks the two nonces that are checked.
    pub fn redeem(&self, attempt: Attempt, submission: &Submission, random: u64) -> Result<Redeemed, RedeemError> {
        let Attempt { puzzle, expires, first } = attempt;
        let sealed = &submission.challenge;
        if first {
            if !two_hold(sealed, &puzzle, &submission.nonces, random) {
                return Err(RedeemError::Wrong);
            }
            self.spent.solved(puzzle.id, expires);
        }
        let pass = self.pass_for(&puzzle, sealed, self.settings.load().pass.per, false);
        Ok(Redeemed { pass, first })
    }

    /// Reads a pass cookie that a request from `prefix` could draw on now, and draws nothing. An expired pass within the
    /// grace period is accepted where `may_revive` says so and it can be [renewed](Gate::renew).
    pub fn inspect(
        &self,
        cookie: &str,
        site: &str,
        prefix: IpNet,
        may_revive: bool,
        now: Timestamp,
    ) -> Result<Pass, PassError> {
        let pass = Pass::open(&self.keys.load(), cookie).ok_or(PassError::Forged)?;
        if pass.site != site {
            return Err(PassError::Site);
        }
        let settings = self.settings.load();
        let worth = settings.worth(&pass);
        let can_be_revived = || {
            may_revive
                && now < pass.expires + settings.grace
                && renewed_until(&pass, worth, now).is_some()
                && self.accounts.could_renew(&pass, worth)
        };
        if now >= pass.expires && !can_be_revived() {
            return Err(PassError::Expired);
        }
        self.accounts.could_draw(&pass, prefix, worth, now)?;
        Ok(pass)
    }

    /// The pass of all in `prefix` whose pages were open at `since`, when challenges began. Nobody has to bring it: it follows
    /// from these, so its account is one.
    pub fn grace(&self, site: &str, prefix: IpNet, since: Timestamp) -> Pass {
        let keys = self.keys.load();
        let mac = keys.mac(keys.current(), "grace", &format!("{site} {prefix} {}", since.0)).unwrap_or_default();
        Pass {
            id: std::array::from_fn(|at| mac[at]),
            site: site.to_owned(),
            difficulty: 0,
            prefix,
            waited: false,
            expires: since + self.settings.load().grace,
            first: since,
        }
    }

    /// Draws a request for the object at `path` on the pass. Says how many [parts](super::PARTS) of it are used with that
    /// which were not before.
    pub fn draw(&self, pass: &Pass, prefix: IpNet, path: &str, now: Timestamp) -> Result<u32, PassError> {
        self.accounts.draw(pass, prefix, path, self.settings.load().worth(pass), now)
    }

    /// Reserves the bytes of a response on the pass. False where its bytes are used up.
    pub fn reserve(&self, pass: &Pass, bytes: u64) -> bool {
        self.accounts.reserve(&pass.id, bytes, self.settings.load().worth(pass))
    }

    /// Charges the bytes of a response that has ended, in place of those that were reserved for it. Says how many
    /// [parts](super::PARTS) of it are used with them which were not before.
    pub fn charge(&self, pass: &Pass, bytes: u64, reserved: u64) -> u32 {
        self.accounts.charge(&pass.id, bytes, reserved, self.settings.load().worth(pass))
    }

    /// The renewed pass, when it is in the second half of its life and has been used modestly.
    pub fn renew(&self, pass: &Pass, now: Timestamp) -> Option<Pass> {
        let worth = self.settings.load().worth(pass);
        let expires = renewed_until(pass, worth, now)?;
        self.accounts.renew(pass, worth, expires, now).then(|| Pass { expires, ..pass.clone() })
    }

    /// The cookie value of a pass.
    pub fn seal(&self, pass: &Pass) -> String {
        pass.seal(&self.keys.load())
    }

    /// Forgets what has expired. Called now and then.
    pub fn sweep(&self, now: Timestamp) {
        self.accounts.sweep(self.settings.load().grace, now);
    }

    /// From now on keeps track of what replicas should hear of passes.
    pub fn share(&self) {
        self.accounts.share();
    }

    /// What has been used of passes.
    pub fn accounts(&self) -> Arc<dyn Replicated> {
        self.accounts.clone()
    }

    /// How many passes have an account.
    pub fn live_passes(&self) -> usize {
        self.accounts.len()
    }

    /// How many spent challenges are remembered.
    pub fn spent_challenges(&self) -> usize {
        self.spent.len()
    }
}

/// Whether a challenge holds now, here and for this client.
fn is_good(
    puzzle: &Puzzle,
    expires: Timestamp,
    accepts_site: impl Fn(&str) -> bool,
    client: Client,
    now: Timestamp,
) -> Result<(), RedeemError> {
    if now < puzzle.issued || now >= expires {
        return Err(RedeemError::Expired);
    }
    if !accepts_site(&puzzle.site) {
        return Err(RedeemError::Site);
    }
    if !puzzle.is_for(client.prefix) {
        return Err(RedeemError::Prefix);
    }
    Ok(())
}

/// Until when a renewal would make the pass last, where one is due.
fn renewed_until(pass: &Pass, settings: PassSettings, now: Timestamp) -> Option<Timestamp> {
    let last = pass.first + settings.renew_until;
    let expires = (now + settings.per).min(last.max(pass.expires));
    let is_due = pass.expires.since(now) <= settings.per / 2;
    (is_due && expires > pass.expires).then_some(expires)
}
