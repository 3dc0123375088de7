//! Credentials that somebody lends for a while, such as the catalog that keeps a table: they are asked for anew before
//! their time is over, and once where a server takes them no more.
//!
//! ```text
//! request ──► Borrower ──► Lent (those at hand) ──► lender, when they are to end or were refused
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_s3::config::{ConfigBag, Credentials, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use crate::error::Result;
use crate::options;

/// How long before their end credentials are asked for anew: a tenth of their time, and no more than this.
const MARGIN: Duration = Duration::from_mins(2);

/// What S3, and servers that speak its protocol, call credentials whose time is over
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
const OVER: [&str; 6] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidToken",
    "InvalidTokenId",
    "InvalidAccessKeyId",
    "TokenRefreshRequired",
];

/// Asks the lender, who gives what it lends to [`Lent::take`].
pub(crate) type Lender = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// What is lent, and who lends it.
pub(crate) struct Lent {
    /// What it is for, in messages.
    what: String,
    /// A loan is kept whole or not at all, so a panic elsewhere leaves nothing half done.
    loan: Mutex<Loan>,
    /// Held by the one that asks the lender.
    asking: Mutex<()>,
}

#[derive(Clone)]
struct Loan {
    credentials: options::Credentials,
    lender: Lender,
    taken: Instant,
    until: Option<SystemTime>,
    /// How many there were before.
    number: u64,
    was_refused: bool,
    /// The one before was refused.
    follows_refused: bool,
    /// A server has taken it.
    has_worked: bool,
}

/// No secret is ever printed.
impl fmt::Debug for Lent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lent").field("what", &self.what).finish_non_exhaustive()
    }
}

/// Why there are none. It is told as it is, whatever asked for them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotLent(String);

impl Lent {
    /// What is lent first. `until` is when it ends, where that is known.
    pub(crate) fn new(
        what: String,
        credentials: options::Credentials,
        until: Option<SystemTime>,
        lender: Lender,
    ) -> Self {
        let loan = Loan {
            credentials,
            lender,
            taken: Instant::now(),
            until,
            number: 0,
            was_refused: false,
            follows_refused: false,
            has_worked: false,
        };
        Self { what, loan: Mutex::new(loan), asking: Mutex::default() }
    }

    /// Takes what is lent from now on.
    pub(crate) fn take(
        &self,
        credentials: options::Credentials,
        until: Option<SystemTime>,
        lender: Lender,
    ) {
        let mut loan = self.loan();
        *loan = Loan {
            credentials,
            lender,
            taken: Instant::now(),
            until,
            number: loan.number + 1,
            was_refused: false,
            follows_refused: loan.was_refused,
            has_worked: false,
        };
    }

    fn loan(&self) -> MutexGuard<'_, Loan> {
        self.loan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those at hand, or others where these are of no use any more.
    fn good(&self) -> Result<options::Credentials, NotLent> {
        let at_hand = |loan: &Loan| loan.is_good().then(|| loan.credentials.clone());
        if let Some(credentials) = at_hand(&self.loan()) {
            return Ok(credentials);
        }
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.loan().clone();
        if let Some(credentials) = at_hand(&before) {
            return Ok(credentials);
        }
        let failed = |reason: String| {
            let reason = format!(
                "the catalog's credentials for {} are of no use: {reason}; nothing is lost, run again once the \
                 catalog hands out others",
                self.what
            );
            Err(NotLent(reason))
        };
        if before.was_refused && before.follows_refused && !before.has_worked {
            return failed("S3 refuses those that it handed out, and those after them".into());
        }
        tracing::debug!(what = self.what, "credentials are asked for anew");
        if let Err(error) = (before.lender)() {
            let mut reason = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                reason = format!("{reason}: {cause}");
            }
            return failed(format!("it was asked for others ({reason})"));
        }
        let after = self.loan().clone();
        if after.number == before.number {
            return failed("it was asked for others, and hands out none any more".into());
        }
        if after.is_over() {
            return failed("those that it hands out have expired already".into());
        }
        Ok(after.credentials)
    }

    /// A server has taken those of this mark, or has refused them.
    fn note(&self, mark: &str, is_refusal: bool) {
        let mut loan = self.loan();
        // What comes of a request that was on its way when they were replaced says nothing of the new ones.
        if loan.credentials.mark() == mark {
            loan.was_refused |= is_refusal;
            loan.has_worked |= !is_refusal;
        }
    }
}

impl Loan {
    fn is_good(&self) -> bool {
        let margin = self.until.and_then(|until| {
            let left = until.duration_since(SystemTime::now()).ok()?;
            Some(((left + self.taken.elapsed()) / 10).min(MARGIN) < left)
        });
        !self.was_refused && (self.until.is_none() || margin == Some(true))
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= SystemTime::now())
    }
}

impl options::Credentials {
    /// What is in a request that they sign, and in no other: the token, or the key.
    fn mark(&self) -> &str {
        self.session_token.as_deref().unwrap_or(&self.access_key_id)
    }
}

/// Gives a client of S3 what is lent.
#[derive(Debug, Clone)]
pub(crate) struct Borrower(pub(crate) Arc<Lent>);

