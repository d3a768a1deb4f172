import type { Language } from '../backend/types'
import { de } from './de'
import { type Catalogue, en } from './en'

const catalogues: Record<Language, Catalogue> = { en, de }

class I18n {
  language = $state<Language>('en')
}

export const i18n = new I18n()

/** The catalogue of the language of now. Read it where it is shown, so that it follows a change of language. */
export function t(): Catalogue {
  return catalogues[i18n.language]
}

export { type Catalogue, catalogues }
