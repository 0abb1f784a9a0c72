// Decides problems of a docket (docket.py) by the engine of iam-simulate, without reading policies anew for each one.
// Reads JSON lines: {"policies": ..., "contexts": ..., "callers": ..., "things": ...} adds to its tables, an array is a
// problem. Writes a letter for each: A(llowed), I(mplicitly denied), E(xplicitly denied).
import { createInterface } from 'node:readline'
import { loadPolicy } from '@cloud-copilot/iam-policy'
import { isConditionKeyArray, isWildcardOnlyAction, typeForContextKey } from '@cloud-copilot/iam-simulate'
import { DiscoveryContextKeyConstraints } from '../../node_modules/@cloud-copilot/iam-simulate/dist/esm/context_keys/discoveryContextKeyConstraints.js'
import { authorize } from '../../node_modules/@cloud-copilot/iam-simulate/dist/esm/core_engine/CoreSimulatorEngine.js'
import { AwsRequestImpl } from '../../node_modules/@cloud-copilot/iam-simulate/dist/esm/request/request.js'
import { RequestContextImpl } from '../../node_modules/@cloud-copilot/iam-simulate/dist/esm/requestContext.js'

const strictly = { simulationMode: 'Strict', discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([]) }
const policies = []
const contexts = []
const callers = []
const things = []
const several = new Map()
const everywhere = new Map()

async function known(table, key, ask) {
  if (!table.has(key)) table.set(key, await ask())
  return table.get(key)
}

// What a token says, by its provider's host; of one value each. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
const ofToken = (key) => key.split(':')[0].includes('.')

async function context(values) {
  const found = {}
  for (const [key, listed] of Object.entries(values)) {
    const array = await known(several, key, async () => !ofToken(key) && isConditionKeyArray(await typeForContextKey(key)))
    found[key] = array ? listed : listed[0]
  }
  return new RequestContextImpl(found)
}

async function add(tables) {
  for (const one of tables.policies ?? []) policies.push(loadPolicy({ Version: '2012-10-17', Statement: one }, { name: 'policy' }))
  for (const one of tables.contexts ?? []) contexts.push(await context(one))
  callers.push(...(tables.callers ?? []))
  things.push(...(tables.things ?? []))
}

let letters = ''
for await (const line of createInterface({ input: process.stdin })) {
  const read = JSON.parse(line)
  if (!Array.isArray(read)) {
    await add(read)
    continue
  }
  const [caller, action, thing, identity, own, asked] = read
  const [resource, accountId] = things[thing]
  const alone = await known(everywhere, action, () => isWildcardOnlyAction(...action.split(':')))
  const found = authorize({
    request: new AwsRequestImpl(callers[caller], { resource, accountId }, action, contexts[asked], alone),
    identityPolicies: identity < 0 ? [] : [policies[identity]],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: own < 0 ? undefined : policies[own],
    simulationParameters: strictly,
    serviceSettings: { s3: {} }
  })
  letters += found.result[0]
  if (letters.length > 4096) {
    process.stdout.write(letters)
    letters = ''
  }
}
process.stdout.write(letters)
