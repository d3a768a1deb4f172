// A picture without a host: a desk with a window, and a record of the keys that reached it.
import type { OpenViewer } from '../backend'

export const fakeViewer: OpenViewer = (host, _ticket, options, events) => {
  const canvas = document.createElement('canvas')
  canvas.className = 'fake-viewer'
  canvas.tabIndex = 0
  canvas.setAttribute('role', 'application')
  canvas.setAttribute('aria-label', options.label)
  const scale = (mode: string): void => {
    canvas.style.cssText = mode === 'fit' ? 'width:100%;height:100%;object-fit:contain;display:block;outline:none' : 'display:block;outline:none'
  }
  scale(options.scale)
  host.append(canvas)
  const width = 1920
  const height = 1080
  canvas.width = width
  canvas.height = height
  let viewOnly = options.viewOnly
  let typed = ''
  const paint = (): void => {
    const g = canvas.getContext('2d')
    if (!g) return
    g.fillStyle = '#3b5b7a'
    g.fillRect(0, 0, width, height)
    g.fillStyle = '#2d4862'
    g.fillRect(0, 0, width, 36)
    g.fillStyle = '#dfe7ee'
    g.font = '16px sans-serif'
    g.fillText('Applications   Places', 16, 24)
    g.fillText('Sun 14:32', width - 100, 24)
    g.fillStyle = '#f6f6f4'
    g.fillRect(360, 180, 1100, 640)
    g.fillStyle = '#dcdcd8'
    g.fillRect(360, 180, 1100, 40)
    g.fillStyle = '#333'
    g.fillText('letter.txt - Mousepad', 820, 206)
    g.font = '20px monospace'
    g.fillText('Dear all,', 390, 270)
    g.fillText('the printer on the third floor works again.', 390, 306)
    g.fillText(`${typed}|`, 390, 342)
  }
  const key = (e: KeyboardEvent): void => {
    if (e.ctrlKey && e.altKey && e.key === 'Escape') {
      e.preventDefault()
      canvas.blur()
      events.released()
      return
    }
    if (viewOnly) return
    e.preventDefault()
    if (e.key.length === 1) typed += e.key
    canvas.dataset.typed = typed
    paint()
  }
  const focus = (): void => events.captured(!viewOnly)
  const blur = (): void => events.captured(false)
  canvas.addEventListener('keydown', key)
  canvas.addEventListener('focus', focus)
  canvas.addEventListener('blur', blur)
  paint()
  queueMicrotask(() => {
    events.size(width, height)
    events.state('live')
  })
  return {
    focus: () => canvas.focus(),
    setScale: scale,
    setViewOnly: (on) => {
      viewOnly = on
      if (document.activeElement === canvas) events.captured(!on)
    },
    setKeyboard: () => undefined,
    refresh: paint,
    close: () => {
      canvas.removeEventListener('keydown', key)
      canvas.removeEventListener('focus', focus)
      canvas.removeEventListener('blur', blur)
      canvas.remove()
    },
  }
}
