// How a session's state is worded and coloured. Never colour alone: word, tone and glyph come together.
import type { Session } from '../backend/types'
import type { Catalogue } from '../i18n/en'
import { clock } from '../i18n/format'

export type Tone = 'active' | 'waiting' | 'offline' | 'ended' | 'danger'
export type Glyph = 'wait' | 'there' | 'key' | 'choose' | 'on' | 'off' | 'again' | 'ending' | 'done' | 'warn' | 'locked'

export interface Status {
  word: string
  tone: Tone
  glyph: Glyph
}

const over = new Set(['ended', 'removed', 'unconfirmed'])

export const isOver = (s: Session): boolean => over.has(s.state)
export const mustChoose = (s: Session): boolean => s.waiting.length > 1 && !s.waiting.some((w) => w.chosen) && !isOver(s)

export function status(s: Session, t: Catalogue): Status {
  switch (s.state) {
    case 'invited':
      if (s.refused) return s.refused.why === 'declined' ? { word: t.refused.declinedWord, tone: 'offline', glyph: 'off' } : { word: t.refused.word, tone: 'danger', glyph: 'warn' }
      return mustChoose(s) ? { word: t.state.choose, tone: 'waiting', glyph: 'choose' } : { word: t.state.invited, tone: 'waiting', glyph: 'wait' }
    case 'answered':
      return mustChoose(s) ? { word: t.state.choose, tone: 'waiting', glyph: 'choose' } : { word: t.state.answered, tone: 'waiting', glyph: 'there' }
    case 'pairing':
      if (s.code?.state === 'locked') return { word: t.state.locked, tone: 'danger', glyph: 'locked' }
      return mustChoose(s) ? { word: t.state.choose, tone: 'waiting', glyph: 'choose' } : { word: t.state.pairing, tone: 'waiting', glyph: 'key' }
    case 'active':
      if (s.reboot?.state === 'restarting') return { word: t.reboot.restarting, tone: 'waiting', glyph: 'again' }
      switch (s.presence) {
        case 'online':
          return { word: t.state.online, tone: 'active', glyph: 'on' }
        case 'offline':
          return { word: s.presenceSince ? t.state.offlineSince(clock(s.presenceSince)) : t.state.offline, tone: 'offline', glyph: 'off' }
        case 'reconnecting':
          return { word: t.state.reconnecting, tone: 'waiting', glyph: 'again' }
        default:
          return { word: t.state.connecting, tone: 'waiting', glyph: 'again' }
      }
    case 'ending':
      return { word: t.state.ending, tone: 'waiting', glyph: 'ending' }
    case 'ended':
      return { word: t.state.ended, tone: 'ended', glyph: 'done' }
    case 'removed':
      return s.removal?.state === 'unclean' ? { word: t.state.unclean, tone: 'danger', glyph: 'warn' } : { word: t.state.removed, tone: 'ended', glyph: 'done' }
    case 'unconfirmed':
      return { word: t.state.unconfirmed, tone: 'danger', glyph: 'warn' }
  }
}

/** What becomes of a restart that was asked for. */
export function rebootWords(s: Session, now: number, t: Catalogue): string {
  if (s.reboot?.state === 'asked') return t.reboot.asked(Math.max(0, Math.ceil(((s.reboot.until ?? now) - now) / 1000)))
  return t.reboot.restartingText(s.reboot ? clock(s.reboot.since) : '')
}

/** Who it is about, in the best words there are. */
export const who = (s: Pick<Session, 'label' | 'customer'>): string => s.customer.name || s.customer.email || s.label

/** How full the ring is: of the 24 hours, or of the invitation. */
export function fraction(s: Session, now: number): number {
  if (isOver(s)) return 0
  const [from, until] = s.activatedAt && s.expiresAt ? [s.activatedAt, s.expiresAt] : [s.createdAt, s.inviteExpiresAt]
  return until > from ? Math.min(1, Math.max(0, (until - now) / (until - from))) : 0
}
