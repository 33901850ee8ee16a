import type { MeshUser } from '@atelier/contracts';
import { connect, Events, type JetStreamClient, type JetStreamManager, type NatsConnection } from 'nats';
import { connectionOptions, noMesh, type Credentials } from './credentials';
import { failRequests, losesRequests } from './lost-requests';
import { tryMutualTls } from './mutual-tls';
import { StoreRoom } from './store-room';

export interface MeshConfig {
  /** nats://host:port, or several separated by commas. */
  url: string;
  /** Shown by nats-server beside the connection. */
  name: string;
  /** Whose inbox its answers come to; without one, anybody's. */
  user?: MeshUser;
  credentials?: Credentials;
  /** Told what nats-server refuses once the connection was made: who we are by now, or what we may not do. */
  onRefused?: (reason: string) => void;
}

/** Of what the server lets a user not do. */
const forbidden = ({ operation, subject }: { operation: string; subject: string }): string =>
  `may not ${operation === 'publish' ? 'publish to' : 'listen on'} ${subject}`;

/** One connection to the mesh and what is made of it. It reconnects for ever: streams are on disk, nothing is lost meanwhile. */
export class Mesh {
  /** What the store behind it still takes. */
  readonly room: StoreRoom;
  private lost = 0;

  private constructor(
    readonly nc: NatsConnection,
    readonly js: JetStreamClient,
    readonly jsm: JetStreamManager,
    onRefused: (reason: string) => void = () => undefined,
  ) {
    this.room = new StoreRoom(nc, jsm);
    void this.watch(onRefused);
  }

  /** How often the connection was lost since it was made. */
  get interruptions(): number {
    return this.lost;
  }

  /** Throws UNAVAILABLE; UNAUTHENTICATED and INVALID_ARGUMENT where waiting does not help. */
  static async connect({ url, name, user, credentials = {}, onRefused }: MeshConfig): Promise<Mesh> {
    const options = connectionOptions(url, user, credentials);
    let nc: NatsConnection | undefined;
    try {
      await tryMutualTls(url.split(',')[0]!, credentials);
      nc = await connect({
        servers: url.split(','),
        name,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 100,
        maxPingOut: 3,
        pingInterval: 20_000,
        ignoreAuthErrorAbort: true, // seeds may change while we run; see onRefused
        ...options,
      });
      const [js, jsm] = [nc.jetstream({ timeout: 20_000 }), await nc.jetstreamManager({ timeout: 20_000 })];
      return new Mesh(nc, js, jsm, onRefused);
    } catch (error) {
      await nc?.close().catch(() => undefined); // it would go on reconnecting for ever
      throw noMesh(url, user, credentials, error);
    }
  }

  private async watch(onRefused: (reason: string) => void): Promise<void> {
    for await (const status of this.nc.status()) {
      const { type, data, permissionContext: what } = status;
      if (type === Events.Disconnect) this.lost++;
      else if (type === Events.Error) onRefused(what ? forbidden(what) : JSON.stringify(data));
      if (losesRequests(status)) failRequests(this.nc);
    }
  }

  /** Delivers what is in flight, then closes. A connection that is down is closed at once. */
  async close(): Promise<void> {
    if (this.nc.isClosed()) return;
    const drained = this.nc.drain().catch(() => undefined);
    const given = new Promise<void>((resolve) => setTimeout(resolve, 3000).unref());
    await Promise.race([drained, given]);
    if (!this.nc.isClosed()) await this.nc.close();
  }
}
