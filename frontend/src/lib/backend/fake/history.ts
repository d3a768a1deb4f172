// The scripted history: 64 sessions, or as many as the scenario says, made from their number so that each is always the same.
import { BackendError } from '../backend'
import type { ExportRequest, HistoryBackend, HistoryDetail, HistoryKey, HistoryQuery, HistoryRow, Timeline } from '../history'
import type { SessionState } from '../types'
import { fault } from './scenarios'

const MIN = 60_000
const HOUR = 60 * MIN
const people = ['Anna Weber', 'Jonas Kim', 'Lea Sommer', 'Petr Novak', 'Ines Alvarez', 'Xaver Lindt', 'Olga Petrova', 'Tim O’Neill', 'Sara Rossi', 'Ben Fischer']
const states: SessionState[] = ['removed', 'removed', 'removed', 'ended', 'unconfirmed']
const ended = ['technician', 'technician', 'customer', 'expiry', 'technician']
const start = Date.now()

function row(i: number): HistoryRow {
  const at = start - (i * 7 + 1) * HOUR
  const name = people[i % people.length] ?? ''
  const never = i % 7 === 5
  return {
    id: `h${i}`,
    mark: String(i),
    mine: i % 4 !== 3,
    label: name,
    email: `${name.toLowerCase().replace(/[^a-z]+/g, '.')}@example.org`,
    subject: i % 3 ? `case ${4711 + i * 13} printer` : '',
    computer: never ? '' : `PC-${name.split(' ')[0]?.toUpperCase()}`,
    os: never ? '' : i % 2 ? 'Windows 11' : 'Debian 12',
    technician: i % 4 === 3 ? 'Tom Brandt' : 'Mia Roth',
    state: never ? 'ended' : (states[i % states.length] ?? 'removed'),
    has: i % 9 === 2 ? ['files'] : i % 11 === 4 ? ['files', 'commands'] : [],
    createdAt: at,
    startedAt: never ? undefined : at + 4 * MIN,
    endedAt: at + (34 + ((i * 17) % 90)) * MIN,
    endedBy: never ? 'cancel' : ended[i % ended.length],
  }
}

const lasted = (r: HistoryRow): number => (r.startedAt && r.endedAt ? r.endedAt - r.startedAt : 0)
const sizes: Record<string, number> = { empty: 0, three: 3, huge: 100_000 }

/** The key to the company's history, as one lead's computer sees it. */
export function fakeKey(scene: string): HistoryKey {
  const ready: HistoryKey = {
    state: 'ready',
    generation: 2,
    made: start - 2 * HOUR,
    maker: 'Mia Roth',
    known: '0KX4-T9M2-VQ7H-ZC8R',
    claimed: '',
    claimedGen: 0,
    claimedBy: '',
    lead: true,
    recovery: false,
    holders: [
      { person: 'Mia Roth', name: 'desk-mia', this: true, has: true, lead: true },
      { person: 'Jonas Beck', name: 'laptop-jonas', this: false, has: false, lead: true },
    ],
    unsent: 0,
    done: 0,
    total: 0,
    months: 0,
    shorter: 0,
    fault: null,
  }
  if (scene === 'key-lost') return { ...ready, state: 'lost', recovery: true, holders: [{ person: 'Mia Roth', name: 'desk-mia', this: true, has: false, lead: true }], months: 24 }
  if (scene === 'key-changed')
    return {
      ...ready,
      state: 'changed',
      lead: false,
      holders: [],
      claimed: '7HCZ-8RJW-NB3F-S61G',
      claimedGen: 3,
      claimedBy: 'Jonas Beck',
      fault: {
        kind: 'hostile',
        op: 'history.key',
        message: "The key to the company's history is not the one that this computer knew, and no lead who is known signed the change.",
        hint: 'Nothing is sent to it. Call a lead and compare the fingerprint.',
        details: '',
      },
    }
  return ready
}

