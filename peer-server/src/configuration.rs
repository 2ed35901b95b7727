//! Where each setting comes from: a file, the environment, or a flag; the later wins. Whatever is a flag is a setting.

use crate::cli::{Failure, Options};
use clap::builder::{BoolishValueParser, OsStr, Resettable};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Read where it exists and no other file is named.
pub(crate) const SYSTEM_FILE: &str = "/etc/rayloom/peer.toml";
/// Most bytes that a file of settings may have.
const MOST_BYTES: u64 = 1 << 20;
/// Flags that say what to do once; a file can't.
const ACTIONS: [&str; 5] = ["config", "print-config", "list-devices", "help", "version"];
/// All variables begin with it.
const PREFIX: &str = "RAYLOOM_";
/// Keys at least this similar (Jaro-Winkler) are taken for a typo.
const SIMILAR: f64 = 0.8;

/// All settings, and where each comes from.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) options: Options,
    settings: Vec<Setting>,
}

#[derive(Debug)]
struct Setting {
    key: String,
    /// As it would stand in a file; `None` where it is not set.
    value: Option<String>,
    secret: bool,
    origin: Origin,
}

#[derive(Debug, PartialEq, Eq)]
enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment { variable: String },
    Flag { name: String },
}

/// One line of a file.
struct Entry {
    key: String,
    values: Vec<String>,
    line: usize,
}

impl Configuration {
    /// Reads what this process was started with. Ends it for `--help`, `--version` and flags that don't parse.
    pub(crate) fn read() -> Result<Configuration, Failure> {
        match Configuration::of(std::env::args_os(), Path::new(SYSTEM_FILE)) {
            Ok(configuration) => Ok(configuration),
            Err(Refused::Arguments(error)) => error.exit(),
            Err(Refused::File(reason)) => Err(Failure::usage(reason)),
        }
    }

    fn of(args: impl IntoIterator<Item = OsString>, system_file: &Path) -> Result<Configuration, Refused> {
        let args: Vec<OsString> = args.into_iter().collect();
        let bare = command();
        let named = bare.clone().try_get_matches_from(&args)?.get_one::<PathBuf>("config").cloned();
        let path = named.or_else(|| system_file.is_file().then(|| system_file.to_owned()));
        let entries = match &path {
            Some(path) => read_file(path, &bare).map_err(Refused::File)?,
            None => Vec::new(),
        };
        // A file's values stand where the defaults stood: the parser itself lets variables and flags win over them.
        let command = entries.iter().fold(bare, |command, entry| {
            let values = entry.values.clone();
            command.mut_args(|arg| if is_named(&arg, &entry.key) { arg.default_values(values.clone()) } else { arg })
        });
        let matches = command.clone().try_get_matches_from(&args)?;
        let options = Options::from_arg_matches(&matches)?;
        let settings = command.get_arguments().filter(|arg| is_setting(arg));
        let settings = settings.map(|arg| Setting::of(arg, &matches, &entries, path.as_deref())).collect();
        Ok(Configuration { options, settings })
    }
}

/// A sentence for each variable that looks like a setting and is none: a typo in the environment would pass unseen.
pub(crate) fn unknown_variables(variables: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let command = command();
    let known: Vec<&str> = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
    let names = variables.into_iter().filter_map(|name| name.into_string().ok());
    let unknown = names.filter(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()));
    let says = |name: String| match nearest(known.iter().copied(), &name) {
        Some(near) => format!("there is no variable {name}; did you mean {near}?"),
        None => format!("there is no variable {name}; --help shows all of them"),
    };
    unknown.map(says).collect()
}

/// As a file that sets the same, with each line's origin behind it.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Setting { key, value, secret, origin } in &self.settings {
            match value {
                Some(_) if *secret => writeln!(f, "# {key} is hidden  # {origin}")?,
                Some(value) => writeln!(f, "{key} = {value}  # {origin}")?,
                None => writeln!(f, "# {key} is not set")?,
            }
        }
        Ok(())
    }
}

impl Setting {
    fn of(arg: &Arg, matches: &ArgMatches, entries: &[Entry], path: Option<&Path>) -> Setting {
        let key = arg.get_long().unwrap_or_default().to_owned();
        let id = arg.get_id().as_str();
        let texts: Vec<String> = matches
            .get_raw(id)
            .map(|values| values.map(|value| as_toml(arg, &value.to_string_lossy())).collect())
            .unwrap_or_default();
        let value = match &*texts {
            [] => None,
            _ if takes_many(arg) => Some(format!("[{}]", texts.join(", "))),
            [text, ..] => Some(text.clone()),
        };
        let origin = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Origin::Flag { name: format!("--{key}") },
            Some(ValueSource::EnvVariable) => Origin::Environment {
                variable: arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            },
            _ => match (path, entries.iter().find(|entry| entry.key == key)) {
                (Some(path), Some(entry)) => Origin::File { path: path.to_owned(), line: entry.line },
                _ => Origin::Default,
            },
        };
        Setting { key, value, secret: arg.is_hide_env_values_set(), origin }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment { variable } => write!(f, "environment {variable}"),
            Origin::Flag { name } => write!(f, "flag {name}"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug)]
