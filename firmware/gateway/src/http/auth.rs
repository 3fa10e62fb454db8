//! Who may do what: users with passwords, tokens, sessions; and a limit on guessing.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::GatewayError;
use crate::settings::{ARGON_KIB, ARGON_PASSES};

/// The most users, tokens and sessions.
const MOST_USERS: usize = 64;
const MOST_TOKENS: usize = 64;
const MOST_SESSIONS: usize = 64;

/// No file of users and no secret is longer.
const MOST_FILE_BYTES: u64 = 256 << 10;
const MOST_SECRET_BYTES: u64 = 4096;

/// Lengths of a password.
const LEAST_PASSWORD: usize = 8;
const MOST_PASSWORD: usize = 256;

/// The user that `password_file` is of, and that the first run makes.
pub(crate) const ADMIN: &str = "admin";

/// Wrong passwords from one address before it has to wait, how long at first and at most, and how many addresses are remembered.
const FREE_GUESSES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_mins(5);
const MOST_GUESSERS: usize = 256;

/// Passwords that are tried in a minute from all addresses together.
const GUESSES_A_MINUTE: usize = 30;

/// What somebody may do; each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See and ask.
    Viewer,
    /// Acknowledge and teach.
    Operator,
    /// Change what can be said, and who may do what.
    Admin,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Principal {
    pub name: String,
    pub role: Role,
    /// The cameras that they may see; `None` for all.
    pub cameras: Option<Arc<[String]>>,
    /// What an unsafe request of a session must bring along; `None` for a token.
    pub csrf: Option<String>,
}

impl Principal {
    /// Whether they may see this camera.
    pub fn sees(&self, camera: &str) -> bool {
        self.cameras.as_ref().is_none_or(|cameras| cameras.iter().any(|own| own == camera))
    }
}

/// One line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    User {
        name: String,
        role: Role,
        #[serde(default)]
        cameras: Option<Vec<String>>,
        hash: String,
    },
    Token {
        name: String,
        role: Role,
        #[serde(default)]
        cameras: Option<Vec<String>>,
        sha256: String,
        expires: u64,
    },
}

#[derive(Clone)]
struct User {
    role: Role,
    cameras: Option<Arc<[String]>>,
    hash: Arc<str>,
    /// Of `password_file`, which is not written.
    given: bool,
}

#[derive(Clone)]
struct Token {
    role: Role,
    cameras: Option<Arc<[String]>>,
    sha256: [u8; 32],
    /// Seconds since 1970.
    expires: u64,
}

struct Session {
    sha256: [u8; 32],
    csrf: String,
    user: String,
    until: Instant,
}

/// A user or token, as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The cameras that it may see; `null` for all.
    pub cameras: Option<Vec<String>>,
    /// When a token ends, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// Wrong name or password.
    Wrong,
    /// Too many were wrong; for so long.
    Wait(Duration),
}

/// All who may do something.
pub(crate) struct Accounts {
    path: Option<PathBuf>,
    users: BTreeMap<String, User>,
    tokens: BTreeMap<String, Token>,
    sessions: VecDeque<Session>,
    session: Duration,
    guessers: VecDeque<(IpAddr, u32, Instant)>,
    guesses: VecDeque<Instant>,
    /// What a password for nobody is held against, so that it takes as long.
    nobody: Arc<str>,
}

