export { memoryNetwork } from './network.ts'
export { memoryPair } from './pair.ts'
