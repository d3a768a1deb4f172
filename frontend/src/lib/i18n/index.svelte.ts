import type { Language } from '../backend/types'
import { de } from './de'
import { type Catalogue, en } from './en'

const catalogues: Record<Language, Catalogue> = { en, de }

class I18n {
  language = $state<Language>('en')
  /** The language as it is written where the reader is: "en-GB" puts the day first, "en-US" the month. */
  readonly region = $derived(navigator.languages.find((l) => l.split('-')[0] === this.language) ?? this.language)
}

export const i18n = new I18n()

/** The catalogue of the language of now. Read it where it is shown, so that it follows a change of language. */
export function t(): Catalogue {
  return catalogues[i18n.language]
}

export { type Catalogue, catalogues }