fn argon() -> Argon2<'static> {
    let params = Params::new(ARGON_KIB, ARGON_PASSES, 1, None).expect("these should be within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// A secret that nobody guesses.
pub(crate) fn secret() -> io::Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// What is kept of a password. Takes 7 MiB and some tenths of a second.
pub(crate) fn hashed(password: &str) -> io::Result<Arc<str>> {
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(|error| io::Error::other(error.to_string()))?;
    let hash =
        argon().hash_password(password.as_bytes(), &salt).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(hash.to_string().into())
}

/// Whether it is that password. As slow.
pub(crate) fn verified(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    // A file that asks for more memory than is planned for is not obeyed.
    let modest = Params::try_from(&hash).is_ok_and(|params| params.m_cost() <= ARGON_KIB && params.p_cost() == 1);
    modest && argon().verify_password(password.as_bytes(), &hash).is_ok()
}

/// What a new password must be.
pub(crate) fn check_password(password: &str) -> Result<(), String> {
    if (LEAST_PASSWORD..=MOST_PASSWORD).contains(&password.len()) && !password.contains(char::is_control) {
        return Ok(());
    }
    Err(format!("a password has {LEAST_PASSWORD} to {MOST_PASSWORD} bytes, and no control characters"))
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(format!("a name has 1 to 64 letters, digits, or - _ . @; `{}` does not", name.escape_debug()))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn read_bounded(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
        .collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    (text.len() == 64 && text.is_ascii()).then_some(())?;
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

impl Accounts {
    /// Reads the file of users, which need not be there yet, and the password of `admin`.
    pub fn open(users: Option<&Path>, password: Option<&Path>, session: Duration) -> Result<Self, GatewayError> {
        let bad = |path: &Path, why: String| GatewayError::Users { path: path.to_path_buf(), why };
        let nobody = hashed(&secret().map_err(GatewayError::Random)?).map_err(GatewayError::Random)?;
        let (users_at, tokens, sessions) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        let (guessers, guesses) = (VecDeque::new(), VecDeque::new());
        let path = users.map(Path::to_path_buf);
        let mut accounts = Self { path, users: users_at, tokens, sessions, session, guessers, guesses, nobody };
        if let Some(path) = users {
            accounts.read(path).map_err(|why| bad(path, why))?;
        }
        if let Some(path) = password {
            let text = read_bounded(path, MOST_SECRET_BYTES).map_err(|error| bad(path, error.to_string()))?;
            let password = text.strip_suffix('\n').unwrap_or(&text);
            check_password(password).map_err(|why| bad(path, why))?;
            let hash = hashed(password).map_err(GatewayError::Random)?;
            accounts.users.insert(ADMIN.into(), User { role: Role::Admin, cameras: None, hash, given: true });
        }
        Ok(accounts)
    }

    fn read(&mut self, path: &Path) -> Result<(), String> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err("others may read it; `chmod 600` it".into());
        }
        let text = read_bounded(path, MOST_FILE_BYTES).map_err(|error| error.to_string())?;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            // What serde says may quote the line, which is secret.
            let wrong = || format!("line {} is no user and no token; delete it", index + 1);
            match serde_json::from_str(line).map_err(|_| wrong())? {
                Line::User { name, role, cameras, hash } => {
                    PasswordHash::new(&hash).map_err(|_| wrong())?;
                    let user = User { role, cameras: cameras.map(Into::into), hash: hash.into(), given: false };
                    self.users.insert(name, user);
                }
                Line::Token { name, role, cameras, sha256, expires } => {
                    let sha256 = unhex(&sha256).ok_or_else(wrong)?;
                    self.tokens.insert(name, Token { role, cameras: cameras.map(Into::into), sha256, expires });
                }
            }
        }
        if self.users.len() > MOST_USERS || self.tokens.len() > MOST_TOKENS {
            return Err(format!("it has more than {MOST_USERS} users or {MOST_TOKENS} tokens"));
        }
        Ok(())
    }

    /// Writes all but what was given, whole or not at all.
    fn write(&self) -> Result<(), String> {
        let Some(path) = &self.path else {
            return Err("the config names no `users` in [gateway]: a file in which users and tokens are kept".into());
        };
        let users = self.users.iter().filter(|(_, user)| !user.given).map(|(name, user)| Line::User {
            name: name.clone(),
            role: user.role,
            cameras: user.cameras.as_deref().map(<[String]>::to_vec),
            hash: user.hash.to_string(),
        });
        let tokens = self.tokens.iter().map(|(name, token)| Line::Token {
            name: name.clone(),
            role: token.role,
            cameras: token.cameras.as_deref().map(<[String]>::to_vec),
            sha256: hex(&token.sha256),
            expires: token.expires,
        });
        let lines = users.chain(tokens).map(|line| serde_json::to_string(&line).map(|line| line + "\n"));
        let text = lines.collect::<Result<String, _>>().map_err(|error| error.to_string())?;
        let part = path.with_extension("part");
        let written = (|| {
            let _ = fs::remove_file(&part);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, path)
        })();
        written.map_err(|error| format!("{}: it cannot be written ({error})", path.display()))
    }

    /// Changes something and writes it; where it cannot be written, nothing is changed.
    fn change(&mut self, change: impl FnOnce(&mut Self) -> Result<(), String>) -> Result<(), String> {
        let (users, tokens) = (self.users.clone(), self.tokens.clone());
        let changed = change(self).and_then(|()| self.write());
        if changed.is_err() {
            (self.users, self.tokens) = (users, tokens);
        }
        changed
    }

    /// Whether there is anybody who could log in.
    pub fn claimed(&self) -> bool {
        !self.users.is_empty() || !self.tokens.is_empty()
    }

    /// Adds or changes a user, whose sessions end.
    pub fn put_user(&mut self, account: &Account, hash: Arc<str>) -> Result<(), String> {
        check_name(&account.name)?;
        self.change(|all| {
            if all.users.get(&account.name).is_some_and(|user| user.given) {
                return Err(format!("the password of `{}` comes from `password_file`; change it there", account.name));
            }
            let cameras = account.cameras.clone().map(Into::into);
            all.users.insert(account.name.clone(), User { role: account.role, cameras, hash, given: false });
            let full_admin = |user: &User| user.role == Role::Admin && user.cameras.is_none();
            if !all.users.values().any(full_admin) {
                return Err("nobody would be left who may change users".into());
            }
            if all.users.len() > MOST_USERS {
                return Err(format!("there are {MOST_USERS} users, the most"));
            }
            Ok(())
        })?;
        self.sessions.retain(|session| session.user != account.name);
        Ok(())
    }

    /// Takes a user away; `false` where there is none.
    pub fn remove_user(&mut self, name: &str) -> Result<bool, String> {
        if !self.users.contains_key(name) {
            return Ok(false);
        }
        self.change(|all| {
            if all.users.remove(name).is_some_and(|user| user.given) {
                return Err(format!("`{name}` comes from `password_file`; take that away"));
            }
            if !all.users.values().any(|user| user.role == Role::Admin && user.cameras.is_none()) {
                return Err("nobody would be left who may change users".into());
            }
            Ok(())
        })?;
        self.sessions.retain(|session| session.user != name);
        Ok(true)
    }

    /// Makes a token, and gives it: it is not kept, and not told again.
    pub fn put_token(&mut self, account: &Account, days: u32) -> Result<String, String> {
        check_name(&account.name)?;
        let token = secret().map_err(|error| error.to_string())?;
        let expires = now_s() + u64::from(days) * 86_400;
        let cameras = account.cameras.clone().map(Into::into);
        let sha256 = Sha256::digest(token.as_bytes()).into();
        self.change(|all| {
            all.tokens.retain(|_, token| token.expires > now_s());
            all.tokens.insert(account.name.clone(), Token { role: account.role, cameras, sha256, expires });
            let full = all.tokens.len() > MOST_TOKENS;
            if full { Err(format!("there are {MOST_TOKENS} tokens, the most")) } else { Ok(()) }
        })?;
        Ok(token)
    }

    /// Takes a token away; `false` where there is none.
    pub fn remove_token(&mut self, name: &str) -> Result<bool, String> {
        if !self.tokens.contains_key(name) {
            return Ok(false);
        }
        self.change(|all| {
            all.tokens.remove(name);
            Ok(())
        })?;
        Ok(true)
    }

    /// The users.
    pub fn users(&self) -> Vec<Account> {
        let account = |(name, user): (&String, &User)| Account {
            name: name.clone(),
            role: user.role,
            cameras: user.cameras.as_deref().map(<[String]>::to_vec),
            expires: None,
        };
        self.users.iter().map(account).collect()
    }

    /// The tokens.
    pub fn tokens(&self) -> Vec<Account> {
        let account = |(name, token): (&String, &Token)| Account {
            name: name.clone(),
            role: token.role,
            cameras: token.cameras.as_deref().map(<[String]>::to_vec),
            expires: Some(token.expires),
        };
        self.tokens.iter().map(account).collect()
    }

    /// Before a password is tried: what it is held against, with [`verified`]. Wrong names cost as much as right ones.
    pub fn guess(&mut self, from: IpAddr, name: &str, now: Instant) -> Result<Arc<str>, Barred> {
        if let Some((_, wrong, last)) = self.guessers.iter().find(|(other, ..)| *other == from)
            && *wrong >= FREE_GUESSES
        {
            let wait = FIRST_WAIT.saturating_mul(1 << (wrong - FREE_GUESSES).min(16)).min(LONGEST_WAIT);
            let waited = now.saturating_duration_since(*last);
            if waited < wait {
                return Err(Barred::Wait(wait.saturating_sub(waited)));
            }
        }
        let minute = Duration::from_mins(1);
        self.guesses.retain(|at| now.saturating_duration_since(*at) < minute);
        if self.guesses.len() >= GUESSES_A_MINUTE {
            return Err(Barred::Wait(minute.saturating_sub(now.saturating_duration_since(self.guesses[0]))));
        }
        self.guesses.push_back(now);
        // Counted before it is known to be wrong, so that guesses beside each other count too.
        let wrong = self.guessers.iter().position(|(other, ..)| *other == from);
        let wrong = wrong.and_then(|place| self.guessers.remove(place)).map_or(0, |(_, wrong, _)| wrong);
        if self.guessers.len() == MOST_GUESSERS {
            self.guessers.pop_front();
        }
        self.guessers.push_back((from, wrong.saturating_add(1), now));
        Ok(self.users.get(name).map_or_else(|| Arc::clone(&self.nobody), |user| Arc::clone(&user.hash)))
    }

    /// Whose password was right against `hash` is logged in: gives the session's secret and its principal.
    pub fn enter(
        &mut self,
        from: IpAddr,
        name: &str,
        hash: &str,
        now: Instant,
    ) -> io::Result<Option<(String, Principal)>> {
        // It may have been changed meanwhile.
        let Some(user) = self.users.get(name).filter(|user| *user.hash == *hash) else { return Ok(None) };
        let (role, cameras) = (user.role, user.cameras.clone());
        self.guessers.retain(|(other, ..)| *other != from);
        let (session, csrf) = (secret()?, secret()?);
        self.sessions.retain(|session| session.until > now);
        if self.sessions.len() == MOST_SESSIONS {
            self.sessions.pop_front();
        }
        let sha256 = Sha256::digest(session.as_bytes()).into();
        let until = now + self.session;
        self.sessions.push_back(Session { sha256, csrf: csrf.clone(), user: name.to_owned(), until });
        Ok(Some((session, Principal { name: name.to_owned(), role, cameras, csrf: Some(csrf) })))
    }

    /// Who has this session. All are compared, each in constant time, by their hashes.
    pub fn of_session(&self, session: &str, now: Instant) -> Option<Principal> {
        let sha256: [u8; 32] = Sha256::digest(session.as_bytes()).into();
        let mut found = None;
        for session in &self.sessions {
            if bool::from(session.sha256.ct_eq(&sha256)) && session.until > now {
                found = Some(session);
            }
        }
        let Session { user: name, csrf, .. } = found?;
        let user = self.users.get(name)?;
        let (name, csrf) = (name.clone(), Some(csrf.clone()));
        Some(Principal { name, role: user.role, cameras: user.cameras.clone(), csrf })
    }

    /// Who has this token.
    pub fn of_token(&self, token: &str) -> Option<Principal> {
        let sha256: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let (mut found, now_s) = (None, now_s());
        for (name, token) in &self.tokens {
            if bool::from(token.sha256.ct_eq(&sha256)) && token.expires > now_s {
                found = Some((name, token));
            }
        }
        let (name, token) = found?;
        Some(Principal { name: name.clone(), role: token.role, cameras: token.cameras.clone(), csrf: None })
    }

    /// Ends a session.
    pub fn leave(&mut self, session: &str) {
        let sha256: [u8; 32] = Sha256::digest(session.as_bytes()).into();
        self.sessions.retain(|session| !bool::from(session.sha256.ct_eq(&sha256)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn account(name: &str, role: Role, cameras: Option<&[&str]>) -> Account {
        let cameras = cameras.map(|cameras| cameras.iter().map(|camera| (*camera).to_owned()).collect());
        Account { name: name.into(), role, cameras, expires: None }
    }

    fn opened(path: &Path) -> Accounts {
        Accounts::open(Some(path), None, Duration::from_mins(1)).expect("it can be read")
    }

    #[test]
    fn users_and_tokens_are_kept_without_their_secrets() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("users");
        let mut accounts = opened(&path);
        assert!(!accounts.claimed());
        let hash = hashed("correct horse").expect("random");
        accounts.put_user(&account(ADMIN, Role::Admin, None), hash).expect("the first");
        let token = accounts.put_token(&account("prometheus", Role::Viewer, Some(&["hall"])), 30).expect("a token");
        let text = fs::read_to_string(&path).expect("it was written");
        assert!(!text.contains(&token) && !text.contains("correct horse"), "{text}");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let mut again = opened(&path);
        let who = again.of_token(&token).expect("it is known");
        assert_eq!(
            (who.name.as_str(), who.role, who.sees("hall"), who.sees("bath")),
            ("prometheus", Role::Viewer, true, false)
        );
        let now = Instant::now();
        let hash = again.guess(HERE, ADMIN, now).expect("the first");
        assert!(verified("correct horse", &hash) && !verified("correct horsf", &hash));
        let (session, who) = again.enter(HERE, ADMIN, &hash, now).expect("random").expect("right");
        assert_eq!(again.of_session(&session, now), Some(who));
        assert_eq!(again.of_session(&session, now + Duration::from_secs(61)), None, "it has ended");
        assert_eq!(again.of_session(&token, now), None);
        again.leave(&session);
        assert_eq!(again.of_session(&session, now), None);
        assert!(again.remove_token("prometheus").expect("written") && again.of_token(&token).is_none());
        again.remove_user(ADMIN).expect_err("nobody would be left");
        assert!(again.claimed());
    }

    #[test]
    fn a_token_ends_and_a_changed_user_loses_sessions() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut accounts = opened(&folder.path().join("users"));
        let token = accounts.put_token(&account("old", Role::Admin, None), 0).expect("a token");
        assert_eq!(accounts.of_token(&token), None, "it has ended");
        let hash = hashed("correct horse").expect("random");
        accounts.put_user(&account("ann", Role::Admin, None), Arc::clone(&hash)).expect("new");
        let now = Instant::now();
        let (session, _) = accounts.enter(HERE, "ann", &hash, now).expect("random").expect("right");
        let mut demoted = account("ann", Role::Viewer, None);
        accounts.put_user(&demoted, Arc::clone(&hash)).expect_err("the last admin");
        assert!(accounts.of_session(&session, now).is_some(), "nothing was changed");
        accounts.put_user(&account("bob", Role::Admin, None), Arc::clone(&hash)).expect("another admin");
        demoted.cameras = Some(vec!["hall".into()]);
        accounts.put_user(&demoted, hash).expect("now");
        assert!(accounts.of_session(&session, now).is_none());
    }

    #[test]
    fn who_guesses_waits_longer_and_longer_and_others_do_not() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut accounts = opened(&folder.path().join("users"));
        let mut now = Instant::now();
        for _ in 0..FREE_GUESSES {
            accounts.guess(HERE, "nobody", now).expect("free");
        }
        assert_eq!(accounts.guess(HERE, "nobody", now), Err(Barred::Wait(FIRST_WAIT)));
        let other = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
        accounts.guess(other, "nobody", now).expect("another address");
        now += FIRST_WAIT;
        accounts.guess(HERE, "nobody", now).expect("it has waited");
        assert_eq!(accounts.guess(HERE, "nobody", now), Err(Barred::Wait(2 * FIRST_WAIT)));
        for index in 0..=255 {
            let from = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, index));
            if let Err(barred) = accounts.guess(from, "nobody", now) {
                assert!(matches!(barred, Barred::Wait(wait) if wait <= Duration::from_mins(1)));
                assert_eq!(usize::from(index), GUESSES_A_MINUTE - 7, "of all addresses together");
                return;
            }
        }
        panic!("many addresses guess without a limit");
    }

    #[test]
    fn files_that_are_no_good_are_refused_without_quoting_them() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("users");
        let refused = |text: &str, mode: u32| {
            fs::write(&path, text).expect("it is writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            let opened = Accounts::open(Some(&path), None, Duration::from_mins(1));
            opened.err().expect("it is no good").to_string()
        };
        assert!(refused("", 0o644).contains("chmod 600"));
        let said = refused("{\"type\":\"user\",\"name\":\"ann\",\"role\":\"king\",\"hash\":\"s3cret\"}\n", 0o600);
        assert!(said.contains("line 1 is no user") && !said.contains("s3cret"), "{said}");
        let hash = "$argon2id$v=19$m=4194304,t=5,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU";
        assert!(!verified("x", hash), "4 GiB are not taken");
        let password = folder.path().join("password");
        fs::write(&password, "short\n").expect("it is writable");
        let said = Accounts::open(None, Some(&password), Duration::ZERO).err().expect("too short").to_string();
        assert!(said.contains("8 to 256") && !said.contains("short\n"), "{said}");
    }
}
