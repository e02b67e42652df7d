/** Files of the pages: their own, and those of xterm.js, which is optional. Read once; a path is looked up, and never made of a request. */
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
  readonly page: { readonly styles: readonly string[], readonly scripts: readonly string[] }
  readonly login: { readonly styles: readonly string[] }
}

/** By extension. */
const TYPES: Readonly<Record<string, string>> = { css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8' }

const require = createRequire(import.meta.url)

/** Files of the page of a terminal. @throws {PageError} `ERR_PAGE_XTERM` */
export async function loadTerminalAssets (): Promise<PageAssets> {
  const files = new Files()
  const style = await files.own('page.css')
  const script = await files.own('page.js')
  try {
    return {
      files: files.all,
      login: { styles: [style] },
      page: {
        styles: [await files.ofPackage('@xterm/xterm', 'css/xterm.css'), style],
        scripts: [await files.ofPackage('@xterm/xterm', 'lib/xterm.js'), await files.ofPackage('@xterm/addon-fit', 'lib/addon-fit.js'), script]
      }
    }
  } catch (cause) {
    throw new PageError('ERR_PAGE_XTERM', 'the optional packages @xterm/xterm and @xterm/addon-fit are not installed: npm install @xterm/xterm @xterm/addon-fit', { cause })
  }
}

/** Files of the page of a desktop. */
export async function loadDesktopAssets (): Promise<PageAssets> {
  const files = new Files()
  const style = await files.own('page.css')
  const styles = [style, await files.own('desktop.css')]
  const scripts = [await files.own('desktop-keys.js'), await files.own('desktop-screen.js'), await files.own('desktop-input.js'), await files.own('desktop-link.js'), await files.own('desktop.js')]
  return { files: files.all, login: { styles: [style] }, page: { styles, scripts } }
}

/** Files of the page of code-server. */
export async function loadCodeAssets (): Promise<PageAssets> {
  const files = new Files()
  const style = await files.own('page.css')
  return { files: files.all, login: { styles: [style] }, page: { styles: [style], scripts: [await files.own('code.js')] } }
}

/** Files of the page of all rules. */
export async function loadOverviewAssets (): Promise<PageAssets> {
  const files = new Files()
  const style = await files.own('overview.css')
  return { files: files.all, login: { styles: [style] }, page: { styles: [style], scripts: [await files.own('overview.js')] } }
}

class Files {
  readonly all = new Map<string, Asset>()

  /** The path of a file of ours. */
  async own (name: string): Promise<string> {
    const body = await readFile(fileURLToPath(new URL(`assets/${name}`, import.meta.url)))
    return this.#add(name, createHash('sha256').update(body).digest('hex').slice(0, 16), body)
  }

  async ofPackage (name: string, file: string): Promise<string> {
    const { version }: { version: string } = require(`${name}/package.json`)
    return this.#add(file.split('/').at(-1) as string, version, await readFile(require.resolve(`${name}/${file}`)))
  }

  #add (name: string, version: string, body: Buffer): string {
    const [, base, extension] = /^(.+)\.(\w+)$/.exec(name) as RegExpExecArray
    const path = `/assets/${base}-${version}.${extension}`
    this.all.set(path, { type: TYPES[extension], body })
    return path
  }
}
