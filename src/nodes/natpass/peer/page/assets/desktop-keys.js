// Names of keys on the wire. Other characters are names of themselves.

const NAMES = {
  Backspace: 'backspace',
  Delete: 'delete',
  Enter: 'enter',
  Tab: 'tab',
  Escape: 'esc',
  ArrowUp: 'up',
  ArrowDown: 'down',
  ArrowLeft: 'left',
  ArrowRight: 'right',
  Home: 'home',
  End: 'end',
  PageUp: 'pageup',
  PageDown: 'pagedown',
  Shift: 'shift',
  Control: 'control',
  Alt: 'alt',
  AltGraph: 'altgr',
  Meta: 'cmd',
  OS: 'cmd',
  ' ': 'space',
  Insert: 'insert',
  Pause: 'pause',
  PrintScreen: 'printscreen',
  ContextMenu: 'menu',
  CapsLock: 'capslock',
  NumLock: 'numlock',
  ScrollLock: 'scrolllock'
}

/** Of a key that was pressed or released; undefined when the desktop has none for it. */
globalThis.keyName = ({ key, shiftKey }) => {
  if (Object.hasOwn(NAMES, key)) return NAMES[key]
  if (/^F([1-9]|1\d|2[0-4])$/.test(key)) return key.toLowerCase()
  if (shiftKey && /^[A-Z]$/.test(key)) return key.toLowerCase() // shift is held there as well
  return [...key].length === 1 ? key : undefined
}

/** Of a character that was entered without a key, as phones do. */
globalThis.characterName = (character) => character === '\n' ? 'enter' : character === '\t' ? 'tab' : character === ' ' ? 'space' : character
