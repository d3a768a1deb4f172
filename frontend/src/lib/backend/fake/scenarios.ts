// States of the console worth looking at, made by hand. Development and tests only.
import type { Fault, Session, Snapshot } from '../types'
import { OFFERED, profile } from './people'

const MIN = 60_000
const HOUR = 60 * MIN

export const fault = (kind: string, message: string, hint = '', details = ''): Fault => ({ kind, message, hint, details })

const none = { cancel: false, resend: false, correct: false, showCode: false, newCode: false, remote: false, end: false, putAway: false }
const early = { ...none, cancel: true, resend: true, correct: true }

let n = 0
export function session(over: Partial<Session> = {}): Session {
  const now = Date.now()
  const id = over.id ?? `s${++n}`
  return {
    id,
    label: 'Anna W.',
    mine: true,
    technician: 'Mia Roth',
    customer: { email: 'anna.weber@example.org', name: 'Anna Weber', subject: 'case 4711 "printer"', language: 'en' },
    state: 'invited',
    presence: 'unknown',
    createdAt: now - 4 * MIN,
    inviteExpiresAt: now + 24 * HOUR - 4 * MIN,
    link: 'http://127.0.0.1:8427/s/3KJ9',
    mail: { state: 'sent', at: now - 4 * MIN },
    waiting: [],
    rights: [],
    allowed: [],
    verbs: { ...early },
    ...over,
  }
}

const computer = (over: Partial<Session['waiting'][number]> = {}): Session['waiting'][number] => ({
  instance: 'i1',
  computer: 'PC-ANNA',
  os: 'Debian 12',
  user: 'anna',
  timeZone: 'Europe/Vienna',
  since: Date.now() - MIN,
  chosen: true,
  ...over,
})

export const code = (over: Partial<NonNullable<Session['code']>> = {}): NonNullable<Session['code']> => ({
  digits: '47118862',
  expiresAt: Date.now() + 9 * MIN + 41_000,
  triesLeft: 3,
  sessionTriesLeft: 9,
  state: 'shown',
  ...over,
})

export const answered = (over: Partial<Session> = {}): Session =>
  session({ state: 'answered', presence: 'online', waiting: [computer()], code: code(), verbs: { ...early, resend: false, showCode: true }, ...over })

export function active(over: Partial<Session> = {}): Session {
  const now = Date.now()
  return session({
    state: 'active',
    presence: 'online',
    presenceSince: now - 40 * MIN,
    createdAt: now - 6 * HOUR,
    activatedAt: now - 5.93 * HOUR,
    expiresAt: now + 18.07 * HOUR,
    waiting: [],
    link: undefined,
    host: { computer: 'PC-ANNA', os: 'Debian 12', user: 'anna', timeZone: 'Europe/Vienna', version: '0.2.0' },
    rights: ['view', 'control', 'clipboard'],
    allowed: ['view', 'control', 'clipboard'].map((right) => ({ right, on: true })),
    link_state: 'open',
    path: 'direct',
    rttMs: 12,
    fingerprints: {
      ours: '7F:21:9A:04:CE:55:13:8B:60:D2:4E:F9:3A:77:01:BC:18:E4:92:5D:AB:36:C0:6F:29:84:71:0E:D5:48:FA:93',
      theirs: 'B4:0C:66:E1:2D:98:F3:57:8A:1F:C9:42:75:EE:30:9D:05:BA:61:D8:4B:27:93:FC:16:A0:5E:CB:72:39:84:0D',
    },
    remote: {
      open: false,
      viewOnly: false,
      display: 1,
      displays: [
        { id: 1, name: 'DP-1', width: 1920, height: 1080, primary: true },
        { id: 2, name: 'HDMI-1', width: 1280, height: 1024, primary: false },
      ],
    },
    verbs: { ...none, remote: true, end: true },
    ...over,
  })
}

const colleague = (id: string, label: string, technician: string, over: Partial<Session> = {}): Session =>
  active({ id, label, technician, mine: false, customer: { email: '', name: label, subject: '', language: 'en' }, verbs: { ...none }, fingerprints: undefined, remote: undefined, rights: [], allowed: [], ...over })

