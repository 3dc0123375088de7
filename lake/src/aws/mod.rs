//! What all AWS clients of a run share: one runtime, and one region, one set of credentials and one
//! pool of connections.

#[cfg(feature = "s3")]
#[cfg_attr(not(feature = "iceberg"), allow(dead_code, reason = "catalogs of tables lend"))]
mod lent;
#[cfg(feature = "s3")]
mod said;
#[cfg(not(feature = "s3"))]
#[path = "absent.rs"]
mod session;
#[cfg(feature = "s3")]
mod session;

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::options::Options;
#[cfg(feature = "s3")]
use crate::options::S3Options;
#[cfg(all(feature = "s3", feature = "iceberg"))]
pub(crate) use lent::Lender;
#[cfg(feature = "s3")]
pub(crate) use lent::{Lent, NotLent};
#[cfg(feature = "s3")]
pub(crate) use said::Said;
#[cfg(not(feature = "s3"))]
#[allow(unused_imports, reason = "catalogs of tables lend")]
pub(crate) use session::Lent;
pub(crate) use session::Session;
#[cfg(feature = "s3")]
pub(crate) use session::{ATTEMPTS, check_certificates};

/// The AWS of a run, opened when it is first needed. Clones are the same.
#[derive(Debug, Clone)]
pub struct Aws {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    session: Mutex<Option<Arc<Session>>>,
}

impl Aws {
    /// The AWS that the options name. Nothing is asked of it yet.
    pub fn new(options: &Options) -> Self {
        Self { shared: Arc::new(Shared { options: options.clone(), session: Mutex::default() }) }
    }

    /// The S3 of somebody else, with credentials that they lend, or with its own. It has the connections of this one.
    #[cfg(feature = "s3")]
    #[cfg_attr(
        not(feature = "iceberg"),
        allow(dead_code, reason = "catalogs of tables name others")
    )]
    pub(crate) fn elsewhere(&self, s3: S3Options, lent: Option<&Arc<Lent>>) -> Result<Self> {
        let session = self.session()?.elsewhere(&s3, lent);
        let options = Options { s3, ..self.shared.options.clone() };
        let session = Mutex::new(Some(Arc::new(session)));
        Ok(Self { shared: Arc::new(Shared { options, session }) })
    }

    /// What it was made of.
    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Opens it, unless that was done before.
    pub(crate) fn session(&self) -> Result<Arc<Session>> {
        // A session is stored whole or not at all, so a panic elsewhere leaves nothing half done.
        let mut session = self.shared.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*session {
            return Ok(Arc::clone(session));
        }
        let opened = Arc::new(Session::open(&self.shared.options)?);
        *session = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

#[cfg(all(test, feature = "s3"))]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_session_which_is_opened_when_it_is_needed() {
        let aws = Aws::new(&Options {
            s3: S3Options { region: Some("eu-north-1".into()), ..S3Options::default() },
            ..Options::default()
        });
        assert!(aws.shared.session.lock().unwrap().is_none());
        let session = aws.clone().session().unwrap();
        assert!(Arc::ptr_eq(&session, &aws.session().unwrap()));
        assert_eq!(session.config.region().map(AsRef::as_ref), Some("eu-north-1"));
    }
}
