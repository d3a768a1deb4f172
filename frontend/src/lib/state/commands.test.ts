import { describe, expect, it, vi } from 'vitest'
import { Commands, keystroke, typing } from './commands.svelte'

const press = (key: string, target: EventTarget = document.body, more: KeyboardEventInit = {}): KeyboardEvent => {
  const e = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more })
  Object.defineProperty(e, 'target', { value: target })
  return e
}

describe('keystroke', () => {
  it('names keys as commands do', () => {
    expect(keystroke(press('N', document.body, { shiftKey: true }))).toBe('n')
    expect(keystroke(press('k', document.body, { ctrlKey: true }))).toBe('Ctrl+K')
    expect(keystroke(press('k', document.body, { metaKey: true }))).toBe('Ctrl+K')
    expect(keystroke(press('?'))).toBe('?')
    expect(keystroke(press('Escape'))).toBe('Escape')
  })
})

describe('Commands', () => {
  it('starts the latest with the key, and leaves letters to who is typing', () => {
    const commands = new Commands()
    const [first, second] = [vi.fn(), vi.fn()]
    commands.add(() => [{ id: 'a', label: 'A', key: 'n', group: 'everywhere', run: first }])
    const off = commands.add(() => [{ id: 'b', label: 'B', key: 'n', group: 'here', run: second }])
    expect(commands.press(press('n'))).toBe(true)
    expect(second).toHaveBeenCalledOnce()
    off()
    expect(commands.press(press('n'))).toBe(true)
    expect(first).toHaveBeenCalledOnce()

    const input = document.createElement('input')
    document.body.append(input)
    expect(typing(input)).toBe(true)
    expect(commands.press(press('n', input))).toBe(false)
    expect(first).toHaveBeenCalledOnce()
  })
  it('lets chords through while typing, and nothing while composing', () => {
    const commands = new Commands()
    const run = vi.fn()
    commands.add(() => [{ id: 'p', label: 'P', key: 'Ctrl+K', group: 'everywhere', run }])
    const input = document.createElement('input')
    expect(commands.press(press('k', input, { ctrlKey: true }))).toBe(true)
    expect(commands.press(press('k', input, { ctrlKey: true, isComposing: true }))).toBe(false)
    expect(run).toHaveBeenCalledOnce()
  })
})
