import { endpointText } from '../../../net/endpoint.ts'
import { idText } from '../protocol/public-key.ts'
import type { RegistrationClient } from '../protocol/registration-client.ts'
import type { HelperStatus } from './settings.ts'

/** A helper, for display. */
export const helperStatus = ({ named, id, state, roundTrip, mapped, reason }: RegistrationClient): HelperStatus => ({
  name: endpointText(named),
  id: id === undefined ? undefined : idText(id),
  state,
  roundTrip,
  mapped: mapped === undefined ? undefined : endpointText(mapped),
  reason
})
