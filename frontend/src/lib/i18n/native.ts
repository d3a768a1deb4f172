// What the native side says in English, in the language of the page. Nothing is half translated: a text of which one
// sentence is not known stays as it came.
import type { Fault, Language } from '../backend/types'
import { patterns, sentences, word } from './native.de'

const SENTENCE = /(?<=[.?:])\s+(?=[A-Z])/

function sentence(text: string): string | undefined {
  const exact = sentences[text]
  if (exact !== undefined) return exact
  for (const [pattern, say] of patterns) {
    const found = pattern.exec(text)
    if (found) return say(...found.slice(1))
  }
  return undefined
}

export function native(text: string, language: Language): string {
  if (language === 'en' || text === '') return text
  const whole = sentence(text)
  if (whole !== undefined) return whole
  const parts = text.split(SENTENCE).map(sentence)
  return parts.every((p) => p !== undefined) ? parts.join(' ') : word(text)
}

/** A fault in the words of the page; what is folded away stays as it came, for whoever helps. */
export const inWords = (fault: Fault, language: Language): Fault => ({ ...fault, message: native(fault.message, language), hint: native(fault.hint, language) })
