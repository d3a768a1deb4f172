import { untrack } from 'svelte'

// One list of everything that can be done now: the palette shows it, the keys start it, the help names it.

export interface Command {
  id: string
  label: string
  /** What it acts on, where the label alone does not say it: shown in the palette, not in the list of keys. */
  of?: string
  /** One keystroke such as "n", "?" or "Ctrl+K". */
  key?: string
  /** Where it belongs in the list of keys. */
  group: 'everywhere' | 'here'
  run: () => void
  hidden?: boolean
}

/** The name of a keystroke as in Command.key. Letters without Ctrl are lower case; Shift is only told where it is no part of the character. */
export function keystroke(e: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey'>): string {
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key
  const mods = (e.ctrlKey || e.metaKey ? 'Ctrl+' : '') + (e.altKey ? 'Alt+' : '')
  return mods + (mods && key.length === 1 ? key.toUpperCase() : key)
}

/** True where a plain letter is meant as text or belongs to a control. */
export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof Element)) return false
  return target.closest('input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable="true"], [role="menu"], [role="listbox"], [data-keys="own"]') !== null
}

/** True where Escape closes what is open there: a menu, a list. */
const owned = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest('select, [role="menu"], [role="listbox"], [aria-expanded="true"], [data-keys="own"]') !== null

/** A keystroke as it stands on a key. */
export const keyName = (key: string): string => (key.length === 1 ? key.toUpperCase() : key === 'Escape' ? 'Esc' : key.replace('+', ' '))

export class Commands {
  #sources = $state.raw<(() => Command[])[]>([])

  /** Adds commands for as long as the caller lives; later ones win a key. Returns how to take them away. */
  add(source: () => Command[]): () => void {
    // Untracked: whoever adds from an effect must not run again because another came.
    this.#sources = [...untrack(() => this.#sources), source]
    return () => {
      this.#sources = untrack(() => this.#sources).filter((s) => s !== source)
    }
  }

  get all(): Command[] {
    return this.#sources.flatMap((source) => source())
  }

  /** Starts what belongs to the keystroke; says whether there was something. */
  press(e: KeyboardEvent): boolean {
    if (e.defaultPrevented || e.isComposing) return false
    const stroke = keystroke(e)
    const plain = !stroke.startsWith('Ctrl+') && !stroke.startsWith('Alt+')
    if (plain && (stroke !== 'Escape' || owned(e.target)) && typing(e.target)) return false
    const command = this.all.findLast((c) => c.key === stroke)
    if (!command) return false
    e.preventDefault()
    command.run()
    return true
  }
}