enum Refused {
    Arguments(clap::Error),
    File(String),
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Refused {
        Refused::Arguments(error)
    }
}

/// The command line with what all settings share: they stand before or behind a subcommand, and switches take
/// `=true` and `=false` too, so that a flag can take back what a file says.
pub(crate) fn command() -> Command {
    Options::command().mut_args(|arg| {
        if !is_setting(&arg) {
            return arg;
        }
        let arg = arg.global(true);
        match arg.get_action() {
            ArgAction::SetTrue => arg
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .value_name("BOOL")
                .value_parser(BoolishValueParser::new())
                .default_missing_value("true")
                .default_value("false"),
            _ => arg,
        }
    })
}

fn is_setting(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|long| !ACTIONS.contains(&long))
}

fn is_named(arg: &Arg, key: &str) -> bool {
    is_setting(arg) && arg.get_long() == Some(key)
}

fn is_switch(arg: &Arg) -> bool {
    arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "BOOL"))
}

fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

fn as_toml(arg: &Arg, text: &str) -> String {
    let whole = !text.is_empty() && text.len() < 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = whole && (text == "0" || !text.starts_with('0'));
    match text {
        _ if plain => text.to_owned(),
        "true" | "false" if is_switch(arg) => text.to_owned(),
        // A JSON string is a basic string of TOML.
        _ => serde_json::Value::from(text).to_string(),
    }
}

fn read_file(path: &Path, command: &Command) -> Result<Vec<Entry>, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|e| format!("cannot read the settings in {shown}: {e}"))?.len();
    if size > MOST_BYTES {
        return Err(format!("{shown} has {size} bytes; a file of settings may have {MOST_BYTES}"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read the settings in {shown}: {e}"))?;
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map(|span| line(span.start)).unwrap_or(1);
        format!("{shown}:{line}: {}", error.message())
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line(key.span().start);
        let values = checked(command, key.get_ref(), value.get_ref()).map_err(|e| format!("{shown}:{line}: {e}"))?;
        entries.push(Entry { key: key.get_ref().to_string(), values, line });
    }
    Ok(entries)
}

/// The values of one key as a flag would have them, or what is wrong with them.
fn checked(command: &Command, key: &str, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let arg = command.get_arguments().find(|arg| is_named(arg, key)).ok_or_else(|| unknown(command, key))?;
    let values = match value {
        DeValue::Array(values) if takes_many(arg) => {
            values.iter().map(|value| scalar(arg, key, value.get_ref())).collect::<Result<_, _>>()?
        }
        value => vec![scalar(arg, key, value)?],
    };
    // Alone, without the environment: what else is wrong is not this line's fault.
    let alone = command.clone().mut_args(|arg| arg.env(Resettable::<OsStr>::Reset));
    let flags = values.iter().map(|value| format!("--{key}={value}"));
    match alone.try_get_matches_from(std::iter::once("rayloom-peer".to_owned()).chain(flags)) {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) => {
            if arg.is_hide_env_values_set() {
                return Err(format!("the value of {key} is not allowed. {}", allowed(arg)));
            }
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let cause = text.split("\n\n").next().unwrap_or_default().replace('\n', "");
            Err(format!("{key}: {cause}. {}", allowed(arg)))
        }
        _ => Ok(values),
    }
}

fn scalar(arg: &Arg, key: &str, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::Boolean(value) if is_switch(arg) => Ok(value.to_string()),
        DeValue::String(text) if !is_switch(arg) => Ok(text.to_string()),
        DeValue::Integer(number) if !is_switch(arg) && number.radix() == 10 => Ok(number.as_str().to_owned()),
        value => {
            let wanted = match is_switch(arg) {
                true => "true or false",
                false if takes_many(arg) => "a string, a decimal whole number, or a list of them",
                false => "a string or a decimal whole number",
            };
            Err(format!("{key} is of type {}, but must be {wanted}. {}", value.type_str(), allowed(arg)))
        }
    }
}

/// What a setting may be, in the words of the help.
fn allowed(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()).unwrap_or("VALUE");
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    format!("{name}: {}", help.lines().next().unwrap_or_default())
}

fn unknown(command: &Command, key: &str) -> String {
    let keys = command.get_arguments().filter(|arg| is_setting(arg)).filter_map(Arg::get_long);
    match nearest(keys, key) {
        _ if ACTIONS.contains(&key) => format!("{key} is a flag only"),
        Some(known) => format!("there is no setting {key:?}; did you mean {known:?}?"),
        None => format!("there is no setting {key:?}; --print-config shows all of them"),
    }
}