export function fakeHistory(ask: <T>(name: string, args: string, answer: () => T) => Promise<T>, scenario: () => string): HistoryBackend {
  const notes = new Map<string, { text: string; at: number }>()
  const tags = new Map<string, string[]>([['h0', ['escalated']], ['h3', ['printer', 'escalated']]])
  let all: HistoryRow[] | undefined
  let seen: HistoryKey | undefined
  const theKey = (): HistoryKey => (seen ??= fakeKey(scenario()))
  let running = false
  let cancelled = false
  let progress = { done: 0, all: 0 }
  const rows = (): HistoryRow[] => (all ??= Array.from({ length: sizes[scenario()] ?? 64 }, (_, i) => row(i)))

  function found(q: HistoryQuery): HistoryRow[] {
    const words = q.query.toLowerCase().split(/\s+/).filter(Boolean)
    const out = rows().filter(
      (r) =>
        (q.state === '' || r.state === q.state || (q.state === 'over' && ['ended', 'removed', 'unconfirmed'].includes(r.state))) &&
        (!q.endedBy || r.endedBy === q.endedBy) &&
        (!q.technician || r.technician === q.technician) &&
        (!q.customer || r.email === q.customer) &&
        (!q.from || r.createdAt >= q.from) &&
        (!q.to || r.createdAt < q.to) &&
        q.has.every((h) => r.has.includes(h)) &&
        (!q.tag || (tags.get(r.id) ?? []).includes(q.tag)) &&
        (q.whose === '' || r.mine === (q.whose === 'mine')) &&
        words.every((w) => ` ${r.label} ${r.email} ${r.subject} ${r.computer} ${r.technician} ${notes.get(r.id)?.text ?? ''} ${(tags.get(r.id) ?? []).join(' ')}`.toLowerCase().includes(w)),
    )
    if (q.sort === 'oldest') return out.reverse()
    if (q.sort === 'name') return out.sort((a, b) => a.label.localeCompare(b.label))
    if (q.sort === 'longest') return out.sort((a, b) => lasted(b) - lasted(a))
    return out
  }
  const one = (id: string): HistoryRow => {
    const r = rows().find((x) => x.id === id)
    if (!r) throw new BackendError(fault('not_found', 'This session is not known here.', ''))
    return r
  }

  function timeline(id: string): Timeline {
    const r = rows().find((x) => x.id === id)
    const at = r ? r.createdAt : start - 3 * HOUR
    const both = ['console', 'host']
    const lines: [number, string, string, string][] = [
      [0, 'technician', 'created', 'Session prepared for anna.weber@example.org.'],
      [4000, 'console', 'mailed', 'Invitation sent to anna.weber@example.org.'],
      [190_000, 'host', 'answered', 'A computer opened the invitation: PC-ANNA, Debian 12, signed in as anna.'],
      [200_000, 'console', 'code_shown', 'Security code shown.'],
      [240_000, 'customer', 'activated', 'Connected with PC-ANNA, Debian 12, signed in as anna. Allowed: see the screen, mouse and keyboard.'],
      [241_000, 'console', 'connected', 'Connected directly.'],
      [260_000, 'technician', 'remote_opened', 'Remote Control opened.'],
      [900_000, 'technician', 'clipboard_sent', "Text sent to the computer's clipboard."],
      [1_200_000, 'technician', 'remote_closed', 'Remote Control closed.'],
      [1_210_000, 'console', 'disconnected', 'Connection lost; connecting again.'],
      [1_225_000, 'console', 'connected', 'Connected again through the relay.'],
      [2_060_000, 'technician', 'remote_opened', 'Remote Control opened.'],
      [3_060_000, 'technician', 'ended', 'Session ended by the technician.'],
      [3_064_000, 'host', 'removed', 'The host removed itself; nothing is left on the computer.'],
    ]
    const number = Number(id.slice(1))
    const verdict: Timeline['verdict'] =
      number === 1
        ? { ok: true, level: 'incomplete', kind: 'waiting', bad: 0, text: "Complete: 14 entries; 3 of them the customer's computer has not signed yet." }
        : number === 2
          ? { ok: false, level: 'tampered', kind: 'tampered', bad: 8, text: 'This record is not whole: entry 8 was changed.' }
          : { ok: true, level: 'complete', kind: 'complete', bad: 0, text: "Complete: 14 entries, signed by both sides and the same as the customer's copy." }
    return {
      rows: lines.map(([after, actor, kind, text], i) => ({ seq: i + 1, at: at + after, actor, kind, text, signedBy: i < 2 ? ['console'] : number === 1 && i > 10 ? ['console'] : both })),
      verdict,
    }
  }

  return {
    list: (q) =>
      ask('history.list', q.query, () => {
        const got = found(q)
        const from = q.after === '' ? 0 : got.findIndex((r) => r.mark === q.after) + 1
        return { total: got.length, rows: got.slice(from, from + q.limit), behind: 0 }
      }),
    marks: (q) => ask('history.marks', '', () => found(q).filter((_, i) => (i + 1) % q.limit === 0).map((r) => r.mark)),
    facets: () =>
      ask('history.facets', '', () => {
        const count = (of: string[]): { value: string; n: number }[] => [...new Set(of)].sort().map((value) => ({ value, n: of.filter((x) => x === value).length }))
        return {
          total: rows().length,
          mine: rows().filter((r) => r.mine).length,
          technicians: count(rows().map((r) => r.technician)),
          tags: count([...tags].filter(([id]) => rows().some((r) => r.id === id)).flatMap(([, of]) => of)),
          has: [...new Set(rows().flatMap((r) => r.has))],
        }
      }),
    timeline: (id) => ask('history.timeline', id, () => timeline(id)),
    open: (id) =>
      ask('history.open', id, (): HistoryDetail => {
        const r = one(id)
        const removal = r.state === 'removed' ? 'clean' : r.state === 'unconfirmed' ? 'unconfirmed' : ''
        return {
          row: r,
          fromServer: !r.mine,
          user: r.computer ? 'anna' : '',
          timeZone: 'Europe/Vienna',
          version: '0.2.0',
          rights: r.startedAt ? ['view', 'control', 'clipboard'] : [],
          paths: r.startedAt ? ['direct', 'relay'] : [],
          removal,
          lines: [],
          receipt: removal === 'clean',
          notes: r.mine ? [] : [{ author: 'Tom Brandt', at: r.createdAt + HOUR, text: 'Fuser is worn, a new one is ordered.' }],
          note: { author: 'Mia Roth', at: notes.get(id)?.at ?? 0, text: notes.get(id)?.text ?? '' },
          tags: tags.get(id) ?? [],
          timeline: timeline(id),
        }
      }),
    setNote: (id, text) =>
      ask('history.setNote', `${id} ${text}`, () => {
        notes.set(id, { text, at: Date.now() })
        return Date.now()
      }),
    addTag: (id, tag) => ask('history.addTag', `${id} ${tag}`, () => void tags.set(id, [...new Set([...(tags.get(id) ?? []), tag])].sort())),
    removeTag: (id, tag) => ask('history.removeTag', `${id} ${tag}`, () => void tags.set(id, (tags.get(id) ?? []).filter((x) => x !== tag))),
    export: async (request: ExportRequest) => {
      await ask('history.export', `${request.format} ${request.id}`, () => undefined)
      const n = request.id ? 1 : found(request.query).length
      running = true
      cancelled = false
      for (progress = { done: 0, all: n }; progress.done < n && !cancelled; progress = { done: Math.min(n, progress.done + 500), all: n })
        await new Promise((resolve) => setTimeout(resolve, 20))
      running = false
      return { sessions: n, path: cancelled ? '' : `/home/mia/daypass.${request.format}`, cancelled }
    },
    exportProgress: () => ask('history.exportProgress', '', () => ({ running, ...progress })),
    cancelExport: () =>
      ask('history.cancelExport', '', () => {
        cancelled = true
      }),
    key: () => ask('history.key', '', () => structuredClone(theKey())),
    sync: () => ask('history.sync', '', () => undefined),
    newRecovery: () => ask('history.newRecovery', '', () => '0KX4T9M-2VQ7HZC-8RJWNB3-FS61GDP-5YAEK40-TQ9XVM2-7HCZ8RJ-WNB3FS6'),
    keepRecovery: () =>
      ask('history.keepRecovery', '', () => {
        Object.assign(theKey(), { recovery: true, generation: theKey().generation + 1 })
      }),
    dropRecovery: () => ask('history.dropRecovery', '', () => undefined),
    useRecovery: (words) => ask('history.useRecovery', String(words.length), () => void Object.assign(theKey(), { state: 'ready' as const })),
    renewKey: () => ask('history.renewKey', '', () => void Object.assign(theKey(), { state: 'ready' as const, known: '7HCZ-8RJW-NB3F-S61G', generation: theKey().generation + 1 })),
    acceptKey: (fingerprint) => ask('history.acceptKey', fingerprint, () => void Object.assign(theKey(), { state: 'ready' as const, known: fingerprint, claimed: '', fault: null })),
    checkReceipt: () =>
      ask('history.checkReceipt', '', () => ({
        chosen: true,
        file: 'receipt-anna.json',
        standing: 'genuine' as const,
        id: 'h0',
        known: true,
        company: 'Contoso IT',
        technician: 'Mia Roth',
        computer: 'PC-ANNA',
        startedAt: start - 2 * HOUR,
        endedAt: start - HOUR,
        endedBy: 'technician',
        clean: true,
        both: true,
        checks: ['computer', 'technician', 'server', 'end', 'gone'].map((name) => ({ name, ok: true, detail: '' })),
      })),
  }
}
