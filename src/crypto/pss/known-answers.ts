/** A key of 2048 bits, and signatures by it of RSASSA-PSS with SHA-256. The private key is gone. */

export const MESSAGE = Buffer.from('RSASSA-PSS')

/** DER of PKCS #1. */
export const KEY = Buffer.from(
  'MIIBCgKCAQEAlltAoUBVs/TMAx2KnMcjffvKx9vbBZUpAisGlTz5yrS7uCnytRG85J5PxYA6sm9PtDbvPqeRfLQ56OvuXKI1AevTW4gx6fBMQiNn3IeuDQO6rF0iAXVxA0' +
  '/x1mbeK3qSLDd7irH6N6+DfjXzA0h3/Mdm0JoM4HoHhnOSgOLXlUKITyn49YOZAFr0OaelNBlFx0emSE3CBKmgKvPPCWfTv9RxTvm2D3JoWN0LtoWlqLFwGFVXiQ3ngxO7' +
  'UlotlI7L/8E0BBl6IeYFr9W6owGd/4RnSSutDw4Rxgm+ovMnkXKZ5r/PWqvFPe89DIoX8HrQcm/Bp2oGKUISEL1pVyp7SQIDAQAB',
  'base64')

/** With a salt of 32 bytes. */
export const SIGNATURE = Buffer.from(
  'jPB5GEL8abmeT5ZOAo1g9hwmh6KD4SGLVRwE5d/O7xlujvWoUiGc+zeiKVE1elR65JWF848aLwUsi8Uvbnhxiz1b+RRE+gvEjHDNoy5QHfHUPO9aIUCaToXZwKQOSR8/rV' +
  'PW3bQNOz/dt02nr16WytviqEYOKsEF7jaZZKoQVEflSDGSl+uuZj18t5HjRwv9xShtYDHKedqcJx+tSY7H4BV4RuLfJaSo3LioIDXOtcht0LPB0YlA3Te2z3Le4vLqlLnV' +
  '3aQVtNS/+s6D10Iw5iudaoIdb6eEzp5WebCThQ2AuJ0DWRhbbB3F95XXl3rZw0jvBS92dTPyHP/x+IwjcQ==',
  'base64')

/** With a salt of 20 bytes. */
export const OTHER_SALT = Buffer.from(
  'W1irIh0DvXFmiOelPd69AsqrBEy40oDguos8zuyxh6iKZboWItMvSxATTThZPTGdF0DQCjEIJVKqpqnPfAfL7HEtPhBa/0wWQRT9Wal5EL2iVf3ASILaqsZ15bL19oYX16' +
  'oe3HfbhpTbjOR6CTCwroscJxb2/lV5jlosClc5XqEjL9Dw/xogmHF4wkCzuXKasGrsh5/kuAXA0AjKeHyCatJkEedZyfcABXtfQ5Zr0wJTavFIBXmwrM1ikH6mJ2hu3PL6' +
  'ubAAsYpLrnLu58c4+oom0ceaz3nV4QHSyTDNbBlwoTWjOib2u2nVornohv6quJc7vyFnGMgTmBXJwrDmAw==',
  'base64')
