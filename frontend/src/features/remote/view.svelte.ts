const REST = 250 // ms at the upper edge before the bar comes: passing by is no wish

/** How the picture is looked at. None of it is known to the other side. */
export class View {
  scale = $state<'fit' | 'one'>('fit')
  keyboard = $state<'keys' | 'text'>('keys')
  fullscreen = $state(false)
  statistics = $state(false)
  /** The bar stays. Otherwise it is there only while the pointer or a menu asks for it. */
  pinned = $state(true)
  /** Where the figures lie: never where the pointer is. */
  corner = $state<'left' | 'right'>('right')
  #peek = $state(false)
  #menu = $state(false)
  #timer: ReturnType<typeof setTimeout> | undefined

  /** The bar has a row of its own, so that shown it moves the picture and covers nothing. */
  get barShown(): boolean {
    return this.pinned || this.#peek || this.#menu
  }

  setScale(scale: 'fit' | 'one'): void {
    this.scale = scale
  }

  togglePin(): void {
    this.pinned = !this.pinned
    this.#peek = false
  }

  show(): void {
    this.#peek = true
  }

  menu(open: boolean): void {
    this.#menu = open
  }

  /** The pointer rests at the upper edge, or does not. */
  near(edge: boolean): void {
    if (!edge) {
      clearTimeout(this.#timer)
      this.#timer = undefined
    } else if (!this.#timer && !this.barShown) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        this.#peek = true
      }, REST)
    }
  }

  /** Work goes on in the picture: what was only peeked at slides away. */
  work(): void {
    this.#peek = false
  }
}
