// What an entry of the audit says, in words. An entry of a kind that this page does not know keeps its own name.
import type { AuditRow } from '$lib/backend/backend'
import type { Catalogue } from '$lib/i18n/en'

function read(detail: string): Record<string, unknown> {
  try {
    const got: unknown = JSON.parse(detail)
    return typeof got === 'object' && got !== null ? (got as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** A value in one line; what changed is told as from → to. */
function plain(value: unknown, word = (one: string): string => one): string {
  if (typeof value === 'string' || typeof value === 'number') return word(String(value))
  if (Array.isArray(value)) return value.map((one) => plain(one, word)).filter(Boolean).join(', ')
  if (typeof value === 'object' && value !== null && 'from' in value && 'to' in value) return `${plain(value.from, word)} → ${plain(value.to, word)}`
  return ''
}

/** Fields worth a word beside the kind, in the order in which they are told. */
const FIELDS = ['name', 'email', 'max_sessions', 'max_per_profile', 'totp', 'mail', 'history_months', 'fingerprint', 'left', 'from']

export function told(row: AuditRow, t: Catalogue): { what: string; more: string } {
  const detail = read(row.detail)
  const more = FIELDS.flatMap((f) => {
    const value = plain(detail[f])
    return value ? [t.people.audit.field[f] ? `${t.people.audit.field[f]} ${value}` : value] : []
  })
  const roles = plain(detail.roles, (r) => t.settings.role[r] ?? r)
  const by = plain(detail.by)
  if (roles) more.push(roles)
  if (by) more.push(t.state.endedBy[by] ?? by)
  return { what: t.people.audit.kind[row.kind] ?? row.kind, more: more.join(' · ') }
}
