import { describe, expect, it } from 'vitest'
import { active, answered, session } from '../backend/fake/scenarios'
import { en } from '../i18n/en'
import { fraction, mustChoose, status, who } from './status'

describe('status', () => {
  it('has a word and a glyph for every state', () => {
    for (const state of ['invited', 'answered', 'pairing', 'active', 'ending', 'ended', 'removed', 'unconfirmed'] as const) {
      const s = status(active({ state }), en)
      expect(s.word).not.toBe('')
      expect(s.glyph).not.toBe('')
    }
    expect(status(active({ presence: 'offline', presenceSince: new Date(2026, 1, 1, 9, 5).getTime() }), en).word).toBe('Offline since 09:05')
    expect(status(answered({ state: 'pairing', code: { ...answered().code!, state: 'locked' } }), en).tone).toBe('danger')
  })
  it('asks to choose only while two computers wait and none is chosen', () => {
    const w = answered().waiting[0]!
    expect(mustChoose(answered())).toBe(false)
    expect(mustChoose(answered({ waiting: [{ ...w, chosen: false }, { ...w, instance: 'x', chosen: false }] }))).toBe(true)
    expect(mustChoose(answered({ waiting: [w, { ...w, instance: 'x', chosen: false }] }))).toBe(false)
    expect(mustChoose(answered({ state: 'ended', waiting: [{ ...w, chosen: false }, { ...w, instance: 'x', chosen: false }] }))).toBe(false)
  })
})

describe('the ring', () => {
  it('empties over the life of what it shows', () => {
    const s = active({ activatedAt: 1000, expiresAt: 86_401_000 })
    expect(fraction(s, 1000)).toBe(1)
    expect(fraction(s, 43_201_000)).toBe(0.5)
    expect(fraction(s, 99_999_999)).toBe(0)
    expect(fraction(active({ state: 'removed' }), Date.now())).toBe(0)
    expect(fraction(session({ createdAt: 100, inviteExpiresAt: 100 }), 100)).toBe(0)
  })
})

describe('who', () => {
  it('prefers the name, then the address, then the label', () => {
    expect(who(session())).toBe('Anna Weber')
    expect(who(session({ customer: { email: 'a@b.c', name: '', subject: '', language: 'en' } }))).toBe('a@b.c')
    expect(who(session({ label: 'L', customer: { email: '', name: '', subject: '', language: 'en' } }))).toBe('L')
  })
})
