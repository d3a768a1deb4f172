// What crosses between the page and the native side. Times are unix milliseconds. The page computes no state: it shows a Snapshot.

export type Language = 'en' | 'de'
export type Appearance = 'system' | 'light' | 'dark'

/** An error in the shape in which people see it: what happened (message), what to do (hint), the rest folded (details). */
export interface Fault {
  kind: string
  message: string
  hint: string
  details: string
  op?: string
}

export type SessionState = 'invited' | 'answered' | 'pairing' | 'active' | 'ending' | 'ended' | 'removed' | 'unconfirmed'
export type Presence = 'online' | 'offline' | 'reconnecting' | 'unknown'

export interface Waiting {
  instance: string
  computer: string
  os: string
  user: string
  timeZone?: string
  since: number
  chosen: boolean
}

export interface Code {
  digits: string
  expiresAt: number
  triesLeft: number
  sessionTriesLeft: number
  state: 'shown' | 'wrong' | 'expired' | 'locked'
}

export interface Display {
  id: number
  name: string
  width: number
  height: number
  primary: boolean
}

export interface Remote {
  open: boolean
  viewOnly: boolean
  display: number
  displays: Display[]
  blocked?: Fault
  /** Who or what stopped it: "customer", "bar" (their indicator is not visible) or "locked"; empty while it goes on. */
  paused?: string
  clipboardText?: string
}

export interface Verbs {
  cancel: boolean
  resend: boolean
  correct: boolean
  showCode: boolean
  newCode: boolean
  remote: boolean
  end: boolean
  putAway: boolean
  /** A new session with the same customer can be prepared. */
  again?: boolean
  reboot?: boolean
}

export interface Session {
  id: string
  label: string
  mine: boolean
  /** Of the same person, begun at another console. */
  elsewhere?: boolean
  again?: boolean
  technician: string
  customer: { email: string; name: string; subject: string; language: Language; note?: string }
  state: SessionState
  presence: Presence
  presenceSince?: number
  createdAt: number
  inviteExpiresAt: number
  activatedAt?: number
  expiresAt?: number
  /** Active, and ends in less than so many minutes. */
  soon?: 60 | 10
  endedAt?: number
  endedBy?: string
  link?: string
  mail: { state: 'none' | 'sending' | 'sent' | 'failed' | 'copied' | 'opened'; at?: number; fault?: Fault; server?: boolean }
  waiting: Waiting[]
  /** No computer is there, and the last one that was does not go on. */
  refused?: { why: 'fault' | 'running' | 'earlier' | 'no_display' | 'wayland' | 'unsupported' | 'declined'; computer: string; at: number }
  code?: Code
  host?: { computer: string; os: string; user: string; timeZone: string; version: string }
  rights: string[]
  /** What the customer could allow, as it stands now; empty while the computer is not connected. */
  allowed: { right: string; on: boolean; until?: number; folder?: string; asked?: boolean }[]
  link_state?: 'connecting' | 'open' | 'stale' | 'reconnecting' | 'closed'
  path?: 'direct' | 'relay'
  rttMs?: number
  fingerprints?: { ours: string; theirs: string }
  remote?: Remote
  /** What is known of sign-ins and restarts there. after: what brings it back after a restart. */
  standing?: { after: 'boot' | 'login' | ''; noDesktop: boolean }
  /** A restart that was asked for: the customer may refuse until `until`, then it restarts and comes back. */
  reboot?: { state: 'asked' | 'restarting'; until?: number; since: number }
  removal?: { state: 'pending' | 'clean' | 'unclean' | 'unconfirmed'; lines: string[] }
  fault?: Fault
  verbs: Verbs
}

export interface Usage {
  used: number
  max: number
}

export interface Server {
  kind: 'embedded' | 'remote' | ''
  url: string
  online: boolean
  offlineSince?: number
  lan: boolean
  insecure: boolean
  lanAddresses: { address: string; name: string }[]
  lanAddress?: string
}

export interface Notice {
  id: string
  level: 'info' | 'warn' | 'error'
  fault: Fault
}

export interface Snapshot {
  rev: number
  phase: 'starting' | 'welcome' | 'unlock' | 'signin' | 'enrol' | 'ready' | 'fatal'
  fatal?: Fault
  version: string
  lab: boolean
  server: Server
  /** sealed: a passphrase is set and asked for; otherwise one may be chosen. */
  vault: { kind: 'keyring' | 'passphrase' | 'memory' | ''; note?: Fault; sealed: boolean }
  profile?: Profile
  /** Why the person has to sign in again, and as whom: only where it was not their own doing. */
  signedOut?: { fault: Fault; email: string }
  /** What this version can do at a customer's computer: see "rights". */
  offered: string[]
  limits: { mine: Usage; company: Usage }
  sessions: Session[]
  notices: Notice[]
  /** byServer: the company's server sends invitations and so knows their links. testing: how far a test message is. */
  mail: { configured: boolean; from?: string; byServer?: boolean; testing?: 'connecting' | 'signing_in' | 'handing_in' }
  settings: { appearance: Appearance; language: Language }
  /** To be added to this computer's time to get the time by which sessions end. */
  clock?: number
  ui?: { open?: { session: string; tab: 'control'; mode: '1:1'; bare: boolean } }
}

