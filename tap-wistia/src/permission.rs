//! What Wistia lets a token do, as the page that makes tokens words it:
//! <https://docs.wistia.com/docs/authentication>.

/// A permission of a token. Which one a resource wants is in the description of its API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// The v1 API.
    AllData,
    /// Statistics of the modern API.
    DetailedStats,
    /// Medias and folders of the modern API.
    FoldersAndMedia,
}

impl Permission {
    /// Its name on the page where tokens are made.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AllData => "Read all data",
            Self::DetailedStats => "Read detailed stats",
            Self::FoldersAndMedia => "Read all folder and media data",
        }
    }

    /// What to do where a token lacks it.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::AllData => {
                "give the token the permission \"Read all data\", or deselect the stream in the catalog"
            }
            Self::DetailedStats => {
                "give the token the permission \"Read detailed stats\", or deselect the stream in the catalog"
            }
            Self::FoldersAndMedia => {
                "give the token the permission \"Read all folder and media data\", or deselect the stream in the catalog"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_permission() {
        for permission in
            [Permission::AllData, Permission::DetailedStats, Permission::FoldersAndMedia]
        {
            assert!(permission.hint().contains(&format!("{:?}", permission.name())));
        }
    }
}
