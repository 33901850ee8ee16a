import 'reflect-metadata';
import { join } from 'node:path';
import { SERVICES } from '@atelier/client';
import { subjects, workSubjects, workTakenBy } from '@atelier/contracts';
import { problemsOfClaims, type Claim } from '@atelier/mesh';
import { repositoryRoot } from '@atelier/testing';
import { PATTERN_HANDLER_METADATA, PATTERN_METADATA } from '@nestjs/microservices/constants';
import { PatternHandler } from '@nestjs/microservices/enums/pattern-handler.enum';

interface ServiceModule {
  with(config: object): { controllers: (new (...args: never[]) => object)[] };
}

/** What the controllers of a service's module handle, by Nest's own metadata: no service is started. */
async function claimsOf(service: string): Promise<Claim[]> {
  const file = join(repositoryRoot, 'services', service, 'src', `${service}.module`);
  const exported = Object.values((await import(file)) as Record<string, ServiceModule>);
  const { controllers } = exported[0]!.with({});
  return controllers.flatMap(({ name, prototype }) =>
    Object.entries(Object.getOwnPropertyDescriptors(prototype)).flatMap(([method, descriptor]) => {
      const handler: unknown = descriptor.value;
      if (typeof handler !== 'function') return [];
      const patterns = (Reflect.getMetadata(PATTERN_METADATA, handler) ?? []) as string[];
      const isEvent = Reflect.getMetadata(PATTERN_HANDLER_METADATA, handler) === PatternHandler.EVENT;
      const kind = isEvent ? ('work' as const) : ('call' as const);
      return patterns.map((subject) => ({ subject, owner: `${name}.${method}`, kind }));
    }),
  );
}

describe('work', () => {
  it.each(SERVICES)('of %s has exactly one handler in its module, and no other has one there', async (service) => {
    expect(problemsOfClaims(service, await claimsOf(service))).toEqual([]);
  });

  it('of each subject is taken by exactly one of all services, which tells of what it gives up', async () => {
    const claims = (await Promise.all(SERVICES.map(claimsOf))).flat().map(({ subject }) => subject);
    for (const subject of workSubjects) {
      expect(claims.filter((claimed) => claimed === subject)).toHaveLength(1);
      expect(claims.filter((claimed) => claimed === subjects.dead(subject))).toHaveLength(1);
      expect(SERVICES).toContain(workTakenBy[subject]);
    }
  });
});