/// What a typo was meant to be. What all names begin with says nothing.
fn nearest<'a>(known: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let bare = |name: &'a str| name.strip_prefix(PREFIX).unwrap_or(name);
    let wanted = name.strip_prefix(PREFIX).unwrap_or(name);
    let near = known.map(|known| (strsim::jaro_winkler(bare(known), wanted), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    near.filter(|(similarity, _)| *similarity >= SIMILAR).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `flags` and a file of `text` make together.
    fn with(name: &str, text: &str, flags: &[&str]) -> Result<Configuration, String> {
        let path = std::env::temp_dir().join(format!("rayloom-configuration-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let args = std::iter::once("rayloom-peer").chain(flags.iter().copied()).map(OsString::from);
        let result = Configuration::of(args, &path);
        std::fs::remove_file(&path).unwrap();
        result.map_err(|refused| match refused {
            Refused::Arguments(error) => error.to_string(),
            Refused::File(reason) => reason.rsplit_once("toml:").map_or(reason.clone(), |(_, rest)| rest.to_owned()),
        })
    }

    #[test]
    fn the_flags_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn flags_win_over_the_file_also_to_take_back() {
        let text = "max-sessions = 3\nallow-cpu = true\nlisten = '127.0.0.1:9'\n";
        let file = with("wins", text, &[]).unwrap();
        assert_eq!((file.options.max_sessions, file.options.allow_cpu), (3, true));
        let both = with("wins", text, &["--allow-cpu=false", "doctor", "--max-sessions", "5"]).unwrap();
        assert_eq!((both.options.max_sessions, both.options.allow_cpu), (5, false));
        assert_eq!(both.options.listen.port(), 9);
        let printed = both.to_string();
        assert!(printed.contains("max-sessions = 5  # flag --max-sessions\n"), "{printed}");
        assert!(printed.contains(".toml:3\n"), "{printed}");
        assert!(printed.contains("validation = false  # default\n"), "{printed}");
    }

    #[test]
    fn what_is_printed_sets_the_same_again() {
        let first = with("again", "max-sessions = 3\ndevice = \"a \\\"b\\\"\"\nallow-cpu = true", &[]).unwrap();
        let again = with("again", &first.to_string(), &[]).unwrap();
        let values = |from: &Configuration| from.settings.iter().map(|s| s.value.clone()).collect::<Vec<_>>();
        assert_eq!(values(&again), values(&first));
        assert_eq!(again.options.device.as_deref(), Some("a \"b\""));
    }

    #[test]
    fn the_token_is_hidden() {
        let read = with("token", "token = 'secret'", &[]).unwrap();
        assert_eq!(read.options.token().unwrap(), ("secret".into(), false));
        assert!(!read.to_string().contains("secret"), "{read}");
    }

    #[test]
    fn typos_are_refused_with_line_and_suggestion() {
        let refused = |name, text| with(name, text, &[]).unwrap_err();
        assert_eq!(
            refused("typo", "# peers\n\nmax_sesions = 3"),
            "3: there is no setting \"max_sesions\"; did you mean \"max-sessions\"?"
        );
        assert!(refused("far", "\nzzz = 3").starts_with("2: there is no setting \"zzz\"; --print-config"));
        assert_eq!(refused("action", "list-devices = true"), "1: list-devices is a flag only");
        assert!(refused("syntax", "listen = 'a'\nlisten = ").starts_with("2: "));
    }

    #[test]
    fn variables_that_are_none_are_named() {
        let names = ["RAYLOOM_TOKEN", "RAYLOOM_UDP_PORTS", "RAYLOOM_ZZZ", "PATH"].map(OsString::from);
        assert_eq!(
            unknown_variables(names),
            [
                "there is no variable RAYLOOM_UDP_PORTS; did you mean RAYLOOM_UDP_PORT?",
                "there is no variable RAYLOOM_ZZZ; --help shows all of them"
            ]
        );
    }

    #[test]
    fn wrong_values_name_key_value_and_what_is_allowed() {
        let refused = |name, text| with(name, text, &[]).unwrap_err();
        let listen = refused("value", "listen = 'here'");
        assert!(listen.contains("'here'") && listen.contains("ADDRESS:PORT"), "{listen}");
        let sessions = refused("type", "max-sessions = true");
        assert!(sessions.contains("max-sessions is of type boolean, but must be a string or"), "{sessions}");
        let cpu = refused("switch", "allow-cpu = 'yes'");
        assert!(cpu.contains("must be true or false"), "{cpu}");
        let size = refused("size", "cache-size = '3 parsecs'");
        assert!(size.contains("use MB, MiB, GB or GiB"), "{size}");
    }
}
