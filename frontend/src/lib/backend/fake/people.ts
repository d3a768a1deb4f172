// Colleagues, policy, audit and the own account of the scripted native side. Development and tests only.
import type { AuditRow, ConsoleInfo, Enrolment, Holder, Invited, Person, Policy, Profile } from '../types'

const MIN = 60_000
const HOUR = 60 * MIN
const DAY = 24 * HOUR

export const OFFERED = ['view', 'control', 'clipboard']

export const profile = (over: Partial<Profile> = {}): Profile => ({
  id: 'p1',
  name: 'Mia Roth',
  email: 'mia.roth@contoso.example',
  company: 'Contoso IT',
  roles: ['technician', 'lead', 'admin'],
  rights: [...OFFERED],
  companyRights: [...OFFERED],
  totp: true,
  mustTotp: true,
  recovery: 6,
  local: false,
  mail: 'console',
  contacts: [
    { name: 'Mia Roth', role: 'admin' },
    { name: 'Karl Winter', role: 'lead' },
  ],
  ...over,
})

const holder = (id: string, label: string, technician: string, state: Holder['state'] = 'active'): Holder => ({ id, label, technician, state, since: Date.now() - 3 * HOUR, mine: false })

export const person = (id: string, name: string, over: Partial<Person> = {}): Person => ({
  id,
  name,
  email: `${name.toLowerCase().replace(/[^a-z]+/g, '.')}@contoso.example`,
  roles: ['technician'],
  rights: [...OFFERED],
  entitled: [...OFFERED],
  disabled: false,
  totp: false,
  mustTotp: false,
  reset: false,
  self: false,
  createdAt: Date.now() - 200 * DAY,
  lastSeen: Date.now() - 3 * HOUR,
  consoles: 1,
  live: [],
  ...over,
})

/** The company behind the scripted native side. */
export interface Crew {
  people: Person[]
  invitations: Invited[]
  consoles: Map<string, ConsoleInfo[]>
  policy: Policy
  audit: AuditRow[]
}

const machine = (id: string, name: string, ago: number, over: Partial<ConsoleInfo> = {}): ConsoleInfo => ({ id, name, createdAt: Date.now() - 20 * DAY, lastSeen: Date.now() - ago, online: ago < HOUR, here: false, sessions: 0, ...over })

const events: [kind: string, actor: string, person: string, label: string, detail: object][] = [
  ['console.signin', 'Tom Brandt', 'Tom Brandt', '', { name: 'tom-workstation' }],
  ['session.create', 'Ines Alvarez', '', 'P. Novak', {}],
  ['person.invite', 'Mia Roth', '', '', { email: 'ben.fischer@contoso.example' }],
  ['person.set', 'Mia Roth', 'Karl Winter', '', { roles: { from: ['technician'], to: ['lead', 'technician'] } }],
  ['session.ended', 'Karl Winter', '', 'Lea S.', { by: 'lead' }],
  ['company.policy', 'Mia Roth', '', '', { max_sessions: { from: 4, to: 5 } }],
  ['session.mailed_by_server', 'Tom Brandt', '', 'Lea S.', {}],
  ['history.key', 'Karl Winter', '', '', { gen: 2 }],
]

export function crew(me: string): Crew {
  const people = [
    person('p3', 'Ines Alvarez', { totp: true, rights: ['view', 'clipboard'], entitled: ['view', 'clipboard'], live: [holder('d', 'P. Novak', 'Ines Alvarez', 'pairing')], lastSeen: Date.now() - 26 * HOUR }),
    person('p6', 'Annemarie-Luise von Hohenberg-Schwarzenfeld', { lastSeen: undefined, consoles: 0, email: 'annemarie-luise.von-hohenberg@service.contoso.example' }),
    person('p4', 'Karl Winter', { roles: ['technician', 'lead'], totp: true, mustTotp: true }),
    person('p1', 'Mia Roth', { roles: ['technician', 'lead', 'admin'], totp: true, mustTotp: true, lastSeen: Date.now(), consoles: 2, live: [holder('a', 'Anna W.', 'Mia Roth')] }),
    person('p5', 'Petra Olsen', { disabled: true, consoles: 0, lastSeen: Date.now() - 41 * DAY }),
    person('p2', 'Tom Brandt', { live: [holder('c', 'Lea S.', 'Tom Brandt')], lastSeen: Date.now() - 4 * MIN }),
  ]
  for (const p of people) p.self = p.id === me
  return {
    people,
    invitations: [{ id: 'i1', email: 'ben.fischer@contoso.example', name: 'Ben Fischer', roles: ['technician'], rights: [...OFFERED], invitedBy: 'Mia Roth', createdAt: Date.now() - 5 * HOUR, expiresAt: Date.now() + 163 * HOUR }],
    consoles: new Map([
      ['p1', [machine('c1', 'mia-laptop', 0, { here: me === 'p1', sessions: 1 }), machine('c2', 'DESK-114', 2 * DAY)]],
      ['p2', [machine('c3', 'tom-workstation', 4 * MIN, { here: me === 'p2', sessions: 1 })]],
      ['p3', [machine('c4', 'ines-mobile', 26 * HOUR)]],
      ['p4', [machine('c5', 'karl-pc', 3 * HOUR, { here: me === 'p4' })]],
    ]),
    policy: { name: 'Contoso IT', perPerson: 1, perCompany: 5, rights: [...OFFERED], offered: [...OFFERED], totp: 'leads', mail: 'console', months: 0, used: 4 },
    audit: Array.from({ length: 130 }, (_, i): AuditRow => {
      const [kind, actor, who, label, detail] = events[i % events.length]!
      return { seq: 1204 - i, at: Date.now() - i * 47 * MIN, kind, actorKind: 'console', actor, person: who, session: label ? '3KJ9' : '', label, detail: JSON.stringify(detail) }
    }),
  }
}

// A picture of the right shape; the real one comes from the native side.
export function enrolment(): Enrolment {
  const size = 33
  let path = ''
  const eye = (x: number, y: number): boolean => {
    const ring = Math.max(Math.abs(x - 3), Math.abs(y - 3))
    return ring === 3 || ring < 2
  }
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const corner = x < 8 && y < 8 ? eye(x, y) && x < 7 && y < 7 : x > 24 && y < 8 ? eye(x - 26, y) && x > 25 && y < 7 : x < 8 && y > 24 ? eye(x, y - 26) && x < 7 && y > 25 : (x * 7 + y * 13 + ((x * y) % 5)) % 3 === 0
      if (corner) path += `M${x} ${y}h1v1h-1z`
    }
  return { secret: 'JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP', qr: { size, path } }
}

export const recoveryCodes = (): string[] => ['7QK2-M9XA', 'H4TC-0ZRD', 'W8NE-5JVB', '3GSP-Y6K1', 'QXA9-D2MF', 'B7RH-T4CW', 'ZE0N-8PJ5', 'K6VD-1YGS', 'M2XQ-9HTB', 'F5JW-C3RA']
