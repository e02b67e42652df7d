/** Files of the page: its own, and those of xterm.js, which is optional. Read once; a path is looked up, and never made of a request. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { CodedError } from '../../../../errors.ts'

/** `@xterm/xterm` or `@xterm/addon-fit` is not installed. */
export class PageError extends CodedError<'ERR_PAGE_XTERM'> {
  override readonly name = 'PageError'
}

export interface Asset {
  readonly type: string
  readonly body: Buffer
}

export interface PageAssets {
  /** By path. Each path has the version of its file, so that browsers may keep it for good. */
  readonly files: ReadonlyMap<string, Asset>
  readonly terminal: { readonly styles: readonly string[], readonly scripts: readonly string[] }
  readonly login: { readonly styles: readonly string[] }
}

const SCRIPT = 'text/javascript; charset=utf-8'
const STYLE = 'text/css; charset=utf-8'

const require = createRequire(import.meta.url)

/** @throws {PageError} `ERR_PAGE_XTERM` */
export async function loadPageAssets (): Promise<PageAssets> {
  const files = new Map<string, Asset>()
  const add = (path: string, type: string, body: Buffer): string => {
    files.set(path, { type, body })
    return path
  }
  const own = async (name: string, extension: string, type: string): Promise<string> => {
    const body = await readFile(fileURLToPath(new URL(`assets/${name}.${extension}`, import.meta.url)))
    const version = createHash('sha256').update(body).digest('hex').slice(0, 16)
    return add(`/assets/${name}-${version}.${extension}`, type, body)
  }
  const ofPackage = async (name: string, file: string, type: string): Promise<string> => {
    const { version }: { version: string } = require(`${name}/package.json`)
    const [, base, extension] = /([^/]+)\.(\w+)$/.exec(file) as RegExpExecArray
    return add(`/assets/${base}-${version}.${extension}`, type, await readFile(require.resolve(`${name}/${file}`)))
  }
  const style = await own('page', 'css', STYLE)
  const script = await own('page', 'js', SCRIPT)
  try {
    return {
      files,
      login: { styles: [style] },
      terminal: {
        styles: [await ofPackage('@xterm/xterm', 'css/xterm.css', STYLE), style],
        scripts: [await ofPackage('@xterm/xterm', 'lib/xterm.js', SCRIPT), await ofPackage('@xterm/addon-fit', 'lib/addon-fit.js', SCRIPT), script]
      }
    }
  } catch (cause) {
    throw new PageError('ERR_PAGE_XTERM', 'the optional packages @xterm/xterm and @xterm/addon-fit are not installed: npm install @xterm/xterm @xterm/addon-fit', { cause })
  }
}
