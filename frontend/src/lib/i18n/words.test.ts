// The same word for the same thing, and a word for everything that can come from elsewhere.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FakeBackend } from '../backend/fake/fake'
import { scenarios } from '../backend/fake/scenarios'
import { de } from './de'
import { en } from './en'
import { native } from './native'
import { patterns, sentences } from './native.de'

const top = join(__dirname, '../../../..')
const goFiles = (dir: string): string[] =>
  readdirSync(join(top, dir), { withFileTypes: true }).flatMap((f) => (f.isDirectory() ? goFiles(join(dir, f.name)) : f.name.endsWith('.go') && !f.name.endsWith('_test.go') ? [join(dir, f.name)] : []))
const read = (path: string): string => readFileSync(join(top, path), 'utf8')

/** What the server writes into its audit: every kind that a change, a note or a step of a session names. */
function audited(): Set<string> {
  const out = new Set<string>()
  for (const file of [...goFiles('signaling/directory'), ...goFiles('signaling/store')])
    for (const line of read(file).split('\n')) {
      if (/^\s*\/\//.test(line) || /\bconst op\b/.test(line)) continue
      if (!/\baudit\(|\.Note\(|\bKind\b[^=:]*(=|:) |\bkind\b[^=]*:?= |return "session\.|protocol\.History[A-Z]\w*}: "/.test(line)) continue
      for (const [, kind = ''] of line.matchAll(/"((?:company|console|person|session|history)\.[a-z_]+)"/g)) out.add(kind)
    }
  return out
}

function texts(of: object): string[] {
  return Object.values(of).flatMap((value): string[] => {
    if (typeof value === 'string') return [value]
    if (typeof value === 'function') return [String((value as (...a: unknown[]) => string)(2, 3, 'x'))]
    return texts(value as object)
  })
}

describe('the audit', () => {
  it('has words for every kind that the server writes, in both languages, and for no others', () => {
    const kinds = audited()
    expect(kinds.size).toBeGreaterThan(35)
    for (const t of [en, de]) {
      expect([...kinds].filter((k) => !t.people.audit.kind[k])).toEqual([])
      const states = ['invited', 'answered', 'pairing', 'active', 'ended'].map((s) => `session.${s}`) // a step is written with the name of the state it leads to
      expect(Object.keys(t.people.audit.kind).filter((k) => !kinds.has(k) && !states.includes(k))).toEqual([])
      expect([...kinds].filter((k) => !Object.keys(t.people.audit.group).some((g) => g && k.startsWith(g)))).toEqual([])
    }
  })
})

describe('the words', () => {
  it('are one for each thing in German', () => {
    const said = [...texts(de), ...Object.values(sentences), ...patterns.map(([, say]) => say('x', 'y', 'z'))]
    // Roles are Techniker, Lead, Admin; messages are E-Mails, and are sent, not shipped.
    const wrong = /\bTeamleit|\bvon der Leitung\b|\bVerwaltung\b|(?<!E-)\bMails?\b|Mailprogramm|Mailkonto|verschick|zurücknehmen|zurückgenommen|\bAdministrator(en|s)? (Ihrer|der) Firma/
    expect(said.filter((s) => wrong.test(s))).toEqual([])
    expect(Object.values(de.settings.role)).toEqual(['Techniker', 'Lead', 'Admin'])
  })
  it('of roles are the same in what is exported', () => {
    expect(read('backend/export/export.go')).not.toMatch(/Leitung/)
  })
})

describe('the scripted native side', () => {
  const known = (text: string): boolean => text === '' || native(text, 'de') !== text
  it('says only what the programs say', () => {
    const faults: { message: string; hint: string }[] = []
    const walk = (of: unknown): void => {
      if (typeof of !== 'object' || of === null) return
      if ('message' in of && 'hint' in of) faults.push(of as { message: string; hint: string })
      for (const value of Object.values(of)) walk(value)
    }
    for (const make of Object.values(scenarios)) walk(make())
    expect(faults.length).toBeGreaterThan(8)
    expect(faults.flatMap((f) => [f.message, f.hint]).filter((s) => !known(s))).toEqual([])
    for (const file of ['fake', 'history'])
      for (const [, a, b, c, d] of read(`frontend/src/lib/backend/fake/${file}.ts`).matchAll(/fault\('\w+', (?:'([^']*)'|"([^"]*)"), (?:'([^']*)'|"([^"]*)")/g)) expect([a ?? b ?? '', c ?? d ?? ''].filter((s) => !known(s))).toEqual([])
  })
  it('checks what the programs check', async () => {
    const checks = await new FakeBackend({ scenario: 'empty' }).shell.doctor()
    const go = read('backend/console/console.go') + read('system.go')
    for (const c of checks) {
      expect(go).toContain(`"${c.name}"`)
      expect(known(c.name) || c.name === '', c.name).toBe(true)
      expect(known(c.hint), c.hint).toBe(true)
    }
    for (const [, hint = ''] of go.matchAll(/(?:hint\(.*?, |check\(.*, )"([^"]+)"\)/g)) expect(known(hint), hint).toBe(true)
  })
})
