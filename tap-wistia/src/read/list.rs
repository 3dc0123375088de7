//! Lists that are read to their end in every sync.

use futures::future::LocalBoxFuture;

use crate::client::Request;
use crate::context::Context;
use crate::error::Result;
use crate::output::Output;
use crate::pages::{Ends, Listed, LookAhead, Pages};
use crate::privacy::Privacy;

/// A row of a list that feeds a stream by itself.
pub(crate) trait ListRow: Listed {
    /// The request for the list, without its page.
    fn request() -> Request;

    /// Writes the records of the row.
    fn emit(self, privacy: &Privacy, output: &mut Output) -> Result<()>;
}

/// A list, whatever its rows are.
#[derive(Debug)]
pub(crate) struct List {
    /// The request for the list, without its page.
    pub(crate) request: fn() -> Request,
    /// Reads it. A list that is put together in its own way brings its own function.
    pub(crate) read: for<'a> fn(&'a mut Context<'_>) -> LocalBoxFuture<'a, Result<()>>,
}

impl List {
    /// The list of such rows.
    pub(crate) const fn of<R: ListRow>() -> Self {
        Self { request: R::request, read: boxed::<R> }
    }
}

fn boxed<'a, R: ListRow>(context: &'a mut Context<'_>) -> LocalBoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let outcome = read::<R>(context).await;
        // Of a list that failed, too: whoever reads the messages may rely on those before it.
        context.write_state()?;
        outcome
    })
}

async fn read<R: ListRow>(context: &mut Context<'_>) -> Result<()> {
    let ends = Ends::default();
    let mut pages = Pages::<R>::new(context.client, R::request(), LookAhead::Much, &ends);
    while let Some(rows) = pages.next().await? {
        context.output.extracted_now();
        for row in rows {
            row.emit(&context.settings.privacy, &mut context.output)?;
        }
        context.show(None);
    }
    Ok(())
}
