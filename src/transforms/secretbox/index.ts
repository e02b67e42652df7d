/** Frames as secret boxes, and how both sides get the key. */
export { answerOffer, KeyOffer, type KeyAnswer } from './key-offer.ts'
export { exchangeKeys, KeyExchangeServer, type ExchangeKeysInit, type KeyExchangeFrames, type KeyExchangeServerInit } from './key-exchange.ts'
export { KeyExchangeError, type KeyExchangeErrorCode } from './key-exchange-error.ts'
export { secretbox, SecretboxDecoder, SecretboxEncoder, type SecretboxInit } from './secretbox.ts'
export { SecretboxError, type SecretboxErrorCode } from './secretbox-error.ts'
