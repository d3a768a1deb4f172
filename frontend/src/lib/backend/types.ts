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
  code?: Code
  host?: { computer: string; os: string; user: string; timeZone: string; version: string }
  rights: string[]
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
  phase: 'starting' | 'welcome' | 'unlock' | 'signin' | 'ready' | 'fatal'
  fatal?: Fault
  version: string
  lab: boolean
  server: Server
  /** sealed: a passphrase is set and asked for; otherwise one may be chosen. */
  vault: { kind: 'keyring' | 'passphrase' | 'memory' | ''; note?: Fault; sealed: boolean }
  profile?: { id: string; name: string; email: string; company: string; roles: string[] }
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
