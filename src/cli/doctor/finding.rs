//! What was found, and how it is told.

use crate::printable::printable;
use crate::trial::Paint;
use serde_json::{Value, json};

/// How things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As they should be.
    Ok,
    /// It works, but not as it could, or not for long.
    Warning,
    /// It does not work.
    Bad,
}

impl Verdict {
    const ALL: [Verdict; 3] = [Verdict::Ok, Verdict::Warning, Verdict::Bad];

    fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Bad => "bad",
        }
    }
}

/// What one check found about one thing.
#[derive(Debug)]
pub(super) struct Finding {
    /// Which check, one of a closed set of words.
    pub check: &'static str,
    /// What was looked at.
    pub subject: String,
    pub verdict: Verdict,
    /// How it is. Never a secret.
    pub message: String,
    /// What to do; nothing where it is absent.
    pub advice: Option<String>,
}

impl Finding {
    fn new(
        check: &'static str,
        subject: impl Into<String>,
        verdict: Verdict,
        message: &str,
        advice: Option<&str>,
    ) -> Self {
        let (message, advice) = (printable(message), advice.map(printable));
        Finding { check, subject: printable(&subject.into()), verdict, message, advice }
    }

    /// All is well.
    pub fn ok(check: &'static str, subject: impl Into<String>, message: &str) -> Self {
        Finding::new(check, subject, Verdict::Ok, message, None)
    }

    /// It works, but.
    pub fn warning(check: &'static str, subject: impl Into<String>, message: &str, advice: &str) -> Self {
        Finding::new(check, subject, Verdict::Warning, message, Some(advice))
    }

    /// It does not work.
    pub fn bad(check: &'static str, subject: impl Into<String>, message: &str, advice: &str) -> Self {
        Finding::new(check, subject, Verdict::Bad, message, Some(advice))
    }

    /// What could be done besides.
    pub fn advise(mut self, advice: &str) -> Self {
        self.advice = Some(printable(advice));
        self
    }

    pub fn to_json(&self) -> Value {
        let Finding { check, subject, verdict, message, advice } = self;
        json!({
            "check": check,
            "subject": subject,
            "verdict": verdict.word(),
            "message": message,
            "advice": advice,
        })
    }
}

/// All findings for people, with how many there are of each kind.
pub(super) fn text(findings: &[Finding], paint: Paint) -> String {
    let mut text = String::new();
    for Finding { check, subject, verdict, message, advice } in findings {
        let word = format!("{:<7}", verdict.word());
        let word = match verdict {
            Verdict::Ok => paint.green(&word),
            Verdict::Warning => paint.yellow(&word),
            Verdict::Bad => paint.red(&word),
        };
        text += &format!("{word}  {check}: {subject}: {message}\n");
        if let Some(advice) = advice {
            text += &format!("         -> {advice}\n");
        }
    }
    let count = |verdict: Verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let counts: Vec<String> =
        Verdict::ALL.iter().map(|verdict| format!("{} {}", count(*verdict), verdict.word())).collect();
    text + &counts.join(", ") + "\n"
}
