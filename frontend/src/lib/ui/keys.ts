/** The one chord that takes the keyboard back from the other computer and leaves full screen. lib/viewer keeps it. */
export const RELEASE = 'Ctrl Alt Esc'

export const isRelease = (e: KeyboardEvent): boolean => e.ctrlKey && e.altKey && e.key === 'Escape'
