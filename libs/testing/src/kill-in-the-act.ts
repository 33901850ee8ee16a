import type { ServiceProcess } from './processes';
import { signalProcess } from './signals';

/** SIGKILL at a moment when the service has work in hand: it is stopped first, looked at, and let go on where it was between two messages. */
export async function killInTheAct(
  service: Pick<ServiceProcess, 'pid' | 'kill'>,
  inHand: () => Promise<number>,
): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    signalProcess(service.pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 50)); // what it had sent before has reached the server by then
    if ((await inHand()) > 0) {
      await service.kill();
      return;
    }
    process.kill(service.pid, 'SIGCONT');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the service never had work in hand');
}
