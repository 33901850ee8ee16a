import { connect } from 'nats';
import { isNobody } from './nats-errors';

/**
 * Whether nats-server takes a new connection: one that lives and whose JetStream hangs does, one that is stopped does
 * not.
 */
export async function takesConnections(url: string, ms = 3000): Promise<boolean> {
  try {
    const nc = await connect({ servers: url, timeout: ms, reconnect: false, name: 'ping' });
    await nc.close();
    return true;
  } catch (error) {
    return isNobody(error); // then it has answered
  }
}
