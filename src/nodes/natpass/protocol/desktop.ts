/** What both ends of a desktop know: numbers of its messages, and bounds (natpass protocol, sections 1.5, 4.2 and 4.3). */

/** Of `vnc_image.encoding`. */
export const Encoding = { raw: 0, jpeg: 1 } as const

/** Of `vnc_status`. */
export const Status = { down: 1, up: 2 } as const

/** Of `vnc_clipboard.data_type`. */
export const TEXT = 1

/** Bytes of the text of a clipboard: with addresses it fits into a frame. */
export const MAX_CLIPBOARD = 48 * 1024

/** Pixels of a side of a screen, and of a screen. Who shows it has four bytes for each of them. */
const MAX_SIDE = 16_384
export const MAX_PIXELS = 64 * 1024 * 1024

/** Whether a screen of this size can be shown. */
export const isScreen = (width: number, height: number): boolean => width >= 1 && height >= 1 && width <= MAX_SIDE && height <= MAX_SIDE && width * height <= MAX_PIXELS
