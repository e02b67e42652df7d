/** Blocks of a picture as messages to the viewer (natpass protocol, sections 1.5 and 4.3). */
import type { Block, Blocks } from './blocks.ts'
import type { EncodeJpeg } from './jpeg.ts'
import { Encoding } from '../../protocol/desktop.ts'
import { MessageType } from '../../protocol/message-types.ts'
import { bodyOf } from '../../protocol/messages.ts'
import type { Batch } from '../../../../types.ts'

/** The quality of a request that names none, and that which means pixels as they are. */
const DEFAULT_QUALITY = 50
const LOSSLESS = 100

/** Percent. 0 is what is not on the wire. */
export const qualityOf = (asked: number | null | undefined): number => Math.min(asked || DEFAULT_QUALITY, LOSSLESS)

/** The bodies of the messages of some blocks. @param jpeg undefined where there is no encoder */
export function imagesOf (blocks: Blocks, some: readonly Block[], quality: number, jpeg: EncodeJpeg | undefined): Promise<Batch> {
  return Promise.all(some.map((block) => imageOf(blocks, block, quality, jpeg)))
}

async function imageOf (blocks: Blocks, block: Block, quality: number, jpeg: EncodeJpeg | undefined): Promise<Uint8Array> {
  const { x, y, width, height } = block
  const encoded = quality >= LOSSLESS ? undefined : await jpeg?.(blocks.rgbOf(block), width, height, quality).catch(() => undefined)
  return bodyOf({
    _type: MessageType.vncImage,
    vimg: {
      _info: { screen_width: blocks.width, screen_height: blocks.height, rect_x: x, rect_y: y, rect_width: width, rect_height: height },
      encode: encoded === undefined ? Encoding.raw : Encoding.jpeg,
      data: encoded ?? blocks.pixelsOf(block)
    }
  })
}
