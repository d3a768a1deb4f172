/**
 * The remote display on the page, without any framework: see Viewer.
 */
export { Viewer, type Events, type Mode, type Options, type State, type Statistics } from './viewer'
export type { KeyboardMode } from './keyboard'
export type { Ticket } from './transport'
