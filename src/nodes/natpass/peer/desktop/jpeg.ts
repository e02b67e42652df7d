/** JPEG of blocks. The only place that knows `sharp`, which is optional. */

/** Encodes RGB, row by row, with colours at half the resolution. @param quality 1 to 100 */
export type EncodeJpeg = (rgb: Buffer, width: number, height: number, quality: number) => Promise<Buffer>

let loaded: Promise<EncodeJpeg | undefined> | undefined

/** Loads the package once. Undefined where it is not installed. */
export function loadJpeg (): Promise<EncodeJpeg | undefined> {
  loaded ??= load()
  return loaded
}

async function load (): Promise<EncodeJpeg | undefined> {
  try {
    const { default: sharp } = await import('sharp')
    return (rgb, width, height, quality) =>
      sharp(rgb, { raw: { width, height, channels: 3 } }).jpeg({ quality, chromaSubsampling: '4:2:0' }).toBuffer()
  } catch {
    return undefined
  }
}