impl ProvideCredentials for Borrower {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let lent = Arc::clone(&self.0);
        future::ProvideCredentials::new(async move {
            // The lender waits for answers in a way of its own.
            let asked = tokio::task::spawn_blocking(move || lent.good()).await;
            let failed = |error: BoxError| CredentialsError::provider_error(error);
            let good = asked.map_err(|error| failed(error.into()))?;
            Ok(signer(good.map_err(|error| failed(error.into()))?))
        })
    }
}

fn signer(given: options::Credentials) -> Credentials {
    let options::Credentials { access_key_id, secret_access_key, session_token } = given;
    Credentials::new(access_key_id, secret_access_key, session_token, None, "catalog")
}

/// Which of them have signed a request.
#[derive(Debug)]
struct Signed(String);

impl Storable for Signed {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Borrower {
    fn name(&self) -> &'static str {
        "Borrower"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request().headers();
        let key = || {
            let (_, key) = headers.get("authorization")?.split_once("Credential=")?;
            key.split('/').next()
        };
        let mark = headers.get("x-amz-security-token").or_else(key).unwrap_or_default();
        config.interceptor_state().store_put(Signed(mark.to_owned()));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(response), Some(signed)) = (context.response(), config.load::<Signed>()) {
            self.0.note(&signed.0, is_refusal(response));
        }
        Ok(())
    }
}

impl ClassifyRetry for Borrower {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(response) if is_refusal(response) => RetryAction::client_error(),
            Some(_) | None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Borrower"
    }
}

/// Whether a server says that the time of credentials is over. An answer to `HEAD` has no body to say it in.
fn is_refusal(response: &HttpResponse) -> bool {
    let status = response.status().as_u16();
    if !matches!(status, 400 | 401 | 403) {
        return false;
    }
    match response.body().bytes() {
        Some(body) if !body.is_empty() => {
            let body = String::from_utf8_lossy(body);
            OVER.iter().any(|code| body.contains(&format!("<Code>{code}</Code>")))
        }
        Some(_) | None => status == 400,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn credentials(number: u64) -> options::Credentials {
        options::Credentials {
            access_key_id: "AKID".into(),
            secret_access_key: "hidden".into(),
            session_token: Some(format!("token{number}")),
        }
    }

    /// What is lent by somebody who lends for so long each time, and how often it was asked.
    fn lent(seconds: &'static [u64]) -> (Arc<Lent>, Arc<AtomicU64>) {
        let asked = Arc::new(AtomicU64::new(0));
        let known: Arc<OnceLock<std::sync::Weak<Lent>>> = Arc::default();
        let until = |number: u64| {
            let at = usize::try_from(number).unwrap().min(seconds.len() - 1);
            Some(SystemTime::now() + Duration::from_secs(seconds[at]))
        };
        let own = Arc::new(OnceLock::<Lender>::new());
        let lender: Lender = Arc::new({
            let (asked, known, own) = (Arc::clone(&asked), Arc::clone(&known), Arc::clone(&own));
            move || {
                let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                let lent = known.get().unwrap().upgrade().unwrap();
                lent.take(credentials(number), until(number), Arc::clone(own.get().unwrap()));
                Ok(())
            }
        });
        own.set(Arc::clone(&lender)).unwrap_or_default();
        let made = Arc::new(Lent::new("s3://b/t".into(), credentials(0), until(0), lender));
        known.set(Arc::downgrade(&made)).unwrap();
        (made, asked)
    }

    #[test]
    fn they_are_asked_for_anew_shortly_before_their_end() {
        let (long, asked) = lent(&[3600]);
        assert_eq!(long.good().unwrap().mark(), "token0");
        assert_eq!(asked.load(Ordering::SeqCst), 0);
        let (short, asked) = lent(&[0, 3600]);
        assert_eq!(short.good().unwrap().mark(), "token1");
        assert_eq!(short.good().unwrap().mark(), "token1");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        // Ten minutes of an hour are left: nothing is asked yet. A minute is left: it is.
        let loan = short.loan().clone();
        let left = |left: u64| Loan {
            until: Some(SystemTime::now() + Duration::from_secs(left)),
            taken: Instant::now().checked_sub(Duration::from_secs(20)).unwrap(),
            ..loan.clone()
        };
        assert!(left(600).is_good() && !left(1).is_good());
    }

    #[test]
    fn what_is_expired_when_it_comes_is_an_error_after_one_question() {
        let (lent, asked) = lent(&[0]);
        let error = lent.good().unwrap_err().to_string();
        assert!(error.contains("s3://b/t") && error.contains("expired already"), "{error}");
        assert!(!error.contains("hidden") && !error.contains("token"), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(!format!("{lent:?}").contains("hidden"));
    }

    #[test]
    fn those_that_are_refused_are_replaced_once() {
        let (lent, asked) = lent(&[3600]);
        lent.note("token0", true);
        assert_eq!(lent.good().unwrap().mark(), "token1");
        lent.note("token0", true);
        assert_eq!(lent.good().unwrap().mark(), "token1");
        lent.note("token1", true);
        let error = lent.good().unwrap_err().to_string();
        assert!(error.contains("and those after them"), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn those_that_have_worked_may_be_refused_when_their_time_is_over() {
        let (lent, asked) = lent(&[3600]);
        for number in 0..3 {
            let mark = lent.good().unwrap().mark().to_owned();
            assert_eq!(mark, format!("token{number}"));
            lent.note(&mark, false);
            lent.note(&mark, true);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}