const removed = (over: Partial<Session> = {}): Session =>
  active({
    id: 'done1',
    label: 'Jonas K.',
    customer: { email: 'j.kim@example.org', name: 'Jonas Kim', subject: 'VPN', language: 'en' },
    state: 'removed',
    presence: 'unknown',
    endedAt: Date.now() - 22 * MIN,
    endedBy: 'technician',
    link_state: 'closed',
    removal: { state: 'clean', lines: ['Program file removed', 'Autostart entry removed', 'State directory removed', 'Nothing else was changed'] },
    verbs: { ...none, putAway: true, again: true },
    ...over,
  })

export function base(over: Partial<Snapshot> = {}): Snapshot {
  return {
    rev: 1,
    phase: 'ready',
    version: '0.2.0',
    lab: false,
    server: {
      kind: 'embedded',
      url: 'http://127.0.0.1:8427',
      online: true,
      lan: false,
      insecure: false,
      lanAddresses: [
        { address: '192.168.1.24', name: 'wlan0' },
        { address: '10.0.4.7', name: 'eth0' },
      ],
    },
    vault: { kind: 'keyring', sealed: false },
    profile: profile(),
    offered: [...OFFERED],
    limits: { mine: { used: 0, max: 1 }, company: { used: 0, max: 5 } },
    sessions: [],
    notices: [],
    mail: { configured: true, from: 'Mia Roth <mia.roth@contoso.example>' },
    settings: { appearance: 'system', language: 'en' },
    ...over,
  }
}

const remote: Snapshot['server'] = { kind: 'remote', url: 'https://help.contoso.example', online: true, lan: false, insecure: false, lanAddresses: [] }

// A company with its server: an admin, live sessions of several colleagues, one of one's own at another console.
const company = (over: Partial<Snapshot> = {}): Snapshot =>
  base({
    server: { ...remote },
    limits: { mine: { used: 1, max: 1 }, company: { used: 4, max: 5 } },
    sessions: [
      active({ id: 'a' }),
      colleague('c', 'Lea S.', 'Tom Brandt', { presence: 'offline', presenceSince: Date.now() - HOUR, path: undefined, rttMs: undefined, createdAt: Date.now() - 20 * HOUR, activatedAt: Date.now() - 19.9 * HOUR, expiresAt: Date.now() + 4.1 * HOUR, verbs: { ...none, end: true } }),
      colleague('d', 'P. Novak', 'Ines Alvarez', { state: 'pairing', presence: 'unknown', activatedAt: undefined, expiresAt: undefined, createdAt: Date.now() - 12 * MIN, inviteExpiresAt: Date.now() + 23.8 * HOUR, path: undefined, rttMs: undefined, verbs: { ...none, end: true } }),
      colleague('e', 'Reception', 'Mia Roth', { elsewhere: true, verbs: { ...none, end: true } }),
    ],
    ...over,
  })

const usage = (mine: number, company: number): Snapshot['limits'] => ({ mine: { used: mine, max: 1 }, company: { used: company, max: 5 } })
const one = (s: Session, over: Partial<Snapshot> = {}): Snapshot => base({ sessions: [s], limits: usage(s.mine ? 1 : 0, 1), ...over })
const LONG = 'Annemarie-Luise von Hohenberg-Schwarzenfeld zu Unterreichenbach'

