import 'reflect-metadata';
import {
  Catch,
  Controller,
  Injectable,
  Module,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
  type RpcExceptionFilter,
  type Type,
} from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import {
  AtelierError,
  calls,
  headers,
  MemoryPlan,
  PlanRequest,
  streams,
  subjects,
  TrainWork,
  type IMemoryPlan,
} from '@atelier/contracts';
import {
  Answers,
  callService,
  deadLetter,
  from,
  GivenUp,
  publishWork,
  startService,
  StoreFull,
  Work,
  type Ending,
  type GivenUpContext,
  type Outcome,
  type RunningService,
  type WorkContext,
} from '@atelier/mesh';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';
import { of, tap, type Observable } from 'rxjs';

/** What each part of the pipeline saw, in order. */
let seen: string[] = [];
let act: (context: WorkContext) => unknown = () => undefined;
let tell: () => void = () => undefined;

@Injectable()
class Gate implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { runId } = context.switchToRpc().getData<TrainWork>();
    seen.push('guard');
    return runId !== 'kept out';
  }
}

@Injectable()
class Around implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    seen.push('before');
    return next.handle().pipe(tap(() => seen.push('after')));
  }
}

@Injectable()
class Trim implements PipeTransform {
  transform(value: unknown): unknown {
    if (value instanceof TrainWork) seen.push('pipe');
    return value;
  }
}

class Odd extends Error {}

@Catch(Odd)
class OddIsDead implements RpcExceptionFilter {
  catch(error: Odd): Observable<Outcome> {
    return of(deadLetter(`filtered: ${error.message}`));
  }
}

class Limits {
  readonly trainings = 2;
}

@UseGuards(Gate)
@UseInterceptors(Around)
@UsePipes(Trim)
@UseFilters(OddIsDead)
@Controller()
class Player {
  @Work(subjects.work.train, TrainWork, {
    concurrency: from(Limits, ({ trainings }) => trainings),
    name: ({ runId }) => runId,
  })
  async train(@Payload() work: TrainWork, @Ctx() context: WorkContext): Promise<Ending | void> {
    seen.push(work.runId);
    return (await act(context)) as Ending;
  }

  @GivenUp(subjects.work.train)
  async giveUp(@Payload() { runId }: TrainWork, @Ctx() { reason }: GivenUpContext): Promise<void> {
    tell();
    seen.push(`${runId} given up: ${reason}`);
  }

  @Answers(calls.plan)
  plan(@Payload() { width }: PlanRequest): IMemoryPlan {
    if (width === 1) throw new AtelierError('OUT_OF_RANGE', 'too narrow', { width: 'is 1' });
    if (width === 2) throw new Error('an inner secret');
    return { totalBytes: width };
  }
}

const moduleOf = (...controllers: Type[]): Type => {
  @Module({ controllers, providers: [Limits] })
  class PlayerModule {}
  return PlayerModule;
};

let mesh: TestMesh;
let service: RunningService | undefined;
beforeAll(async () => {
  mesh = await startTestMesh();
});
afterAll(() => mesh.stop());
afterEach(async () => {
  await service?.stop();
  service = undefined;
  await mesh.mesh.jsm.streams.purge(streams.WORK);
  seen = [];
  act = () => undefined;
  tell = () => undefined;
});

const start = async (module: Type, env: Record<string, string> = {}): Promise<RunningService> =>
  (service = await startService(module, 'trainer', {
    ATELIER_NATS_URL: mesh.url,
    ATELIER_LOG_LEVEL: 'silent',
    ...env,
  }));
let asked = 0;
const ask = (runId: string): Promise<unknown> =>
  publishWork(mesh.mesh, subjects.work.train, TrainWork, { runId }, { msgId: `${runId} ${asked++}` });
const queued = async (): Promise<number> => (await mesh.mesh.jsm.streams.info(streams.WORK)).state.messages;
const settled = (): Promise<true> => waitFor('an empty queue', async () => (await queued()) === 0);
const lastReason = async (): Promise<string> => {
  const letter = { last_by_subj: subjects.dead(subjects.work.train) };
  return (await mesh.mesh.jsm.streams.getMessage(streams.DEAD, letter)).header.get(headers.reason);
};

