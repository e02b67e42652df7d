/** Loaded before a program: as if the processor was another one. */
Object.defineProperty(process, 'arch', { value: 's390x' })
