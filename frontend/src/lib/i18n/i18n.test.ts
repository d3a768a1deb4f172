import { describe, expect, it } from 'vitest'
import { de } from './de'
import { en } from './en'
import { clock, countdown, figure, grouped, left, moment, span, spoken } from './format'

const H = 3_600_000

/** Every text with its path; functions by what they say for some arguments. */
function texts(of: object, path = ''): [string, string][] {
  return Object.entries(of).flatMap(([key, value]): [string, string][] => {
    const at = `${path}.${key}`
    if (typeof value === 'string') return [[at, value]]
    if (typeof value === 'function') return [[at, String((value as (...a: unknown[]) => string)(2, 3))]]
    return texts(value as object, at)
  })
}

describe('the catalogues', () => {
  it('have the same texts, none empty, and follow the rules of tone', () => {
    const [english, german] = [texts(en), texts(de)]
    expect(german.map(([path]) => path)).toEqual(english.map(([path]) => path))
    for (const [path, text] of [...english, ...german]) {
      expect(text.trim(), path).not.toBe('')
      expect(text, path).not.toContain('!')
      expect(text, path).not.toContain('undefined')
      expect(text, path).not.toMatch(/ {2}/)
    }
  })
  it('are different languages', () => {
    const german = Object.fromEntries(texts(de))
    const same = texts(en).filter(([path, text]) => german[path] === text)
    expect(same.length).toBeLessThan(texts(en).length / 8)
  })
  it('count', () => {
    expect(en.newSession.left(1)).toBe('1 try left')
    expect(en.newSession.left(3)).toBe('3 tries left')
    expect(de.newSession.left(1)).toBe('noch 1 Versuch')
  })
})

describe('times', () => {
  const now = new Date(2026, 10, 22, 14, 32).getTime()
  it('are said by calendar day', () => {
    expect(clock(now)).toBe('14:32')
    expect(moment(now, now, en, 'en')).toBe('14:32 today')
    expect(moment(new Date(2026, 10, 23, 0, 5).getTime(), now, en, 'en')).toBe('tomorrow 00:05')
    expect(moment(new Date(2026, 10, 21, 23, 59).getTime(), now, de, 'de')).toBe('gestern 23:59')
    expect(moment(new Date(2026, 10, 19, 9, 5).getTime(), now, en, 'en-GB')).toBe('19 Nov, 09:05')
    expect(moment(new Date(2025, 0, 2, 9, 5).getTime(), now, en, 'en-GB')).toBe('2 Jan 2025, 09:05')
  })
  it('hold where a day has 23 or 25 hours', () => {
    const before = new Date(2026, 2, 28, 23, 0).getTime()
    expect(moment(new Date(2026, 2, 29, 23, 30).getTime(), before, en, 'en')).toBe('tomorrow 23:30')
    const autumn = new Date(2026, 9, 24, 0, 30).getTime()
    expect(moment(new Date(2026, 9, 25, 23, 30).getTime(), autumn, en, 'en')).toBe('tomorrow 23:30')
  })
  it('are spans that never go below nothing', () => {
    expect(span(23 * H + 12 * 60_000 + 59_000, en)).toBe('23 h 12 min')
    expect(span(9 * H + 60_000, en)).toBe('9 h 01 min')
    expect(span(59_999, en)).toBe('59 s')
    expect(span(-5, en)).toBe('0 s')
    expect(left(now + H, now, en)).toBe('1 h 00 min left')
    expect(left(now, now, de)).toBe('vorbei')
    expect(countdown(581_000)).toBe('9:41')
    expect(countdown(-1)).toBe('0:00')
  })
})

describe('the code', () => {
  it('is grouped and spoken', () => {
    expect(grouped('47118862')).toBe('4711 8862')
    expect(spoken('47118862', en)).toBe('four seven one one, eight eight six two')
    expect(spoken('47118862', de)).toBe('vier sieben eins eins, acht acht sechs zwei')
  })
})

describe('figures', () => {
  it('are short and in the writing of the language', () => {
    expect(figure(1.25, 'de')).toBe('1,3')
    expect(figure(1840.4, 'en')).toBe('1,840')
    expect(figure(Number.NaN, 'en')).toBe('0')
  })
})
