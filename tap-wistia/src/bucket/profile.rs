//! What the files of AWS's tools say of a profile: its keys and its region. Logins, roles and programs that make keys
//! are beyond it. <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::env::var_os;
use std::fs::read_to_string;
use std::path::PathBuf;

use program::Secret;

/// A profile.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) keys: Option<Keys>,
    pub(super) region: Option<String>,
}

/// Keys that a file holds.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) token: Option<Secret>,
}

impl Profile {
    /// The one that the environment names.
    pub(super) fn of_environment() -> Self {
        let name = std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        let name = name.as_deref().unwrap_or("default");
        let file = |variable: &str, default: &str| {
            let home = || Some(PathBuf::from(var_os("HOME")?).join(".aws").join(default));
            let path = var_os(variable).map(PathBuf::from).or_else(home);
            path.and_then(|path| read_to_string(path).ok()).unwrap_or_default()
        };
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        Self::read(name, &credentials, &file("AWS_CONFIG_FILE", "config"))
    }

    /// The profile of a name in both files, of which that with the credentials wins.
    fn read(name: &str, credentials: &str, config: &str) -> Self {
        let in_config = if name == "default" { name.to_owned() } else { format!("profile {name}") };
        let get = |key: &str| {
            setting(credentials, name, key).or_else(|| setting(config, &in_config, key))
        };
        let keys = get("aws_access_key_id").zip(get("aws_secret_access_key"));
        let keys = keys.map(|(id, secret)| Keys {
            id: id.to_owned(),
            secret: Secret::new(secret),
            token: get("aws_session_token").map(Secret::new),
        });
        Self { keys, region: get("region").map(str::to_owned) }
    }
}

/// A setting of a section.
fn setting<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut is_inside = false;
    let mut found = None;
    for line in text.lines() {
        if let Some(header) = line.trim().strip_prefix('[').and_then(|line| line.strip_suffix(']'))
        {
            is_inside = header.split_whitespace().eq(section.split_whitespace());
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_inside)
            // What is indented belongs to the setting before it.
            && !line.starts_with([' ', '\t'])
            && name.trim() == key
        {
            found = Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_as_other_tools_read_it() {
        let credentials = "[default]\naws_access_key_id=A\naws_secret_access_key = a=/+ \n\n\
            # another\n[ night ]\naws_access_key_id = N\naws_secret_access_key = n\naws_session_token = t\n";
        let config = "[default]\nregion = eu-west-1\n[profile night]\nregion = us-east-2\ns3 =\n  region = no\n\
            [profile login]\nsso_session = x\n";
        let keys = |profile: &Profile| {
            let keys = profile.keys.as_ref()?;
            let token = keys.token.as_ref().map(|token| token.expose().to_owned());
            Some((keys.id.clone(), keys.secret.expose().to_owned(), token))
        };
        let own = |id: &str, secret: &str, token: Option<&str>| {
            Some((id.to_owned(), secret.to_owned(), token.map(str::to_owned)))
        };
        for (name, expected, region) in [
            ("default", own("A", "a=/+", None), Some("eu-west-1")),
            ("night", own("N", "n", Some("t")), Some("us-east-2")),
            ("login", None, None),
            ("nobody", None, None),
        ] {
            let profile = Profile::read(name, credentials, config);
            assert_eq!(keys(&profile), expected, "{name}");
            assert_eq!(profile.region.as_deref(), region, "{name}");
        }
    }
}
