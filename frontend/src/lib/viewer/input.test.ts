import { describe, expect, it } from 'vitest'
import { Keyboard, modsOf, type KeyLike } from './keyboard'
import * as wire from './protocol'

const hex = (b: Uint8Array): string => [...b].map((n) => n.toString(16).padStart(2, '0')).join('')

function event(code: string, key: string, more: Partial<KeyLike> & { altGr?: boolean } = {}): KeyLike {
  return {
    code, key, keyCode: 65, repeat: false, isComposing: false, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false,
    getModifierState: (name) => name === 'AltGraph' && (more.altGr ?? false),
    ...more,
  }
}

function keyboard(mode: 'position' | 'text'): { k: Keyboard; said: string[] } {
  const said: string[] = []
  const k = new Keyboard({
    key: (usage, down, mods, repeat) => said.push(`${down ? '+' : '-'}${usage.toString(16)}${mods ? '/' + mods : ''}${repeat ? 'r' : ''}`),
    text: (s, chord) => said.push(chord ? `chord ${s}` : `text ${s}`),
    release: () => said.push('release'),
  })
  k.mode = mode
  return { k, said }
}

describe('protocol', () => {
  it('lays messages out as the host reads them', () => {
    // The same bytes as in backend/wire/input_test.go, but for the sequence.
    const b = wire.move(2, 3, 4)
    expect(hex(b.subarray(0, 3)) + hex(b.subarray(5))).toBe('020100' + '020003000400')
  })
  it('button, wheel, key, text, release, acknowledgement', () => {
    const body = (b: Uint8Array): string => hex(b.subarray(5))
    expect(body(wire.button(10, 0x3fff, 1, 0))).toBe('0a00ff3f01000100')
    expect(body(wire.button(0, 0, 16, 2))).toBe('0000000010020000')
    expect(body(wire.wheel(1, 2, 0x88, -256))).toBe('01000200880000ff')
    expect(body(wire.wheel(1, 2, 1e6, -1e6))).toBe('01000200ff7f0080')
    expect(body(wire.key(4, true, 1, true))).toBe('04000101')
    expect(hex(wire.key(4, false, 0, true).subarray(1, 3))).toBe('0400')
    expect(hex(wire.key(4, true, 0, true).subarray(1, 3))).toBe('0401')
    expect(body(wire.text('Grüße, 世界\n', false))).toBe('4772c3bcc39f652c20e4b896e7958c0a')
    expect(hex(wire.release().subarray(0, 3))).toBe('020600')
    expect(hex(wire.ack(0x01020304, 700))).toBe('0104030201bc020000')
    expect(hex(wire.refresh())).toBe('03')
  })
  it('counts', () => {
    const a = wire.release().slice()
    const b = wire.release()
    expect((b[3]! + 256 * b[4]! - a[3]! - 256 * a[4]!) & 0xffff).toBe(1)
  })
  it('cuts text between characters and drops what must not be sent', () => {
    expect(wire.texts('a\r\nb\rc\u001b\u0007\u0085\td')).toEqual(['a\nb\nc\td'])
    const parts = wire.texts('x' + '世'.repeat(50) + '😀'.repeat(20))
    expect(parts.join('')).toBe('x' + '世'.repeat(50) + '😀'.repeat(20))
    for (const p of parts) expect(new TextEncoder().encode(p).length).toBeLessThanOrEqual(64)
    expect(wire.texts('\ud800')).toEqual(['\ufffd'])
    expect(wire.texts('')).toEqual([])
  })
})

describe('Keyboard by position', () => {
  it('sends places, repeats and modifiers', () => {
    const { k, said } = keyboard('position')
    k.down(event('ShiftLeft', 'Shift', { shiftKey: true }))
    k.down(event('ShiftLeft', 'Shift', { shiftKey: true }))
    k.down(event('KeyY', 'Z', { shiftKey: true }))
    k.down(event('KeyY', 'Z', { shiftKey: true, repeat: true }))
    k.up(event('KeyY', 'Z', { shiftKey: true }))
    k.up(event('ShiftLeft', 'Shift'))
    expect(said).toEqual(['+e1/1', '+1c/1', '+1c/1r', '-1c/1', '-e1'])
    expect(k.held).toBe(0)
  })
  it('ignores keys nobody knows and releases that were not pressed here', () => {
    const { k, said } = keyboard('position')
    expect(k.down(event('', 'Unidentified'))).toBe(true)
    expect(k.down(event('BrowserBack', 'BrowserBack'))).toBe(true)
    expect(k.down(event('constructor', 'x'))).toBe(true)
    expect(k.up(event('Enter', 'Enter'))).toBe(true)
    expect(said).toEqual([])
  })
  it('lets go of what macOS does not say', () => {
    const { k, said } = keyboard('position')
    k.down(event('MetaLeft', 'Meta', { metaKey: true }))
    k.down(event('KeyC', 'c', { metaKey: true }))
    k.up(event('MetaLeft', 'Meta'))
    expect(said).toEqual(['+e3/8', '+6/8', '-e3', '-6'])
  })
  it('releases once and for all', () => {
    const { k, said } = keyboard('position')
    k.down(event('KeyA', 'a'))
    k.release()
    k.up(event('KeyA', 'a'))
    expect(said).toEqual(['+4', 'release'])
  })
  it('takes AltGr for the third level and not for Control and Alt', () => {
    expect(modsOf(event('KeyQ', '@', { ctrlKey: true, altKey: true, altGr: true, shiftKey: true }))).toBe(17)
    expect(modsOf(event('KeyQ', 'q', { ctrlKey: true, altKey: true, metaKey: true }))).toBe(14)
  })
})

describe('Keyboard as one types', () => {
  it('sends characters at once and other keys by their place', () => {
    const { k, said } = keyboard('text')
    expect(k.down(event('KeyZ', 'y'))).toBe(true)
    k.up(event('KeyZ', 'y'))
    k.down(event('KeyQ', '@', { altGr: true, ctrlKey: true, altKey: true }))
    k.down(event('AltRight', 'AltGraph'))
    k.down(event('Enter', 'Enter'))
    k.up(event('Enter', 'Enter'))
    k.down(event('KeyX', '😀'))
    expect(said).toEqual(['text y', 'text @', '+28', '-28', 'text 😀'])
  })
  it('sends shortcuts by their character', () => {
    const { k, said } = keyboard('text')
    k.down(event('ControlLeft', 'Control', { ctrlKey: true }))
    k.down(event('KeyY', 'z', { ctrlKey: true }))
    k.down(event('KeyY', 'Z', { ctrlKey: true, shiftKey: true }))
    k.up(event('ControlLeft', 'Control'))
    expect(said).toEqual(['+e0/2', 'chord z', 'chord z', '-e0'])
  })
  it('leaves dead keys and input methods to the text field', () => {
    const { k, said } = keyboard('text')
    expect(k.down(event('Quote', 'Dead'))).toBe(false)
    expect(k.down(event('ShiftLeft', 'Shift', { shiftKey: true }))).toBe(true)
    expect(k.down(event('KeyE', 'É', { shiftKey: true }))).toBe(false)
    k.composed('É')
    expect(k.down(event('KeyN', 'n'))).toBe(true)
    expect(k.down(event('KeyK', 'Process', { keyCode: 229 }))).toBe(false)
    expect(k.down(event('KeyK', 'k', { isComposing: true }))).toBe(false)
    k.composed('漢字')
    k.composed('')
    expect(said).toEqual(['+e1/1', 'text É', 'text n', 'text 漢字'])
  })
})
