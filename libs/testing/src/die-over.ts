import { streams, type WorkSubject } from '@atelier/contracts';
import { Attempts, consumerName, workPolicies, type Mesh } from '@atelier/mesh';

/**
 * Leaves the next message of a queue as services do that take it and die over it, as many as it takes to give it up, or
 * fewer. (Killing real ones leaves the same, ten seconds apart: libs/mesh/test/crashes.spec.ts.)
 */
export async function dieOver(
  mesh: Mesh,
  subject: WorkSubject,
  times = workPolicies[subject].maxAttempts,
): Promise<void> {
  const consumer = await mesh.js.consumers.get(streams.WORK, consumerName(subject));
  const attempts = new Attempts(mesh, workPolicies[subject].maxAttempts);
  for (let attempt = 0; attempt < times; attempt++) {
    const message = await consumer.next({ expires: 5000 });
    if (!message) throw new Error(`there is no ${subject} to die over`);
    await attempts.begin(message);
    message.nak(); // the server does so when it has heard nothing for a while
  }
}