export const scenarios: Record<string, () => Snapshot> = {
  starting: () => base({ phase: 'starting', profile: undefined }),
  welcome: () => base({ phase: 'welcome', profile: undefined, server: { ...base().server, kind: '', url: '', online: false } }),
  signin: () => base({ phase: 'signin', profile: undefined, server: { ...base().server, kind: 'remote', url: 'https://help.contoso.example' } }),
  revoked: () =>
    base({
      phase: 'signin',
      profile: undefined,
      server: { ...remote },
      signedOut: { email: 'mia.roth@contoso.example', fault: fault('signed_out', 'The sign-in of this console was ended from elsewhere.', 'An administrator did it, or you yourself at another console, or by a new password. Sign in again.') },
    }),
  enrol: () => base({ phase: 'enrol', server: { ...remote } }),
  team: () => company(),
  lead: () => company({ profile: profile({ id: 'p4', name: 'Karl Winter', email: 'karl.winter@contoso.example', roles: ['technician', 'lead'] }) }),
  technician: () => ({ ...company({ profile: profile({ id: 'p2', name: 'Tom Brandt', email: 'tom.brandt@contoso.example', roles: ['technician'], rights: ['view'], companyRights: ['view', 'control'], totp: false, mustTotp: false, recovery: 0 }) }), sessions: [active({ id: 'a', technician: 'Tom Brandt', rights: ['view'], allowed: [{ right: 'view', on: true }], verbs: { ...none, remote: true, end: true, reboot: true } })] }),
  companyfull: () => {
    const s = company({ limits: usage(0, 5), profile: profile({ id: 'p2', name: 'Tom Brandt', email: 'tom.brandt@contoso.example', roles: ['technician'] }) })
    s.sessions = []
    return s
  },
  alone: () => company({ profile: profile({ totp: true }), sessions: [] }),
  unlock: () => base({ phase: 'unlock', profile: undefined, vault: { kind: 'passphrase', sealed: true } }),
  nokeyring: () =>
    base({
      phase: 'unlock',
      profile: undefined,
      vault: { kind: '', sealed: false, note: fault('keyring', 'This computer has no keyring to keep your secrets in.', 'Choose a passphrase, or keep nothing and sign in anew each time.', 'org.freedesktop.secrets: name has no owner') },
    }),
  fatal: () =>
    base({
      phase: 'fatal',
      profile: undefined,
      fatal: fault('storage', 'The file with your sessions is damaged.', 'Put back a copy of it, or move it away to begin with an empty one.', 'console.db: SQLITE_NOTADB (26)'),
    }),
  empty: () => base(),
  invited: () => one(session({ id: 'a' })),
  refused: () => one(session({ id: 'a', refused: { why: 'wayland', computer: 'PC-ANNA', at: Date.now() - 2 * MIN } })),
  declined: () => one(session({ id: 'a', refused: { why: 'declined', computer: 'PC-ANNA', at: Date.now() - 2 * MIN } })),
  restartasked: () => one(active({ id: 'a', standing: { after: 'login', noDesktop: false }, reboot: { state: 'asked', until: Date.now() + 20_000, since: Date.now() } })),
  restarting: () => one(active({ id: 'a', presence: 'offline', presenceSince: Date.now() - MIN, standing: { after: 'login', noDesktop: false }, reboot: { state: 'restarting', since: Date.now() - MIN } })),
  nodesktop: () => one(active({ id: 'a', standing: { after: 'boot', noDesktop: true } })),
  restartable: () => one(active({ id: 'a', standing: { after: 'login', noDesktop: false }, verbs: { ...active().verbs, reboot: true } })),
  mailfailed: () =>
    one(session({ id: 'a', mail: { state: 'failed', at: Date.now(), fault: fault('invalid', 'The mail server does not take the address anna.weber@example.org.', "Check the customer's address, correct it and send again.", '550 5.1.1 User unknown') } })),
  mailsettings: () =>
    one(session({ id: 'a', mail: { state: 'failed', at: Date.now(), fault: fault('signed_out', 'The mail server does not take the user name and password.', 'Check them in Settings, Mail. Some providers want an app password.', '535 5.7.8 Error: authentication failed') } })),
  mailserver: () => one(session({ id: 'a', mail: { state: 'sent', at: Date.now(), server: true } })),
  soon: () => {
    const s = active({ id: 'a', activatedAt: Date.now() - 24 * HOUR + 9.5 * MIN, expiresAt: Date.now() + 9.5 * MIN, soon: 10 })
    return {
      ...one(s),
      notices: [{ id: 'time:a', level: 'warn' as const, fault: fault('expired', 'Less than ten minutes are left of the session with Anna Weber.', 'Nobody can extend it. For more time start a new session with the same customer afterwards; it goes through all steps again.') }],
    }
  },
  done: () => ({ ...one(removed()), limits: { mine: { used: 0, max: 1 }, company: { used: 0, max: 5 } } }),
  donefull: () => ({ ...one(removed()), sessions: [removed(), active({ id: 'b' })] }),
  code: () => one(answered({ id: 'a' })),
  wrong: () => one(answered({ id: 'a', state: 'pairing', code: code({ state: 'wrong', triesLeft: 2, sessionTriesLeft: 8 }) })),
  expired: () => one(answered({ id: 'a', code: code({ state: 'expired', digits: '', expiresAt: Date.now() - 1000 }), verbs: { ...early, newCode: true } })),
  locked: () => one(answered({ id: 'a', state: 'pairing', code: code({ state: 'locked', triesLeft: 0, sessionTriesLeft: 0 }), verbs: { ...none, cancel: true } })),
  choose: () =>
    one(
      answered({
        id: 'a',
        state: 'answered',
        code: undefined,
        waiting: [computer({ chosen: false }), computer({ instance: 'i2', computer: 'SANDBOX-7', os: 'Windows 11', user: 'scanner', timeZone: 'America/Los_Angeles', chosen: false })],
      }),
    ),
  active: () => one(active({ id: 'a' })),
  relay: () => one(active({ id: 'a', path: 'relay', rttMs: 84 })),
  away: () => one(active({ id: 'a', presence: 'offline', presenceSince: Date.now() - 18 * MIN, link_state: 'reconnecting', path: undefined, rttMs: undefined })),
  many: () =>
    base({
      limits: { mine: { used: 2, max: 3 }, company: { used: 4, max: 5 } },
      sessions: [
        active({ id: 'a' }),
        session({ id: 'b', customer: { email: 'j.kim@example.org', name: '', subject: '', language: 'en' }, label: 'j.kim' }),
        colleague('c', 'Lea S.', 'Tom Brandt', { presence: 'offline', presenceSince: Date.now() - HOUR, path: undefined, rttMs: undefined, host: { computer: 'LAPTOP-0041', os: 'Windows 11', user: 'lea', timeZone: 'Europe/Berlin', version: '0.2.0' } }),
        colleague('d', 'P. Novak', 'Ines Alvarez', { presence: 'reconnecting' }),
        removed(),
        removed({ id: 'done2', state: 'unconfirmed', removal: { state: 'unconfirmed', lines: [] }, customer: { email: 'x@example.org', name: 'Xaver Lindt', subject: '', language: 'de' }, endedBy: 'expiry' }),
      ],
    }),
  long: () =>
    base({
      limits: usage(1, 1),
      profile: profile({ name: LONG, email: 'annemarie-luise.von-hohenberg@service.contoso.example', company: 'Contoso Informationstechnik Verwaltungsgesellschaft mbH', roles: ['technician'] }),
      sessions: [
        active({
          id: 'a',
          customer: { email: 'a.very.long.address.of.somebody@subdomain.department.example.org', name: LONG, subject: 'Ticket 2026-11-22/000471182 "the printer on the third floor prints every page twice and then stops"', language: 'de' },
          host: { computer: 'DESKTOP-ABCDEFGH-0123456789', os: 'Windows 11 Pro for Workstations 24H2', user: 'annemarie-luise', timeZone: 'America/Argentina/ComodRivadavia', version: '0.2.0' },
        }),
        session({ id: 'b', customer: { email: 'a.very.long.address.of.somebody@subdomain.department.example.org', name: '', subject: '', language: 'de' } }),
      ],
    }),
  limit: () => one(active({ id: 'a' }), { limits: usage(1, 5) }),
  offline: () => one(active({ id: 'a' }), { server: { ...base().server, kind: 'remote', url: 'https://help.contoso.example', online: false, offlineSince: Date.now() - 6 * MIN } }),
  notice: () =>
    base({ notices: [{ id: 'n1', level: 'warn', fault: fault('storage', 'There is no space left on the disk to store this.', 'Free some space and try again.', 'console.db: SQLITE_FULL (13)') }] }),
  remote: () => one(active({ id: 'a' })),
  reconnecting: () => one(active({ id: 'a', presence: 'reconnecting', presenceSince: Date.now() - 7000, link_state: 'reconnecting' })),
  paused: () => one(active({ id: 'a', rights: ['view'], allowed: [{ right: 'view', on: true, until: Date.now() + 25 * 60_000 }, { right: 'control', on: false }, { right: 'clipboard', on: false, asked: true }], remote: { ...active().remote!, open: true, paused: 'customer' } })),
  blocked: () =>
    one(active({ id: 'a', remote: { ...active().remote!, open: true, blocked: fault('unsupported', "The remote computer's session is locked.", 'Ask the customer to unlock it.', 'screen.locked') } })),
  // the computer there
  asleep: () => one(active({ id: 'a', presence: 'offline', presenceSince: Date.now() - 18 * MIN, link_state: 'reconnecting', path: undefined, rttMs: undefined, verbs: { ...none, end: true } })),
  rights: () =>
    one(
      active({
        id: 'a',
        rights: ['view', 'files'],
        allowed: [
          { right: 'view', on: true, until: Date.now() + 25 * MIN },
          { right: 'control', on: false },
          { right: 'clipboard', on: false, asked: true },
          { right: 'files', on: true, folder: '/home/anna/Documents', until: Date.now() + 2 * HOUR },
        ],
      }),
      { offered: ['view', 'control', 'clipboard', 'files', 'dashboard', 'terminal'], profile: profile({ rights: ['view', 'control', 'clipboard', 'files', 'dashboard'], companyRights: ['view', 'control', 'clipboard', 'files', 'dashboard', 'terminal'] }) },
    ),
  grantsnone: () => one(active({ id: 'a', rights: [], allowed: [] })),
  rebootrefused: () => one(active({ id: 'a' }), { notices: [{ id: 'refused-a', level: 'warn', fault: fault('denied', 'The customer did not let the computer restart.', 'Speak with the customer, then ask again.') }] }),
  // the invitation
  mailsending: () => one(session({ id: 'a', mail: { state: 'sending', at: Date.now() }, verbs: { ...early, resend: false } })),
  mailunknown: () =>
    one(session({ id: 'a', mail: { state: 'failed', at: Date.now(), fault: { ...fault('cancelled', 'Daypass ended while the invitation was being sent; nobody knows whether it went out.', 'Ask the customer whether it arrived, or send it again: the link is the same in both mails.'), op: 'mail.unsure' } } })),
  mailnone: () => one(session({ id: 'a', mail: { state: 'none' } })),
  lapsed: () => base({ sessions: [session({ id: 'a', state: 'ended', endedAt: Date.now() - 9 * MIN, endedBy: 'lapse', link: undefined, verbs: { ...none, putAway: true, again: true } })] }),
  takeover: () => one(session({ id: 'a', again: true, link: undefined, mail: { state: 'none' }, customer: { email: '', name: 'Anna Weber', subject: '', language: 'en' }, verbs: { ...none, cancel: true } })),
  // the end
  ending: () => one(active({ id: 'a', state: 'ending', endedAt: Date.now() - 4000, endedBy: 'technician', removal: { state: 'pending', lines: [] }, verbs: { ...none } })),
  unclean: () => base({ sessions: [removed({ id: 'a', removal: { state: 'unclean', lines: ['Program file removed'] } })] }),
  byothers: () => base({ sessions: [removed({ id: 'a', endedBy: 'lead' }), removed({ id: 'b', endedBy: 'customer', customer: { email: 'lea@example.org', name: 'Lea Sommer', subject: '', language: 'de' } })] }),
  unconfirmed: () => base({ sessions: [removed({ id: 'a', state: 'unconfirmed', endedBy: 'expiry', removal: { state: 'unconfirmed', lines: [] } })] }),
  // the server
  unreachable: () => ({ ...base({ server: { ...remote, online: false, offlineSince: Date.now() - 3 * MIN } }) }),
  lan: () => base({ server: { ...base().server, lan: true, insecure: true, lanAddress: '192.168.1.24', url: 'http://192.168.1.24:8427' } }),
  bare: () => one(active({ id: 'a' }), { lab: true, ui: { open: { session: 'a', tab: 'control', mode: '1:1', bare: true } } }),
  ended: () => base({ sessions: [removed({ id: 'h1' })] }),
}
