import { mod } from './protocol'
import { usages } from './keys'

export type KeyboardMode = 'position' | 'text'

/** What a key event has that counts; a KeyboardEvent is one. */
export interface KeyLike {
  code: string
  key: string
  keyCode: number
  repeat: boolean
  isComposing: boolean
  shiftKey: boolean
  ctrlKey: boolean
  altKey: boolean
  metaKey: boolean
  getModifierState(name: string): boolean
}

export interface KeySink {
  key(usage: number, down: boolean, mods: number, repeat: boolean): void
  text(s: string, chord: boolean): void
  release(): void
}

const modifiers = new Set(['ShiftLeft', 'ShiftRight', 'ControlLeft', 'ControlRight', 'AltLeft', 'AltRight', 'MetaLeft', 'MetaRight'])

export function modsOf(e: KeyLike): number {
  const altGr = e.getModifierState('AltGraph')
  let m = 0
  if (e.shiftKey) m |= mod.shift
  if (e.metaKey) m |= mod.meta
  if (altGr) return m | mod.altGr // Windows reports AltGr as Control and Alt as well
  if (e.ctrlKey) m |= mod.control
  if (e.altKey) m |= mod.alt
  return m
}

/** Turns key events into messages. Knows what is down on the other side, so that everything that went down comes up. */
export class Keyboard {
  mode: KeyboardMode = 'position'
  #down = new Map<string, number>()
  #dead = false
  #sink: KeySink

  constructor(sink: KeySink) {
    this.#sink = sink
  }

  get held(): number {
    return this.#down.size
  }

  /** True when the event is done with and the page must not act on it. False: it goes on into the text field to be composed. */
  down(e: KeyLike): boolean {
    if (this.mode === 'text' && this.#typed(e)) return false
    if (this.mode === 'text' && this.#character(e)) return true
    const usage = usages.get(e.code)
    if (usage === undefined) return true
    const known = this.#down.has(e.code)
    if (known && !e.repeat && modifiers.has(e.code)) return true // some web views say a held modifier twice
    this.#down.set(e.code, usage)
    this.#sink.key(usage, true, modsOf(e), e.repeat || known)
    return true
  }

  up(e: KeyLike): boolean {
    const usage = this.#down.get(e.code)
    if (usage === undefined) return true
    this.#down.delete(e.code)
    this.#sink.key(usage, false, modsOf(e), false)
    if (e.code.startsWith('Meta')) {
      // macOS keeps back the key-up of what was pressed together with Command.
      for (const [code, other] of this.#down) {
        if (modifiers.has(code)) continue
        this.#down.delete(code)
        this.#sink.key(other, false, modsOf(e), false)
      }
    }
    return true
  }

  /** What the text field received: a composed character, a word of an input method. */
  composed(s: string): void {
    this.#dead = false
    if (this.mode === 'text' && s !== '') this.#sink.text(s, false)
  }

  release(): void {
    this.#down.clear()
    this.#dead = false
    this.#sink.release()
  }

  /** Text mode: the event belongs to an input method or a dead key, and its result comes as composed(). */
  #typed(e: KeyLike): boolean {
    if (e.isComposing || e.keyCode === 229 || e.key === 'Process') return true
    if (e.key === 'Dead' || e.key === 'Compose' || e.key === 'Multi_key') {
      this.#dead = true
      return true
    }
    if (modifiers.has(e.code) || e.key === 'AltGraph') return false
    const composing = this.#dead && [...e.key].length === 1
    this.#dead = false
    return composing
  }

  #character(e: KeyLike): boolean {
    // Their effect is in the text.
    if (e.key === 'AltGraph' || (e.code === 'AltRight' && e.key !== 'Alt') || e.code === 'CapsLock') return true
    if ([...e.key].length !== 1) return false
    const m = modsOf(e)
    const chord = (m & (mod.control | mod.alt | mod.meta)) !== 0
    this.#sink.text(chord ? e.key.toLowerCase() : e.key, chord)
    return true
  }
}