describe('work', () => {
  it("goes through Nest's guards, interceptors and pipes to its handler", async () => {
    await start(moduleOf(Player));
    await ask('r1');
    await settled();
    expect(seen).toEqual(['guard', 'before', 'pipe', 'r1', 'after']);
  });

  it('that fails goes through the filters of its service before anything is made of it', async () => {
    act = () => Promise.reject(new Odd('odd'));
    await start(moduleOf(Player));
    await ask('r1');
    await settled();
    expect(await lastReason()).toBe('filtered: odd');
  });

  it('that a guard keeps out is not handled, and is given up after its attempts', async () => {
    await start(moduleOf(Player));
    await ask('kept out');
    await waitFor('a second attempt', () => seen.filter((what) => what === 'guard').length >= 2);
    expect(seen).not.toContain('kept out');
  });

  it('that cannot be done is given up at once, told before its dead letter, with its reason and its name', async () => {
    act = () => Promise.reject(new AtelierError('FAILED_PRECONDITION', 'no picture in it'));
    await start(moduleOf(Player));
    await ask('r1');
    await settled();
    expect(seen.filter((what) => what.startsWith('r1'))).toEqual(['r1', 'r1 given up: no picture in it']);
    expect(await lastReason()).toBe('no picture in it');
  });

  it('whose giving up finds the store full waits for room, and is told then', async () => {
    let told = 0;
    tell = () => {
      if (++told === 1) throw new StoreFull('the store is full');
    };
    act = () => Promise.reject(new AtelierError('NOT_FOUND', 'gone'));
    await start(moduleOf(Player));
    await ask('r1');
    await settled();
    expect(told).toBe(2);
    expect(seen.filter((what) => what.startsWith('r1'))).toEqual(['r1', 'r1 given up: gone']);
  });

  it('that is put down comes again as the same attempt', async () => {
    const attempts: number[] = [];
    act = ({ attempt }) => (attempts.push(attempt) === 1 ? 'put down' : 'over');
    await start(moduleOf(Player));
    await ask('r1');
    await settled();
    expect(attempts).toEqual([1, 2]);
  });

  it('whose handler returns what is no outcome is tried again rather than taken for done', async () => {
    let times = 0;
    act = () => (++times === 1 ? 'ovr' : 'over');
    await start(moduleOf(Player));
    await ask('r1');
    await settled();
    expect(times).toBe(2);
  });

  it('is handled as many at once as a provider of the service says', async () => {
    let now = 0;
    let most = 0;
    let release: () => void = () => undefined;
    const both = new Promise<void>((resolve) => (release = resolve));
    act = async () => {
      most = Math.max(most, ++now);
      if (now === 2) release();
      await both;
      now--;
    };
    await start(moduleOf(Player));
    for (const id of ['a', 'b', 'c']) await ask(id);
    await settled();
    expect(most).toBe(2);
  });

  it('of ATELIER_ONCE is one message: it is done, the service is over, and the next stays on the queue', async () => {
    const { over } = await start(moduleOf(Player), { ATELIER_ONCE: '1' });
    await ask('r1');
    await ask('r2');
    await over;
    expect(seen.filter((what) => /^r\d/.test(what))).toEqual(['r1']);
    expect(await queued()).toBe(1);
  });
});

describe('calls', () => {
  const plan = (width: number): Promise<MemoryPlan> => callService(mesh.mesh, calls.plan, { width });

  it('go through the same pipeline, over the connection that the work comes by', async () => {
    await start(moduleOf(Player));
    expect((await plan(7)).totalBytes).toBe(7);
    expect(seen).toEqual(['guard', 'before', 'after']);
    expect(service!.app.unwrap()).toBe(service!.mesh.nc);
  });

  it('bring errors back with their code, words and details, and nothing of what was not foreseen', async () => {
    await start(moduleOf(Player));
    await expect(plan(1)).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
      message: 'too narrow',
      details: { width: 'is 1' },
    });
    await expect(plan(2)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'service trainer failed: its log says why',
    });
    const junk = mesh.mesh.nc.request(calls.plan.subject, Buffer.from([0x0a, 0xff]));
    expect((await junk).headers?.get(headers.error)).toBe('INVALID_ARGUMENT');
  });

  it('of a service that is not there are UNAVAILABLE, and say how to start it', async () => {
    await expect(plan(1)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('atelier up'),
    });
  });
});

describe('a service is refused at start', () => {
  @Controller()
  class Twin {
    @Work(subjects.work.train, TrainWork)
    async again(): Promise<void> {
      seen.push('twin');
    }
  }

  @Controller()
  class Foreign {
    @EventPattern(subjects.work.latents)
    latents(): void {
      seen.push('latents');
    }
  }

  @Controller()
  class Nowhere {
    @EventPattern('work.paint')
    paint(): void {
      seen.push('paint');
    }
  }

  @Controller()
  class Idle {}

  @Controller()
  class AnswersToo {
    @Answers(calls.plan)
    plan(): IMemoryPlan {
      return {};
    }
  }

  it.each<[string, Type[], RegExp]>([
    ['takes a subject twice', [Player, Twin], /work\.train has two handlers, Player\.train and Twin\.again/],
    [
      "takes another service's work",
      [Player, Foreign],
      /work\.latents in service trainer, and contracts give it to latents/,
    ],
    ['takes what is no work', [Player, Nowhere], /handles work\.paint, which is no work subject/],
    ['leaves its own work untaken', [Idle], /work\.train has no handler in service trainer/],
    ['answers a call twice', [Player, AnswersToo], /rpc\.trainer\.plan has two handlers/],
  ])('that %s', async (_what, controllers, reason) => {
    await expect(start(moduleOf(...controllers))).rejects.toThrow(reason);
  });
});
