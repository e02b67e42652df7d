/** The optional package `x11`, which speaks the protocol of X: the members of it that are used here. */
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { DisplayError } from './display-error.ts'
import type { Rectangle } from './pixels.ts'

/** Returns true, so that a refused request is not told as an event too. */
export type Callback<T> = (err: Error | null, reply: T) => true

export interface X11 {
  createClient (options: object, connected: (err: Error | undefined, setup: Setup) => void): Client
}

/** What the server tells at the start. */
export interface Setup {
  readonly client: Client
  /** 0: the least significant byte of a pixel comes first. */
  readonly image_byte_order: number
  readonly min_keycode: number
  readonly max_keycode: number
  readonly format: Readonly<Record<number, { readonly bits_per_pixel: number }>>
  readonly screen: readonly ScreenSetup[]
}

export interface ScreenSetup {
  readonly root: number
  readonly root_depth: number
  readonly root_visual: number
  readonly pixel_width: number
  readonly pixel_height: number
  readonly depths: Readonly<Record<number, Readonly<Record<number, { readonly red_mask: number, readonly green_mask: number, readonly blue_mask: number }>>>>
}

/** An event: its name, and the fields of that. */
export type XEvent = Readonly<Record<string, any>> & { readonly name?: string }

/** Requests without a callback are not answered. */
export interface Client extends EventEmitter {
  readonly stream: Socket
  /** Numbers of names that the server has told. */
  atoms: Record<string, number>
  AllocID (): number
  require<E> (name: string, done: (err: Error | null, extension: E) => void): void
  terminate (): void
  sync (done: (err: Error | null) => void): void

  InternAtom (onlyIfExists: boolean, name: string, done: Callback<number>): void
  CreateWindow (id: number, parent: number, x: number, y: number, width: number, height: number, border: number, depth: number, kind: number, visual: number, values: object): void
  ChangeWindowAttributes (window: number, values: object): void
  ChangeProperty (mode: number, window: number, property: number, type: number, format: number, data: Buffer | readonly number[]): void
  DeleteProperty (window: number, property: number): void
  GetProperty (remove: number, window: number, property: number, type: number, offset: number, length: number, done: Callback<Property>): void
  SetSelectionOwner (owner: number, selection: number, time: number): void
  GetSelectionOwner (selection: number, done: Callback<number>): void
  ConvertSelection (requestor: number, selection: number, target: number, property: number, time: number): void
  SendEvent (destination: number, propagate: number, mask: number, event: XEvent): void
  QueryPointer (window: number, done: Callback<{ readonly rootX: number, readonly rootY: number }>): void
  GetImage (format: number, drawable: number, x: number, y: number, width: number, height: number, planes: number, done: Callback<{ readonly data: Buffer }>): void
  GetKeyboardMapping (first: number, count: number, done: Callback<ReadonlyArray<readonly number[]>>): void
  ChangeKeyboardMapping (first: number, perKeycode: number, keysyms: readonly number[]): void
}

export interface Property {
  readonly type: number
  readonly data: Buffer
  /** Bytes that are left behind `data`. */
  readonly bytesAfter: number
}

export interface Damage {
  readonly ReportLevel: { readonly NonEmpty: number }
  Create (id: number, drawable: number, level: number): void
  Subtract (id: number, repair: number, parts: number): void
}

export interface Fixes {
  CreateRegion (id: number, rectangles: readonly object[]): void
  FetchRegion (id: number, done: Callback<Region>): void
  readonly CursorNotifyMask: { readonly DisplayCursor: number }
  SelectCursorInput (window: number, mask: number): void
  GetCursorImage (done: Callback<CursorImage>): void
}

/** Rectangles that do not overlap, and one around them. */
export interface Region {
  readonly extents: Rectangle
  readonly rectangles: readonly Rectangle[]
}

/** Pixels have 32 bits: alpha, red, green and blue, multiplied by alpha. */
export interface CursorImage {
  readonly width: number
  readonly height: number
  readonly xhot: number
  readonly yhot: number
  readonly cursorImage: Buffer
}

export interface Shm {
  Attach (id: number, segment: number, readOnly: boolean, done: Callback<void>): void
  Detach (id: number): void
  GetImage (drawable: number, x: number, y: number, width: number, height: number, planes: number, format: number, id: number, offset: number, done: Callback<unknown>): void
}

export interface Xtest {
  FakeInput (type: number, detail: number, time: number, root: number, x: number, y: number): void
}

/** @throws {DisplayError} `ERR_DISPLAY_X11` */
export async function loadX11 (): Promise<X11> {
  try {
    const name: string = 'x11' // it has no declarations
    return (await import(name)).default
  } catch (cause) {
    throw new DisplayError('ERR_DISPLAY_X11', 'the optional package x11 is not installed: npm install x11', { cause })
  }
}
