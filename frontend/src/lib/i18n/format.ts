// Times, spans and numbers as people say them. Pure: the clock and the catalogue come in.
import type { Catalogue } from './en'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** "14:32" in the zone of this computer. */
export function clock(at: number): string {
  const d = new Date(at)
  return `${String(d.getHours()).padStart(2, '0')}:${String(d.getMinutes()).padStart(2, '0')}`
}

const midnight = (at: number): number => {
  const d = new Date(at)
  return new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime()
}

/** "14:32 today", "tomorrow 14:32", "14:32 yesterday", otherwise day and month. Days are calendar days, so 23- and 25-hour days are right. */
export function moment(at: number, now: number, t: Catalogue, language: string): string {
  const days = Math.round((midnight(at) - midnight(now)) / DAY)
  if (days === 0) return t.time.today(clock(at))
  if (days === 1) return t.time.tomorrow(clock(at))
  if (days === -1) return t.time.yesterday(clock(at))
  const date = new Date(at)
  const sameYear = date.getFullYear() === new Date(now).getFullYear()
  const day = date.toLocaleDateString(language, { day: 'numeric', month: 'short', year: sameYear ? undefined : 'numeric' })
  return `${day}, ${clock(at)}`
}

/** "23 h 12 min", "4 min", "40 s". Never negative. */
export function span(ms: number, t: Catalogue): string {
  const left = Math.max(0, ms)
  if (left >= HOUR) return `${Math.floor(left / HOUR)} ${t.time.h} ${String(Math.floor((left % HOUR) / MINUTE)).padStart(2, '0')} ${t.time.min}`
  if (left >= MINUTE) return `${Math.floor(left / MINUTE)} ${t.time.min}`
  return `${Math.floor(left / 1000)} ${t.time.s}`
}

/** "23 h 12 min left", or "over". */
export function left(until: number, now: number, t: Catalogue): string {
  return until <= now ? t.time.over : t.time.left(span(until - now, t))
}

/** "9:41" for the countdown of a code. */
export function countdown(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / 1000))
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`
}

/** "4711 8862". */
export function grouped(digits: string): string {
  return digits.replace(/(\d{4})(?=\d)/g, '$1 ')
}

/** "four seven one one, eight eight six two". */
export function spoken(digits: string, t: Catalogue): string {
  return (digits.match(/\d{1,4}/g) ?? []).map((group) => [...group].map((d) => t.digits[Number(d)] ?? d).join(' ')).join(', ')
}

/** A figure with at most one digit behind the point, in the writing of the language. */
export function figure(n: number, language: string): string {
  return (Number.isFinite(n) ? n : 0).toLocaleString(language, { maximumFractionDigits: n < 10 ? 1 : 0 })
}
