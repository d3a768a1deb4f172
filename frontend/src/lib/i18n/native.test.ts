import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inWords, native } from './native'
import { patterns, sentences } from './native.de'

const top = join(__dirname, '../../../..')
const goFiles = (dir: string): string[] =>
  readdirSync(join(top, dir), { withFileTypes: true }).flatMap((f) =>
    f.isDirectory() ? goFiles(join(dir, f.name)) : f.name.endsWith('.go') && !f.name.endsWith('_test.go') ? [join(dir, f.name)] : [],
  )

/** Every sentence in a text of the Go files: capital letter, more than one word, full stop. */
function said(files: string[], only = /./): Set<string> {
  const out = new Set<string>()
  for (const file of files)
    for (const line of readFileSync(join(top, file), 'utf8').split('\n')) {
      if (/^\s*\/\//.test(line) || !only.test(line)) continue
      for (const [, literal = ''] of line.matchAll(/"((?:[^"\\]|\\.)*)"/g)) {
        const text = literal.replace(/\\"/g, '"').trim()
        for (const s of [text, ...text.split(/(?<=[.?:])\s+(?=[A-Z])/)]) if (/^[A-Z].* .*\.$/.test(s)) out.add(s)
      }
    }
  return out
}

describe('the words of the native side', () => {
  it('are said in German, sentence by sentence', () => {
    expect(native('The server cannot be reached.', 'de')).toBe('Der Server ist nicht erreichbar.')
    expect(native('Check the network connection. Daypass keeps trying.', 'de')).toBe('Prüfen Sie die Netzwerkverbindung. Daypass versucht es weiter.')
    expect(native('Connected with PC-ANNA, Windows 11, signed in as Anna. Allowed: see the screen, clipboard.', 'de')).toBe(
      'Verbunden mit PC-ANNA, Windows 11, angemeldet als Anna. Erlaubt: Bildschirm sehen, Zwischenablage.',
    )
    expect(native('Complete: 41 entries in an unbroken chain, signed by this console.', 'de')).toContain('41 Einträge')
    expect(native("Complete: 41 entries; 3 of them the customer's computer has not signed yet.", 'de')).toBe('Vollständig: 41 Einträge; 3 davon hat der Computer des Kunden noch nicht unterschrieben.')
  })
  it('stay whole where something is not known, and in English', () => {
    expect(native('The server cannot be reached. Nobody translated this one.', 'de')).toBe('The server cannot be reached. Nobody translated this one.')
    expect(native('The server cannot be reached.', 'en')).toBe('The server cannot be reached.')
    expect(native('', 'de')).toBe('')
  })
  it('leave the folded details alone', () => {
    const f = inWords({ kind: 'offline', op: 'setup.server', message: 'The server cannot be reached.', hint: '', details: 'dial tcp: refused' }, 'de')
    expect(f).toEqual({ kind: 'offline', op: 'setup.server', message: 'Der Server ist nicht erreichbar.', hint: '', details: 'dial tcp: refused' })
  })
  it('are still said by the programs', () => {
    const all = said([...goFiles('backend'), ...goFiles('signaling'), ...goFiles('hostsvc'), ...readdirSync(top).filter((f) => f.endsWith('.go'))])
    expect(Object.keys(sentences).filter((s) => !all.has(s))).toEqual([])
  })
  it('leave out no fault that a technician meets', () => {
    const meets = said(
      [...goFiles('backend/desk'), ...goFiles('backend/rendezvous'), 'backend/mail/send.go', 'backend/mail/reason.go', 'backend/mail/server.go', 'signaling/postman/postman.go', 'signaling/directory/mail.go', 'signaling/directory/people.go', 'signaling/directory/signin.go', 'signaling/directory/totp.go', 'signaling/directory/company.go'],
      /fault\.|bad\(|conflict\(/,
    )
    const unknown = [...meets].filter((s) => native(s, 'de') === s && !patterns.some(([p]) => p.test(s)))
    // What the page cannot cause: it offers the choices itself.
    expect(unknown.filter((s) => !/language|appearance|English or German|password is too long|key combination|smtp-|file with the password|mail server's user|%d|Use technician, lead or admin|no password that a person types/.test(s))).toEqual([])
  })
})
