/** What a viewer does at a screen, checked, as messages to the process that captures it (natpass protocol, sections 1.5 and 4.3). */
import { WorkerMessageType, type WorkerMessageInit } from './worker/worker-messages.ts'
import { Status, TEXT } from '../../protocol/desktop.ts'
import { MessageType } from '../../protocol/message-types.ts'
import type { MessageInit } from '../../protocol/messages.ts'

/** Of `vnc_mouse.button`. */
const LAST_BUTTON = 3

/** Steps of one turn of a wheel. */
const MAX_STEPS = 32

/** Characters of the name of a key. */
const MAX_KEY = 32

/** Undefined for what is out of its range, or no input: the screen may just have become smaller. */
export function inputOf ({ _type: type, vmouse, vkbd, vscroll, vclipboard }: MessageInit, { width, height }: { readonly width: number, readonly height: number }): WorkerMessageInit | undefined {
  switch (type as number) {
    case MessageType.vncMouse: {
      if (vmouse == null) return undefined
      const [status, btn, x, y] = [vmouse.type ?? 0, vmouse.btn ?? 0, vmouse.x ?? 0, vmouse.y ?? 0]
      const isInside = x < width && y < height
      return isInside && status <= Status.up && btn <= LAST_BUTTON ? { _type: WorkerMessageType.mouse, mouse: { type: status, btn, x, y } } : undefined
    }
    case MessageType.vncKeyboard: {
      const [status, key] = [vkbd?.type ?? 0, vkbd?.key ?? '']
      const isKey = key !== '' && key.length <= MAX_KEY && (status === Status.down || status === Status.up)
      return isKey ? { _type: WorkerMessageType.keyboard, keyboard: { type: status, key } } : undefined
    }
    case MessageType.vncScroll:
      return vscroll == null ? undefined : { _type: WorkerMessageType.scroll, scroll: { x: steps(vscroll.x), y: steps(vscroll.y) } }
    case MessageType.vncClipboard:
      return vclipboard?._type === TEXT ? { _type: WorkerMessageType.clipboard, clipboard: { set: vclipboard.set === true, _type: TEXT, data: vclipboard.data ?? '' } } : undefined
    default:
      return undefined
  }
}

const steps = (count: number | null | undefined): number => Math.max(-MAX_STEPS, Math.min(count ?? 0, MAX_STEPS))