export interface Invitee {
  email: string
  name: string
  subject: string
  language: Language
  note?: string
}

export interface Preview {
  subject: string
  text: string
  html: string
}

/** One of those who hold the places when a limit is reached (in the details of a fault of kind "limit"). */
export interface Holder {
  id: string
  label: string
  technician: string
  state: SessionState
  since: number
  mine: boolean
}

export interface Ticket {
  socket: string
  path: string
  token: string
}

export interface RemoteStats {
  rttMs: number
  path: string
  updatesPerSec: number
  kbitPerSec: number
  captureMs: number
  encodeMs: number
  networkMs: number
  decodeMs: number
  paintMs: number
  width: number
  height: number
  codec: string
  quality: string
}

export interface MailSettings {
  host: string
  port: number
  security: 'starttls' | 'tls' | 'none'
  user: string
  from: string
  hasPassword: boolean
  /** A way without encryption, to another computer, is accepted. */
  unprotected?: boolean
}

export interface AboutInfo {
  version: string
  licences: { name: string; version: string; licence: string }[]
  logPath: string
}

export interface Check {
  name: string
  ok: boolean
  detail: string
  hint: string
}

// ---- people -------------------------------------------------------------------------------------------------------

export type Role = 'technician' | 'lead' | 'admin'

/** Who is signed in. rights: what this person may do at most; companyRights: what the company may. */
export interface Profile {
  id: string
  name: string
  email: string
  company: string
  roles: string[]
  rights: string[]
  companyRights: string[]
  /** A second step is set up. */
  totp: boolean
  /** Role or policy ask for a second step: it cannot be switched off. */
  mustTotp: boolean
  /** Recovery codes that are left. */
  recovery: number
  /** The account that the server inside the console made for itself. */
  local: boolean
  /** Who sends the invitations of customers. */
  mail: 'console' | 'server'
  /** Whom to ask: the company's admins and leads. */
  contacts: { name: string; role: Role }[]
}

export interface Person {
  id: string
  name: string
  email: string
  roles: Role[]
  /** What an admin allows this person. */
  rights: string[]
  /** What new sessions of this person get: rights, bounded by the company's. */
  entitled: string[]
  disabled: boolean
  totp: boolean
  /** Role or policy ask for a second step. */
  mustTotp: boolean
  /** Waits for a new password, by a code that was handed out. */
  reset: boolean
  /** This is who is signed in here. */
  self: boolean
  createdAt: number
  lastSeen?: number
  /** Where the person is signed in now. */
  consoles: number
  live: Holder[]
}

export interface Invited {
  id: string
  email: string
  name: string
  roles: Role[]
  rights: string[]
  invitedBy: string
  createdAt: number
  expiresAt: number
}

export interface People {
  people: Person[]
  invitations: Invited[]
}

export interface ConsoleInfo {
  id: string
  name: string
  createdAt: number
  lastSeen?: number
  online: boolean
  /** The console this page belongs to. */
  here: boolean
  /** Live sessions that would end with it. */
  sessions: number
}

export interface PersonForm {
  name: string
  roles: string[]
  rights: string[]
}

/** A one-time code and the link that carries it: shown once. */
export interface OneTime {
  id: string
  link: string
  code: string
  email: string
  expiresAt: number
}

export interface Policy {
  name: string
  perPerson: number
  perCompany: number
  rights: string[]
  /** What the server's version can do. */
  offered: string[]
  totp: 'leads' | 'everyone'
  mail: 'console' | 'server'
  /** How long the history is kept after a session's end; 0: for good. */
  months: number
  used: number
}

export interface AuditQuery {
  /** Beginning of the kind: "session.", "person."… */
  kind: string
  person: string
  /** Unix milliseconds; 0 does not filter. */
  from: number
  to: number
  before: number
}

export interface AuditRow {
  seq: number
  at: number
  kind: string
  actorKind: string
  actor: string
  person: string
  session: string
  label: string
  /** JSON. */
  detail: string
}

export interface AuditPage {
  rows: AuditRow[]
  /** For AuditQuery.before; 0: no more. */
  next: number
}

export interface AuditVerdict {
  ok: boolean
  entries: number
  checkpoints: number
  problem: string
  at: number
}

/** What a person types or scans to set up an authenticator. qr: the path of an SVG in a square of size modules. */
export interface Enrolment {
  secret: string
  qr: { size: number; path: string }
}

/** Who is sitting there. totp is needed where there is a second step; a recovery code does as well. */
export interface Proof {
  password: string
  totp: string
}

/** What a one-time code is for. reset: a new password for an account that exists, else a new colleague. */
export interface JoinInfo {
  company: string
  email: string
  name: string
  roles: Role[]
  reset: boolean
  /** reset: the second step is asked for, else it will have to be set up. */
  totp: boolean
  expiresAt: number
}
