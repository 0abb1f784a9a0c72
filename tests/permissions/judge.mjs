// Reads simulations, one JSON a line, and writes what an independent evaluator says, one word a line.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const nothingElse = [{ orgIdentifier: 'root', policies: [{ name: 'all', policy: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] } }] }]
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await runSimulation({ serviceControlPolicies: nothingElse, resourceControlPolicies: [], ...JSON.parse(line) }, {})
  console.log(answer.resultType === 'error' ? `error: ${JSON.stringify(answer.errors)}` : answer.overallResult)
}
