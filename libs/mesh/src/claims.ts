import { isWorkSubject, subjects, workSubjects, workTakenBy, type WorkSubject } from '@atelier/contracts';

/** A subject that a handler stands for, and where it stands. */
export interface Claim {
  subject: string;
  owner: string;
  kind: 'work' | 'call';
}

/**
 * What is wrong with what a service handles, in words for who wrote it; empty where it is as contracts say: each work
 * subject of the service exactly once and no other's, a word of giving up only for work that it takes, and no call twice.
 */
export function problemsOfClaims(service: string, claims: readonly Claim[]): string[] {
  const own = workSubjects.filter((subject) => workTakenBy[subject] === service);
  const problems: string[] = [];
  const owners = new Map<string, string>();
  for (const { subject, owner, kind } of claims) {
    const other = owners.get(subject);
    if (other) problems.push(`${subject} has two handlers, ${other} and ${owner}: keep one`);
    owners.set(subject, owner);
    if (kind === 'call') continue;
    const work = workOf(subject);
    if (!work)
      problems.push(`${owner} handles ${subject}, which is no work subject: one of ${workSubjects.join(', ')}`);
    else if (workTakenBy[work] !== service)
      problems.push(`${owner} handles ${subject} in service ${service}, and contracts give it to ${workTakenBy[work]}`);
  }
  for (const subject of own)
    if (!owners.has(subject)) problems.push(`${subject} has no handler in service ${service}: add one with @Work`);
  return problems;
}

/** The work that a handler's subject is about: `work.train` of itself and of `dead.work.train`. */
function workOf(subject: string): WorkSubject | undefined {
  if (isWorkSubject(subject)) return subject;
  return workSubjects.find((work) => subjects.dead(work) === subject);
}
