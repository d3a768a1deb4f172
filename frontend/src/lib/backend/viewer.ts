// Fits lib/viewer, which knows no framework, to what the page asks of a picture.
import { Viewer } from '../viewer'
import type { OpenViewer } from './backend'

export const openViewer: OpenViewer = (host, ticket, options, events) => {
  const mode = (scale: 'fit' | 'one'): 'fit' | '1:1' => (scale === 'fit' ? 'fit' : '1:1')
  const keyboard = (k: 'keys' | 'text'): 'position' | 'text' => (k === 'keys' ? 'position' : 'text')
  const viewer = new Viewer(host, ticket, {
    mode: mode(options.scale),
    viewOnly: options.viewOnly,
    keyboard: keyboard(options.keyboard),
    label: options.label,
  })
  viewer.on('size', ({ width, height }) => events.size(width, height))
  viewer.on('state', (state) => events.state(state))
  viewer.on('focus', (on) => events.captured(on))
  viewer.on('escape', () => events.released())
  // Where the web view keeps the mouse's back and forward buttons from the page, the window tells of them.
  const { runtime } = window as unknown as { runtime?: { EventsOn(name: string, f: (...data: unknown[]) => void): () => void } }
  const off = runtime?.EventsOn('side-button', (button, down) => viewer.sideButton(Number(button), down === true))
  return {
    focus: () => viewer.focus(),
    setScale: (scale) => viewer.setMode(mode(scale)),
    setViewOnly: (on) => viewer.setViewOnly(on),
    setKeyboard: (k) => viewer.setKeyboardMode(keyboard(k)),
    refresh: () => viewer.refresh(),
    close: () => {
      off?.()
      viewer.destroy()
    },
  }
}
