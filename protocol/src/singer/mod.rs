//! The Singer protocol: messages, catalogs and selection.
