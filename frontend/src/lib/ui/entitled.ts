// What somebody may do at customers' computers, and why not.
import type { Profile } from '../backend/types'

export interface Entitled {
  right: string
  /** Why it is not there: the company does not have it, or this person was not given it. Empty: it is there. */
  why: '' | 'company' | 'person'
}

/** Every right that this version has, with why it is not there. */
export const entitlements = (p: Profile, offered: string[]): Entitled[] =>
  offered.map((right) => ({ right, why: p.rights.includes(right) ? '' : p.companyRights.includes(right) ? 'person' : 'company' }))

/** The names of those who could change it: the company's admins, without who asks. */
export const askFor = (p: Profile): string =>
  p.contacts
    .filter((c) => c.role === 'admin' && c.name !== p.name)
    .map((c) => c.name)
    .slice(0, 3)
    .join(', ')
