import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { LatentsWork, streams, subjects } from '@atelier/contracts';
import {
  done,
  publishWork,
  retryLater,
  startService,
  StoreFull,
  throughOutage,
  Work,
  workPolicies,
  type Outcome,
  type RunningService,
  type WorkContext,
} from '@atelier/mesh';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';

/** What the handler does with its message. */
let act: (signal: AbortSignal) => Promise<Outcome>;
const attempts: number[] = [];

@Controller()
class LatentsPlayer {
  @Work(subjects.work.latents, LatentsWork)
  async handle(@Payload() _work: LatentsWork, @Ctx() context: WorkContext): Promise<Outcome> {
    attempts.push(context.attempt);
    return act(context.signal);
  }
}

@Module({ controllers: [LatentsPlayer] })
class PlayerModule {}

describe('a worker', () => {
  let test_: TestMesh;
  let service: RunningService;
  beforeEach(async () => {
    test_ = await startTestMesh();
    attempts.length = 0;
    service = await startService(PlayerModule, 'latents', { ATELIER_NATS_URL: test_.url, ATELIER_LOG_LEVEL: 'silent' });
  });
  afterEach(async () => {
    await service.stop();
    await test_.stop();
  });
  const ask = () => publishWork(test_.mesh, subjects.work.latents, LatentsWork, { key: 'k' }, { msgId: 'k' });

  test("whose store is full tries again when there is room, as often as it takes, and uses up none of the work's attempts", async () => {
    const times = workPolicies[subjects.work.latents].maxAttempts + 1;
    act = async () => {
      if (attempts.length <= times) throw new StoreFull('the store is full');
      return done;
    };
    await ask();
    await waitFor(
      'the work to be done',
      async () => (await test_.mesh.jsm.streams.info(streams.WORK)).state.messages === 0,
      40_000,
    );
    expect(attempts).toEqual(Array.from({ length: times + 1 }, () => 1));
    expect((await test_.mesh.jsm.streams.info(streams.DEAD)).state.messages).toBe(0);
  });

  test('that waits for a nats-server that does not answer ends all the same when it is asked to', async () => {
    act = () =>
      throughOutage(async () => {
        await service.mesh.js.publish('events.x', Buffer.alloc(1), { timeout: 1000 });
      }).then(() => retryLater(0, 'stops'));
    const original = act;
    act = async (signal) => {
      test_.signalNats('SIGSTOP');
      return original(signal);
    };
    await ask();
    await waitFor('the work to be taken', () => attempts.length > 0);
    try {
      const asked = Date.now();
      await service.stop();
      expect(Date.now() - asked).toBeLessThan(25_000);
    } finally {
      test_.signalNats('SIGCONT');
    }
  });
});
